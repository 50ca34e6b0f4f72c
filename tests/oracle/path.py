"""Topologies drawn from a seed, by an author who knows each name, address and hop of the way."""

import itertools
import random
from dataclasses import dataclass, field
from typing import Any

import yaml

INTERFACES = ("eth0", "lan", "wan", "west", "east", "x", "y", "core", "office", "port7")


@dataclass
class Segment:
    """A link, or a LAN, between two neighbouring nodes of the way."""

    left: str
    left_if: str
    right: str
    right_if: str
    number: int
    subnets: tuple[str, str]
    hosts: dict[str, int]
    """The last part of the addresses of the nodes on it."""

    def address(self, node: str, family: int) -> str:
        return self.host(self.hosts[node], family)

    def host(self, number: int, family: int) -> str:
        """An address of this subnet, whether a node has it or not."""
        prefix = self.subnets[family == 6].partition("/")[0]
        return f"{prefix.removesuffix('0')}{number}" if family == 4 else f"{prefix}{number:x}"


@dataclass
class Path:
    """The way from ``nodes[0]`` to ``nodes[-1]`` and what stands beside it."""

    nodes: list[str]
    segments: list[Segment] = field(default_factory=list)
    forms: dict[str, dict[str, Any]] = field(default_factory=dict)
    links: list[dict[str, Any]] = field(default_factory=list)
    defaults: dict[str, Any] = field(default_factory=dict)
    families: tuple[int, ...] = (4, 6)
    copies: bool = False
    """Whether a switch floods to strangers, or a box sends packets twice."""

    @property
    def sender(self) -> str:
        return self.nodes[0]

    @property
    def receiver(self) -> str:
        return self.nodes[-1]

    @property
    def routers(self) -> list[str]:
        return self.nodes[1:-1]

    def target(self, family: int) -> str:
        """The receiver's address on this way."""
        return self.segments[-1].address(self.receiver, family)

    def source(self, family: int) -> str:
        return self.segments[0].address(self.sender, family)

    def before(self, node: str) -> Segment:
        """The segment by which packets come to a node."""
        return self.segments[self.nodes.index(node) - 1]

    def after(self, node: str) -> Segment:
        """The segment by which they leave it."""
        return self.segments[self.nodes.index(node)]

    def link(self, segment: Segment) -> dict[str, Any]:
        """The form of the first link of a segment: it keeps the segment's number."""
        return self.links[segment.number]

    def text(self) -> str:
        """The topology file."""
        document: dict[str, Any] = {"defaults": self.defaults} if self.defaults else {}
        document |= {"nodes": self.forms, "links": self.links}
        return yaml.dump(document, Dumper=_Dumper, sort_keys=False, width=1000)


class _Dumper(yaml.SafeDumper):
    """Raw nftables text stays readable: a block, so that each rule has a line."""


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.Node:
    style = "|" if "\n" in value else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _text)


def subnets(number: int) -> tuple[str, str]:
    """The IPv4 and the IPv6 subnet of a segment; documentation's prefixes are not short enough."""
    return f"10.{number + 1}.0.0/24", f"fd00:{number + 1:x}::/64"


def draw(
    rng: random.Random,
    *,
    length: int | None = None,
    copies: bool = False,
    shortest: int = 1,
    families: tuple[int, ...] = (4, 6),
) -> Path:
    """A way of ``length`` segments; with ``copies`` one of them multiplies packets."""
    if length is None:
        length = max(shortest, rng.choice((1, 2, 2, 3, 3, 4)))
    path = Path(["a", *(f"r{n}" for n in range(1, length)), "b"], families=families)
    path.copies = copies
    path.forms = {node: {"kind": "router"} if node in path.routers else {} for node in path.nodes}
    multiplies = rng.randrange(length) if copies else -1
    for number in range(length):
        left, right = path.nodes[number : number + 2]
        _segment(rng, path, number, left, right, multiplies=number == multiplies)
    return path


def _interface(rng: random.Random, path: Path, node: str) -> str:
    taken = {s.left_if for s in path.segments if s.left == node}
    taken |= {s.right_if for s in path.segments if s.right == node}
    return rng.choice([name for name in INTERFACES if name not in taken])


def _segment(
    rng: random.Random, path: Path, number: int, left: str, right: str, *, multiplies: bool
) -> None:
    hosts = dict(zip((left, right), rng.sample(range(1, 60), 2), strict=True))
    made = Segment(
        left,
        _interface(rng, path, left),
        right,
        _interface(rng, path, right),
        number,
        subnets(number),
        hosts,
    )
    path.segments.append(made)
    ends = [f"{left}:{made.left_if}", f"{right}:{made.right_if}"]
    shape = rng.choice(("switch", "switch", "switches", "duplicator")) if multiplies else "wire"
    if not multiplies and rng.random() < 0.2:
        shape = rng.choice(("switch", "box"))
    if shape in ("switch", "switches"):
        strangers = rng.randint(1, 3) if multiplies else 0
        _lan(rng, path, made, ends, strangers=strangers, switches=1 + (shape == "switches"))
        return
    link = {"ends": ends, "subnet": _subnets(path, made), "addresses": _addresses(path, made)}
    if shape == "duplicator":
        link["middleboxes"] = ["duplicator"]
    if shape == "box":
        link["delay"] = rng.choice(("0s", "2ms", "10ms"))
    path.links.insert(number, link)


def _subnets(path: Path, segment: Segment) -> list[str]:
    return [segment.subnets[family == 6] for family in path.families]


def _addresses(path: Path, segment: Segment) -> dict[str, list[str]]:
    return {node: [segment.address(node, f) for f in path.families] for node in segment.hosts}


def _lan(
    rng: random.Random,
    path: Path,
    segment: Segment,
    ends: list[str],
    *,
    strangers: int,
    switches: int,
) -> None:
    """Switches between both ends, and hosts that the packets are not for."""
    names = [f"s{segment.number}{letter}" for letter in "xyz"[:switches]]
    path.forms |= {name: {"kind": "bridge"} for name in names}
    path.forms[names[0]]["subnet"] = _subnets(path, segment)
    free = [n for n in range(60, 250) if n not in segment.hosts.values()]
    addresses = _addresses(path, segment)
    first = {"ends": [ends[0], names[0]], "addresses": {segment.left: addresses[segment.left]}}
    path.links.insert(segment.number, first)
    others = [
        {"ends": [ends[1], names[-1]], "addresses": {segment.right: addresses[segment.right]}}
    ]
    for index in range(strangers):
        name = f"c{segment.number}{index}"
        segment.hosts[name] = rng.choice([n for n in free if n not in segment.hosts.values()])
        own = [segment.address(name, family) for family in path.families]
        path.forms[name] = {}
        others.append({"ends": [f"{name}:eth0", rng.choice(names)], "addresses": {name: own}})
    others += [
        {"ends": [f"{one}:up{two}", f"{two}:down{one}"]} for one, two in itertools.pairwise(names)
    ]
    rng.shuffle(others)
    path.links += others
