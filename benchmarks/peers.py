"""The same lab built by others; each gives milliseconds to build and to remove, or is missing."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.shapes import RULES, for_c
from netlab.plan import operations as op
from netlab.plan.commands import commands

HERE = Path(__file__).parent
MININET_PYTHON = "/usr/bin/python3"


class Took(NamedTuple):
    """Milliseconds."""

    build: float
    remove: float


def missing() -> dict[str, str]:
    """Peers that cannot be measured here, and why."""
    absent = {}
    if not shutil.which("ip") or not shutil.which("nft"):
        absent["ip -batch"] = "iproute2 or nftables is not installed"
    if not shutil.which("gcc"):
        absent["C"] = "gcc is not installed"
    if importlib.util.find_spec("pyroute2") is None:
        absent["pyroute2"] = "the package pyroute2 is not installed"
    probe = [MININET_PYTHON, "-c", "import mininet.net"]
    if (
        not Path(MININET_PYTHON).exists()
        or subprocess.run(probe, stderr=subprocess.DEVNULL, check=False).returncode
    ):
        absent["Mininet"] = "Debian's package mininet is not installed"
    return absent


def ip_batch(plan: op.Plan) -> Took:
    """One ``ip -batch`` for namespaces and links, one per namespace, and ``nft -f``."""
    common: list[str] = []
    inside: dict[str, list[str]] = defaultdict(list)
    for operation in plan.operations:
        for argv in commands(operation, lambda node: f"{plan.name}.{node}"):
            if argv[1] == "-n":
                inside[argv[2]].append(" ".join(argv[3:]))
            else:
                common.append(" ".join(argv[1:]))
    first = f"{plan.name}.{plan.nodes[0].name}"

    def run(argv: list[str], text: str) -> None:
        subprocess.run(argv, input=text.encode(), check=True, stdout=subprocess.DEVNULL)

    try:
        began = time.perf_counter()
        run(["ip", "-batch", "-"], "\n".join(common))
        for namespace, lines in inside.items():
            run(["ip", "-n", namespace, "-batch", "-"], "\n".join(lines))
        run(["ip", "netns", "exec", first, "nft", "-f", "-"], RULES)
        built = time.perf_counter()
    finally:
        started = time.perf_counter()
        names = (f"netns del {plan.name}.{node.name}" for node in plan.nodes)
        run(["ip", "-force", "-batch", "-"], "\n".join(names))
        removed = time.perf_counter()
    return Took((built - began) * 1000, (removed - started) * 1000)


def pyroute2(plan: op.Plan) -> Took:
    """A plain loop over the operations with one NetNS object per namespace."""
    from pyroute2 import NetNS, netns

    def name(node: str) -> str:
        return f"{plan.name}.{node}"

    spaces: dict[str, NetNS] = {}
    began = time.perf_counter()
    try:
        for o in plan.operations:
            match o:
                case op.CreateNamespace(node):
                    netns.create(name(node))
                    spaces[node] = NetNS(name(node))
                case op.SetSysctl(node):
                    netns.pushns(name(node))
                    Path("/proc/sys/net/ipv4/ip_forward").write_text("1", encoding="ascii")
                    netns.popns()
                case op.CreateVeth(a, b):
                    peer = {"ifname": b.name, "net_ns_fd": name(b.node), "address": b.mac}
                    spaces[a.node].link("add", ifname=a.name, kind="veth", peer=peer, address=a.mac)
                case op.SetUp(node, interface):
                    spaces[node].link("set", index=_index(spaces[node], interface), state="up")
                case op.AddAddress(node, interface, address):
                    plain, _, length = address.partition("/")
                    index = _index(spaces[node], interface)
                    spaces[node].addr("add", index=index, address=plain, prefixlen=int(length))
                case op.AddNeighbour(node, interface, address, mac):
                    index = _index(spaces[node], interface)
                    spaces[node].neigh(
                        "add", dst=address, lladdr=mac, ifindex=index, state="permanent"
                    )
                case op.AddRoute(node, _, gateway):
                    spaces[node].route("add", dst="default", gateway=gateway)
        built = time.perf_counter()
    finally:
        started = time.perf_counter()
        for node, space in spaces.items():
            space.close()
            netns.remove(name(node))
        removed = time.perf_counter()
    return Took((built - began) * 1000, (removed - started) * 1000)


def _index(space: Any, interface: str) -> int:
    return 1 if interface == "lo" else int(space.link_lookup(ifname=interface)[0])


class Floor:
    """The C program, compiled once."""

    def __init__(self) -> None:
        self._directory = tempfile.TemporaryDirectory()
        self._program = Path(self._directory.name) / "floor"
        source = HERE / "floor.c"
        subprocess.run(["gcc", "-O2", "-o", str(self._program), str(source)], check=True)

    def __call__(self, plan: op.Plan) -> Took:
        """Build, then let it go; the time to remove is that of the process's end."""
        text = self._program.with_suffix(".plan")
        text.write_text(for_c(plan), encoding="ascii")
        with subprocess.Popen(
            [self._program, text], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout
            took = float(process.stdout.readline())
            started = time.perf_counter()
            process.communicate()
        return Took(took, (time.perf_counter() - started) * 1000)


def mininet(plan: op.Plan) -> Took:
    """Mininet's API in Debian's Python."""
    shape = "star" if plan.nodes[0].name == "hub" else "chain"
    hosts = len(plan.nodes) - (shape == "star")
    ran = subprocess.run(
        [MININET_PYTHON, str(HERE / "mininet_peer.py"), shape, str(hosts)],
        check=True,
        capture_output=True,
        text=True,
    )
    build, remove = ran.stdout.split()
    return Took(float(build), float(remove))
