"""HDP against UDP, from a program in one node to a program in another."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

from netlab.io.hdp import latency as drive
from netlab.linux import namespaces

if TYPE_CHECKING:
    from netlab.lab.lab import Lab


def measure(lab: Lab, client: str, server: str, rounds: int) -> dict[str, list[int]]:
    """Nanoseconds of each datagram from node ``client`` to node ``server``, by kind."""
    address = lab[server].address
    family = 6 if ":" in address else 4
    with lab[server].popen(
        [sys.executable, "-m", "netlab.io.hdp.latency", str(family)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    ) as listener:  # fmt: skip
        assert listener.stdin is not None
        assert listener.stdout is not None
        ready = listener.stdout.fileno()
        try:
            return namespaces.inside(
                lab[client].namespace, lambda: drive.measure(family, address, ready, rounds)
            )
        finally:
            listener.stdin.close()  # it ends when its stdin closes
            listener.wait(10)
