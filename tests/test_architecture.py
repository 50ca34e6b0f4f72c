"""The map of the code is the code's own: every module is on it and says what it is."""

import ast
import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MAP = runpy.run_path(str(ROOT / "scripts" / "architecture.py"))
MODULES = sorted((ROOT / "netlab").rglob("*.py"))


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_a_module_says_in_its_first_sentence_what_it_is(path: Path) -> None:
    docstring = ast.get_docstring(ast.parse(path.read_text()))
    if path.name != "__main__.py":
        assert docstring
        assert len(docstring.partition("\n\n")[0]) > 10


def test_the_map_is_up_to_date() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text()
    assert MAP["page"]() == page, "run `make docs`"


def test_every_room_of_the_table_exists_and_is_in_it() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text()
    table = page[page.index("## The rooms") : page.index("<!-- map")]
    rooms = {room for room in MAP["rooms"]() if f"`{room}/`" in table or f"`{room}.py`" in table}
    assert rooms == set(MAP["rooms"]())
