from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from netlab.topology import loads

ROOT = Path(__file__).parents[2]
DOCUMENT = (ROOT / "docs" / "middleboxes.md").read_text()


def test_the_page_is_made_from_the_catalogue():
    made = subprocess.run(
        [sys.executable, "scripts/middleboxes.py"],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert made.stdout == DOCUMENT


def test_its_topology_is_right():
    (text,) = re.findall(r"```yaml\n(nodes:.*?)```", DOCUMENT, re.DOTALL)
    topology = loads(text)
    assert [b.kind for b in topology.node("router").middleboxes] == [
        "first-packet-only",
        "every-nth",
    ]
    assert [b.kind for b in topology.links[1].middleboxes] == [
        "impair",
        "impair",
        "sequence-rewrite",
        "split",
    ]


def test_its_middlebox_of_ones_own_does_what_it_says(tmp_path, monkeypatch):
    box, use = re.findall(r"```python\n(.*?)```", DOCUMENT, re.DOTALL)
    tmp_path.joinpath("boxes.py").write_text(box)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "boxes", raising=False)
    names: dict[str, Any] = {}
    exec(use, names)
    names["test_every_second_packet_is_dropped"]()
    monkeypatch.delitem(sys.modules, "boxes")
    lines = [line for line in box.splitlines() if line and not line.startswith(("#", "from"))]
    assert len(lines) <= 10
