import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_every_code_of_the_program_is_documented() -> None:
    sources = (ROOT / "netlab").glob("**/*.py")
    used = {code for source in sources for code in re.findall(r'"(E\d{3})"', source.read_text())}
    documented = set(
        re.findall(r"^\| (E\d{3}) ", (ROOT / "docs" / "errors.md").read_text(), re.MULTILINE)
    )
    assert used
    assert used <= documented
