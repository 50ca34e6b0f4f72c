"""docs/stateless-tcp.md says how often a transaction succeeds on a path that loses."""

from tests.stateless.loss_table import PAGE, table


def test_the_table_of_success_is_measured() -> None:
    told = "python -m tests.stateless.loss_table writes it anew"
    assert f"<!-- loss table -->\n{table()}" in PAGE.read_text(encoding="utf-8"), told
