"""What watching keeps does not grow with time, whatever comes; `make soak`: ten minutes each."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from netlab.lab.lab import Lab
from netlab.topology import loads
from tests.helpers.commands import NETLAB

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.kernel, pytest.mark.root, pytest.mark.usefixtures("netlab_state")]

TOPOLOGY = """
nodes: {client: {}, router: {kind: router}, server: {}}
links:
  - {ends: [client:eth0, router:west], subnet: 10.0.0.0/24}
  - {ends: [router:east, server:eth0], subnet: 10.0.1.0/24}
"""

SENDER = """
import socket, sys, time
out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
began, sent = time.monotonic(), 0
while (passed := time.monotonic() - began) < float(sys.argv[2]):
    while sent < passed * 20_000:
        out.sendto(b"%012d" % sent, (sys.argv[1], 4000))
        sent += 1
    time.sleep(0.001)
"""

COMMANDS = {
    "follow": ["trace", "--follow", "--json", "flooded"],
    "capture": ["capture", "flooded"],
    "capture to a file": ["capture", "flooded", "-w", "/dev/null"],
}


@pytest.fixture
def lab() -> Iterator[Lab]:
    with Lab(loads(TOPOLOGY), name="flooded") as running:
        yield running


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize(
    "seconds", [4, pytest.param(600, marks=[pytest.mark.soak, pytest.mark.timeout(1200)])]
)
def test_memory_is_bounded_at_twenty_thousand_packets_a_second(lab, name, seconds):
    with subprocess.Popen(
        [*NETLAB, *COMMANDS[name]],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as watching:
        try:
            assert watching.stderr
            assert watching.stderr.readline().startswith("watching ")
            flood = lab["client"].popen(
                ["python3", "-c", SENDER, lab["server"].address, str(seconds)]
            )
            curve = []
            while flood.poll() is None:
                curve.append(resident(watching.pid))
                time.sleep(0.1)
            watching.terminate()
            assert watching.wait(60) == 0
        finally:
            watching.kill()
    late = curve[len(curve) // 2 :]
    print(f"{name}: {max(curve)} MB at most, {late[-1]} MB in the end")
    assert max(curve) < 1000
    if seconds > 60:
        assert max(late) < 1.1 * max(curve[: len(curve) // 2]) + 20


def resident(pid: int) -> int:
    """Megabytes that a process has in memory."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return int(status.partition("VmRSS:")[2].split()[0]) // 1024
