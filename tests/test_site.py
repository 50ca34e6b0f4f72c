"""The site: built strictly, with every page in the menu, and no link in it leads nowhere."""

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest

ROOT = Path(__file__).parents[1]


class Links(HTMLParser):
    """Where a page's links lead, and which places it has itself."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.leads: list[str] = []
        self.places: set[str] = set()
        self.feed(page.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in ("href", "src") and value:
                self.leads.append(unquote(value))
            if name == "id" and value:
                self.places.add(value)


@pytest.mark.soak
def test_the_site_is_whole(tmp_path):
    pytest.importorskip("material", reason="make site installs mkdocs-material")
    build = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)]
    built = subprocess.run(
        build, cwd=ROOT, capture_output=True, text=True, timeout=140, check=False
    )
    assert built.returncode == 0, built.stderr
    pages = {path: Links(path) for path in tmp_path.rglob("*.html") if path.name != "404.html"}
    assert {path.stem for path in (ROOT / "docs").glob("*.md")} <= {path.stem for path in pages}
    for page, links in pages.items():
        for link in links.leads:
            if re.match(r"[a-z]+:|//", link):
                continue
            name, _, place = link.partition("#")
            target = (page.parent / name).resolve() if name else page
            assert target.exists(), f"{page.name}: {link}"
            if place and target in pages:
                assert place in pages[target].places, f"{page.name}: {link}"
