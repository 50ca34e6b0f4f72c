"""Every ordered pair of nodes of what ships: ``netlab explain`` against ping, in a fresh lab."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from netlab.lab.lab import Lab
from tests.oracle import ask

TOPOLOGIES = Path(__file__).parents[2] / "topologies"


class Pair(NamedTuple):
    """Two nodes of a shipped topology."""

    topology: str
    """Its path below ``topologies/``, without the suffix."""
    source: str
    target: str

    def __str__(self) -> str:
        return f"{self.topology} {self.source} {self.target}"


def topologies() -> list[str]:
    """All that ship."""
    files = sorted(TOPOLOGIES.rglob("*.yaml"))
    return [file.relative_to(TOPOLOGIES).with_suffix("").as_posix() for file in files]


def pairs(topology: str) -> Iterator[Pair]:
    """Each node with an address to each other one."""
    nodes = [node.name for node in _lab(topology).nodes if node.addresses]
    for source in nodes:
        yield from (Pair(topology, source, target) for target in nodes if target != source)


def _lab(topology: str) -> Lab:
    return Lab(TOPOLOGIES / f"{topology}.yaml")


def disagreement(pair: Pair) -> str:
    """What explain says and ping does not find, or the other way round; empty if they agree."""
    with _lab(pair.topology) as lab:
        family = _family(lab, pair)
        flow = ask.Flow(pair.source, pair.target, six=family == 6)
        code, said = ask.command("explain", *flow.words(lab.name))
        ping = lab[pair.source].run(["ping", f"-{family}", "-n", "-c1", "-W1", pair.target])
    answered = ping.returncode == 0
    if (code == 0) == answered:
        return ""
    return f"{pair}: ping {'is' if answered else 'is not'} answered; explain: {said.strip()}"


def _family(lab: Lab, pair: Pair) -> int:
    """The family that ping takes for a name: that of the first address in the sender's hosts."""
    found = lab[pair.source].run(["getent", "hosts", pair.target]).stdout
    four = lab[pair.source].run(["getent", "ahostsv4", pair.target]).stdout
    return 4 if four.strip() or not found.strip() else 6
