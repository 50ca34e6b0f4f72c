"""What the stages between the file's form and the finished topology hand on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from netlab.topology.source import Scalar, find

if TYPE_CHECKING:
    from netlab.errors import Position
    from netlab.topology.model import Address, InterfaceAddress, Network
    from netlab.topology.problems import Problems
    from netlab.topology.schema import TopologyForm
    from netlab.topology.source import Listing, Mapping

BRIDGE = "br0"
"""The bridge device of a node of kind bridge."""
TUN = "tun0"
"""The TUN device of a node of kind stack."""
NAT64 = "nat64"
"""The TUN device of a NAT with a translator between IPv6 and IPv4."""


@dataclass(slots=True)
class TopologyBuilder:
    """A file whose form is right, or of which this much is.

    ``broken`` are the nodes that were left out for problems of their own; ``incomplete`` those
    that the file gives more wires than could be made of it, so that what they lack proves nothing.
    """

    form: TopologyForm
    tree: Mapping
    problems: Problems
    broken: frozenset[str] = frozenset()
    incomplete: frozenset[str] = frozenset()

    @property
    def partial(self) -> bool:
        """Whether wires are missing, so that nothing can be said of the graph as a whole."""
        return bool(self.incomplete)

    def at(self, *path: str | int) -> Scalar | Mapping | Listing:
        """The place of a value in the file."""
        return find(self.tree, path)

    def at_key(self, *path: str | int) -> Scalar | Mapping | Listing:
        """The place of a key in the file."""
        return find(self.tree, path, key=True)

    def origin(self, *path: str | int) -> Position:
        """As at, as the position that the finished topology keeps."""
        return self.problems.position(find(self.tree, path))

    def origin_of_text(self, *path: str | int) -> tuple[Position, bool]:
        """Where a text begins, and whether each line of it is a line of the file."""
        place = find(self.tree, path)
        position = self.problems.position(place)
        if isinstance(place, Scalar) and place.block:
            return position._replace(line=position.line + 1, column=1), True
        return position, False

    def origin_key(self, *path: str | int) -> Position:
        """As at_key, as the position that the finished topology keeps."""
        return self.problems.position(find(self.tree, path, key=True))


@dataclass(slots=True, eq=False)
class End:
    """One interface at one end of a link, filled in step by step.

    ``answers`` are further addresses that it must answer for: those of a stack behind it.
    """

    node: str
    interface: str
    link: int
    side: int
    mtu: int = 0
    mac: str = ""
    peer: End | None = None
    lan: Lan | None = None
    addresses: list[InterfaceAddress] = field(default_factory=list)
    answers: list[Address] = field(default_factory=list)
    unaddressed: bool = False
    """Whether the file says that it has none."""

    @property
    def networks(self) -> dict[int, Network]:
        """The subnets that it has an address of, by IP version."""
        return {} if self.lan is None or self.unaddressed else self.lan.networks

    def address(self, version: int) -> Address | None:
        """The first address of a family."""
        return next((a.ip for a in self.addresses if a.version == version), None)


@dataclass(slots=True, eq=False)
class Lan:
    """A broadcast domain: what one ARP request reaches.

    Either a wire between two nodes, or all wires that ``bridges`` join. ``ends`` are the
    interfaces that may have addresses, so the ports of bridges are not among them; ``links``
    are indices into the file's list; ``networks`` are by IP version. ``behind`` is, of a prefix
    that ends at a translation and has no link, the NAT and the key that declares it.
    """

    index: int = 0
    ends: list[End] = field(default_factory=list)
    links: list[int] = field(default_factory=list)
    bridges: list[str] = field(default_factory=list)
    networks: dict[int, Network] = field(default_factory=dict)
    behind: tuple[str, Literal["nat64", "nptv6"]] | None = None

    @property
    def name(self) -> str:
        """What a message calls it."""
        if self.behind:
            node, key = self.behind
            return f"the `{key}` of {node}"
        if self.bridges:
            return f"the LAN of {', '.join(self.bridges)}"
        return f"the link {' - '.join(f'{e.node}:{e.interface}' for e in self.ends)}"


@dataclass(slots=True)
class Wiring:
    """All wires (by index in the file), segments, and the ends of each node."""

    links: dict[int, tuple[End, End]]
    lans: list[Lan]
    by_node: dict[str, list[End]]

    def end(self, node: str, interface: str) -> End | None:
        """The end that is this interface."""
        return next((e for e in self.by_node.get(node, ()) if e.interface == interface), None)

    def neighbour(self, node: str, other: str, version: int, interface: str = "") -> Address | None:
        """The first address of ``other`` on a segment of ``node``, or of that interface of it."""
        for end in self.by_node.get(node, ()):
            if end.lan and interface in ("", end.interface):
                for far in end.lan.ends:
                    if far.node == other and (address := far.address(version)):
                        return address
        return None

    def addresses(self, node: str) -> list[Address]:
        """All addresses of a node, in the order of its interfaces."""
        ends = self.by_node.get(node, ())
        return [a.ip for e in ends for a in e.addresses] + [a for e in ends for a in e.answers]
