from __future__ import annotations

from pathlib import Path

import pytest

from tests.tcp import script
from tests.tcp.script_runner import OnTheCore

SCRIPTS = sorted((Path(__file__).parent / "scripts").glob("*.pkt"))


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_the_core_follows(path: Path) -> None:
    OnTheCore().run(script.read(path))


@pytest.mark.parametrize(
    "line", ["+0 > Q 0:0(0)", "soon < S 0:0(0)", "+0 accept(3)", "+0 < S 0:0(0) win x"]
)
def test_a_line_that_is_not_understood_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "wrong.pkt"
    path.write_text(f"// fine\n{line}\n")
    with pytest.raises(SyntaxError, match=r"wrong\.pkt:2"):
        script.read(path)
