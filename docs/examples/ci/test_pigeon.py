"""Does a message get its receipt, whatever is in between?"""

import sys
from pathlib import Path

import pytest
import yaml

import netlab.topology
from netlab.scenario import bundled

PIGEON = str(Path(__file__).with_name("pigeon.py"))

MATRIX = yaml.safe_load((bundled.directory() / "matrix.yaml").read_text())
BOXES = MATRIX["steps"][0]["matrix"]["obstacles"]
"""Every middlebox and every kind of NAT that netlab ships: what is said of a node and its link."""

NEVER = {"block"}
"""Boxes that nothing on port 4000 gets past."""


def lab_with(box):
    """Client ── box ── server, where the box is one of ``BOXES``."""
    box = dict(box)
    link = box.pop("link", {})
    text = yaml.safe_dump({
        "name": "pigeon",
        "nodes": {"client": None, "box": {"kind": "router", **box}, "server": None},
        "links": [
            {"ends": ["client:eth0", "box:lan"], "subnet": "10.0.0.0/24"},
            {"ends": ["box:wan", "server:eth0"], "subnet": "192.0.2.0/24", **link},
        ],
    })  # fmt: skip
    return netlab.topology.loads(text, "pigeon.yaml")


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.netlab(lab_with(box)), id=name)
        for name, box in BOXES.items()
    ],
)
def test_a_message_gets_its_receipt(netlab, name):
    server = netlab["server"].popen([sys.executable, PIGEON, "serve"], stdout=-1, text=True)
    assert server.stdout.readline() == "ready\n"
    with netlab.observe():  # so that a failure shows what became of every packet
        sent = netlab["client"].run([sys.executable, PIGEON, "send", "192.0.2.2", "coo"])
    server.kill()
    server.communicate()
    assert (sent.returncode == 0) == (name not in NEVER)
