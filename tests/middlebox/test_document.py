from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from netlab.middlebox import Packet, Wire
from netlab.topology import loads
from tests.middlebox.packets import datagram

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


def test_its_middlebox_of_ones_own_does_what_it_says():
    box, use = re.findall(r"```python\n(.*?)```", DOCUMENT, re.DOTALL)
    names: dict[str, Any] = {f"packet{i}": datagram(i).octets for i in (1, 2, 3)}
    exec(box + use, names)
    arrived = names["arrived"]
    assert [a.packet for a in arrived] == [Packet(names["packet1"]), Packet(names["packet3"])]
    assert isinstance(names["wire"], Wire)
    lines = [line for line in box.splitlines() if line and not line.startswith(("#", "from"))]
    assert len(lines) <= 10
