"""Servers of ours, and captures, in the nodes of a running lab."""

from __future__ import annotations

import contextlib
import json
import select
import signal
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.helpers.commands import NETLAB
from tests.helpers.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from netlab.lab.lab import LabNode

OWN, OWN_6 = "198.51.100.2", "2001:db8:2::2"
UNOWNED, UNOWNED_6 = "192.0.2.80", "2001:db8:80::80"


class Served:
    """A running ``netlab stateless``; ``statistics`` are known once it was stopped."""

    def __init__(self, node: LabNode, *argv: str) -> None:
        self.process = node.popen(
            [*NETLAB, "stateless", *argv, "--stats"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout
        self.first = self.process.stdout.readline()
        if not self.first.startswith("listening"):
            pytest.fail(self.process.communicate(timeout=10)[1])
        self.statistics: dict[str, int] = {}
        self.errors = ""

    def stop(self) -> dict[str, int]:
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGTERM)
            output, self.errors = self.process.communicate(timeout=10)
            self.statistics = json.loads(output.splitlines()[-1])
        return self.statistics


@pytest.fixture
def serve(netlab) -> Iterator[Callable[..., Served]]:
    with contextlib.ExitStack() as stack:

        def start(*argv: str, node: str = "server") -> Served:
            served = Served(netlab[node], *argv)
            stack.callback(served.stop)
            return served

        yield start


@pytest.fixture
def backend(netlab) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start a program in a node and wait until its port answers there."""
    with contextlib.ExitStack() as stack:

        def start(*argv: str, port: int, node: str = "server", **options) -> subprocess.Popen[str]:
            process: subprocess.Popen[str] = netlab[node].popen(
                argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, text=True, **options
            )

            def stop() -> None:
                process.terminate()
                process.wait(10)

            stack.callback(stop)
            wait_for(lambda: listens(netlab[node], port))
            return process

        yield start


def listens(node: LabNode, port: int) -> bool:
    with node.socket(2, 1) as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0 or probe.connect_ex((OWN, port)) == 0


class Capture:
    """What tcpdump saw on one interface, read by tshark."""

    def __init__(self, node: LabNode, interface: str, file: Path, what: str = "tcp") -> None:
        self._file = file
        self._process = node.popen(
            [
                "tcpdump",
                "-i",
                interface,
                "-w",
                str(file),
                "-U",
                "--immediate-mode",
                "-Z",
                "root",
                what,
            ],
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self._process.stderr
        ready, _, _ = select.select([self._process.stderr], [], [], 10)
        assert ready
        assert "listening" in self._process.stderr.readline()

    def stop(self) -> None:
        self._process.terminate()
        self._process.communicate(timeout=10)

    def read(self, display_filter: str, *fields: str) -> list[str]:
        """A line for each frame that the filter selects, with the fields separated by tabs."""
        extract = [word for field in fields for word in ("-e", field)]
        ran = subprocess.run(
            ["tshark", "-n", "-r", str(self._file), "-o", "tcp.check_checksum:TRUE",
             "-Y", display_filter, *(["-T", "fields", *extract] if fields else [])],
            capture_output=True, text=True, check=True, timeout=60,
        )  # fmt: skip
        return ran.stdout.splitlines()

    def wait_for(self, display_filter: str) -> None:
        wait_for(lambda: bool(self.read(display_filter)))


@pytest.fixture
def capture(netlab, tmp_path) -> Iterator[Callable[..., Capture]]:
    with contextlib.ExitStack() as stack:

        def start(node: str, interface: str = "eth0") -> Capture:
            found = Capture(netlab[node], interface, tmp_path / f"{node}.pcap")
            stack.callback(found.stop)
            return found

        yield start


def finish_on_the_wire(node: LabNode, interface: str = "eth0") -> None:
    """Let this end cut and sum by itself, so that a judge on the wire sees real packets."""
    node.run(["ethtool", "-K", interface, "tx", "off", "tso", "off", "gso", "off"], check=True)
