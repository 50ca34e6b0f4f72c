"""A few namespaces for tests of rules: two hosts behind a NAT, beyond it one with two addresses.

a 10.0.0.2 --+
             +-- lan nat wan 192.0.2.1 -- server 192.0.2.10, .11
b 10.0.0.3 --+
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

A, B = "10.0.0.2", "10.0.0.3"
OUTSIDE = "192.0.2.1"
SERVER, OTHER = "192.0.2.10", "192.0.2.11"

SETUP = """\
link add name eth0 netns {a} type veth peer name lana netns {nat}
link add name eth0 netns {b} type veth peer name lanb netns {nat}
link add name wan netns {nat} type veth peer name eth0 netns {server}
"""

INSIDE = {
    "nat": """\
link add lan type bridge
link set lana master lan
link set lanb master lan
link set lana up
link set lanb up
link set lan up
link set wan up
addr add 10.0.0.1/24 dev lan
addr add 192.0.2.1/24 dev wan
addr add 192.0.2.2/24 dev wan
addr add 192.0.2.3/24 dev wan
""",
    "a": "link set eth0 up\naddr add 10.0.0.2/24 dev eth0\nroute add default via 10.0.0.1\n",
    "b": "link set eth0 up\naddr add 10.0.0.3/24 dev eth0\nroute add default via 10.0.0.1\n",
    "server": """\
link set eth0 up
addr add 192.0.2.10/24 dev eth0
addr add 192.0.2.11/24 dev eth0
route add 10.0.0.0/24 via 192.0.2.1
""",
}


class Spaces:
    """The namespaces of the drawing; ``close`` removes them."""

    def __init__(self) -> None:
        self.names = {n: f"mb{os.getpid()}{n}" for n in INSIDE}
        self._running: list[subprocess.Popen[str]] = []
        try:
            for name in self.names.values():
                subprocess.run(["ip", "netns", "add", name], check=True)
            self._batch([], SETUP.format(**self.names))
            for node, lines in INSIDE.items():
                self._batch(["-n", self.names[node]], "link set lo up\n" + lines)
            self.run("nat", "sysctl", "-qw", "net.ipv4.ip_forward=1")
            for node in INSIDE:
                self.run(node, "sysctl", "-qw", "net.ipv4.icmp_ratelimit=0")
            if Path("/proc/sys/net/bridge").exists():
                self.run("nat", "sysctl", "-qw", "net.bridge.bridge-nf-call-iptables=0")
        except BaseException:
            self.close()
            raise

    def _batch(self, options: Sequence[str], text: str) -> None:
        subprocess.run(["ip", *options, "-batch", "-"], input=text, text=True, check=True)

    def _inside(self, node: str, argv: Sequence[str]) -> list[str]:
        return ["ip", "netns", "exec", self.names[node], *argv]

    def run(self, node: str, *argv: str, **options: Any) -> str:
        """Standard output of a command that must succeed."""
        done = subprocess.run(  # noqa: PLW1510 - in the options
            self._inside(node, argv),
            text=True,
            stdout=subprocess.PIPE,
            **({"check": True, "timeout": 60} | options),
        )
        return str(done.stdout)

    def start(self, node: str, *argv: str, **options: Any) -> subprocess.Popen[str]:
        """A program that ``close`` ends."""
        process = subprocess.Popen(self._inside(node, argv), text=True, **options)
        self._running.append(process)
        return process

    def rules(self, text: str, sysctls: Sequence[tuple[str, str]] = ()) -> None:
        """Replace all rules of the NAT and forget its connections."""
        self.run("nat", "nft", "-f", "-", input="flush ruleset\n" + text)
        for key, value in sysctls:
            self.run("nat", "sysctl", "-qw", f"{key}={value}")
        self.run("nat", "conntrack", "-F", stderr=subprocess.DEVNULL)

    def close(self) -> None:
        for process in self._running:
            process.terminate()
            process.wait()
        for name in self.names.values():
            subprocess.run(["ip", "netns", "del", name], check=False, stderr=subprocess.DEVNULL)
