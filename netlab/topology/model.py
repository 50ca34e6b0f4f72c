"""The topology as the rest of netlab sees it: complete, consistent and frozen.

Nothing here is unknown or left to guess: every interface has a name, a MAC address and its
addresses, every node its routes. The file's short forms and defaults are gone; what stays of the
file is the ``origin`` of each thing that a user may want to be led back to.

Shapes::

    Topology ─┬─ nodes ── Node ─┬─ interfaces ── Interface
              └─ links ── Link  ├─ routes ────── Route ─── NextHop
                                ├─ rules ─────── RoutingRule
                                ├─ neighbours ── Neighbour
                                ├─ nat ───────── Masquerade | StaticNat | nat.Translator | Nat64
                                │               | Nptv6
                                ├─ firewall ──── Firewall ── Rule
                                ├─ middleboxes ─ Box
                                ├─ files ─────── File
                                └─ programs ──── Program ─── Ready
"""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import (
    IPv4Address,
    IPv4Interface,
    IPv4Network,
    IPv6Address,
    IPv6Interface,
    IPv6Network,
)
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

if TYPE_CHECKING:
    from netlab.errors import Position
    from netlab.topology.nat import Translator

Address: TypeAlias = IPv4Address | IPv6Address
InterfaceAddress: TypeAlias = IPv4Interface | IPv6Interface
Network: TypeAlias = IPv4Network | IPv6Network

NodeKind: TypeAlias = Literal["host", "router", "nat", "bridge", "stack", "inline"]
RouteType: TypeAlias = Literal["unicast", "blackhole", "unreachable", "prohibit", "throw"]
MAIN_TABLE = 254
"""RT_TABLE_MAIN (include/uapi/linux/rtnetlink.h)."""
InterfaceKind: TypeAlias = Literal["veth", "bridge", "tun"]


@dataclass(frozen=True, slots=True)
class Interface:
    """One network device of a node, the loopback excepted.

    ``ifindex`` is the index inside the node's namespace (``lo`` is 1, so these start at 2).
    ``master`` names the bridge device of the same node that this one is a port of. ``peer`` is
    ``(node, interface)`` at the other end of the link, for a veth.
    """

    name: str
    kind: InterfaceKind
    ifindex: int
    mac: str
    mtu: int
    addresses: tuple[InterfaceAddress, ...]
    peer: tuple[str, str] | None = None
    master: str | None = None
    origin: Position | None = None


@dataclass(frozen=True, slots=True)
class NextHop:
    """One way of a route that has several; ``weight`` is its share of the flows."""

    gateway: Address | None
    interface: str
    weight: int = 1


@dataclass(frozen=True, slots=True)
class Route:
    """A route of one node: ``destination`` by way of ``gateway``, out of ``interface``.

    One with ``next_hops`` has neither, nor has one of a ``type`` that refuses (ip-route(8)).
    ``metric`` 0 is the kernel's default for the family. ``table`` 254 is ``main``.
    """

    destination: Network
    gateway: Address | None
    interface: str
    origin: Position | None = None
    """Where the author wrote it; ``None`` for a route found by shortest path."""
    type: RouteType = "unicast"
    source: Address | None = None
    metric: int = 0
    table: int = MAIN_TABLE
    next_hops: tuple[NextHop, ...] = ()


@dataclass(frozen=True, slots=True)
class RoutingRule:
    """Which ``table`` decides about packets that match, or that they are refused (ip-rule(8)).

    ``mark`` is value and mask. ``action`` is empty where there is a table.
    """

    priority: int
    version: Literal[4, 6]
    source: Network | None = None
    destination: Network | None = None
    incoming: str = ""
    outgoing: str = ""
    mark: tuple[int, int] | None = None
    table: int = 0
    action: Literal["", "blackhole", "unreachable", "prohibit"] = ""
    origin: Position | None = None


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A permanent ARP (RFC 826) or Neighbour Discovery (RFC 4861) entry."""

    interface: str
    address: Address
    mac: str


@dataclass(frozen=True, slots=True)
class Masquerade:
    """Rewrite the source of what leaves by ``outside`` to that interface's own address.

    Unsolicited packets that arrive on ``outside`` for the NAT itself are dropped: were they let
    in, they would take the tuple that an inside host's next flow needs.
    """

    outside: str
    origin: Position | None = None


@dataclass(frozen=True, slots=True)
class StaticNat:
    """One outside address maps to one inside host, both ways, for every protocol.

    With ``protocol`` and ports only that port is forwarded (RFC 4787 "static mapping").
    """

    outside: str
    outside_address: Address
    inside_address: Address
    protocol: Literal["tcp", "udp"] | None = None
    outside_port: int | None = None
    inside_port: int | None = None
    origin: Position | None = None


@dataclass(frozen=True, slots=True)
class Nat64:
    """IPv6 hosts inside reach IPv4 hosts outside by addresses below ``prefix`` (RFC 6146, 6052).

    A translator of packets (RFC 7915) lends each inside host an address of ``lent``, which the
    other translations of the node then hide as they do with any inside address. ``own`` is its
    IPv4 address, ``mtu`` the smallest of the IPv6 links, ``outsides`` the interfaces by which
    translated packets leave.
    """

    prefix: IPv6Network
    lent: IPv4Network
    own: IPv4Address
    mtu: int
    outsides: tuple[str, ...]
    origin: Position | None = None


@dataclass(frozen=True, slots=True)
class Nptv6:
    """One prefix is translated to another, both ways, for every protocol (RFC 6296).

    ``blocks`` are all parts of ``inside`` that the lab has, each with what it is outside: as many
    bits, the word that keeps checksums as they are among them.
    """

    outsides: tuple[str, ...]
    inside: IPv6Network
    outside: IPv6Network
    blocks: tuple[tuple[IPv6Network, IPv6Network], ...]
    origin: Position | None = None


Nat: TypeAlias = "Masquerade | StaticNat | Translator | Nat64 | Nptv6"


@dataclass(frozen=True, slots=True)
class Rule:
    """One firewall rule in the short form of the file, already parsed.

    ``matches`` are nft match expressions in order (``iifname "lan"``, ``tcp dport 80``);
    ``verdict`` is ``accept``, ``drop`` or an nft ``reject`` statement.
    """

    hook: Literal["input", "forward", "output"]
    matches: tuple[str, ...]
    verdict: str
    label: str
    origin: Position | None = None


@dataclass(frozen=True, slots=True)
class Firewall:
    """The filter chains of a node: a policy for each hook and the rules in file order."""

    policies: tuple[tuple[Literal["input", "forward", "output"], Literal["accept", "drop"]], ...]
    rules: tuple[Rule, ...]
    origin: Position | None = None


@dataclass(frozen=True, slots=True)
class Box:
    """A middlebox: a ``kind`` of the catalogue, or the class that ``python`` names.

    ``parameters`` are as the file gives them, those that are left out not among them.
    ``python`` is ``/ABSOLUTE/FILE.py:CLASS``.
    """

    kind: str
    parameters: tuple[tuple[str, object], ...] = ()
    python: str = ""
    seed: int = 0
    origin: Position | None = None


@dataclass(frozen=True, slots=True)
class File:
    """A file that programs of one node see in place of the machine's own (``/etc/hosts``)."""

    path: str
    content: str


@dataclass(frozen=True, slots=True)
class Directory:
    """A directory that programs of one node have to themselves, empty or a copy at first."""

    path: str
    is_copy: bool = False


@dataclass(frozen=True, slots=True)
class Ready:
    """When a program counts as started; exactly one of the three is set.

    ``port`` listens, as ``("tcp", 80)``; ``log`` is a regular expression that its output
    matches; ``exit`` is the exit code of a program that ends by itself. ``timeout`` in seconds.
    """

    port: tuple[Literal["tcp", "udp"], int] | None = None
    log: str | None = None
    exit: int | None = None
    timeout: float = 10.0


@dataclass(frozen=True, slots=True)
class Program:
    """A program that the lab starts in a node; ``argv`` goes to exec, never to a shell.

    netlab's own programs have a ``module`` in place of ``argv``, and ``arguments``: JSON data.
    """

    name: str
    argv: tuple[str, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()
    ready: Ready | None = None
    origin: Position | None = None
    module: str = ""
    arguments: Any = field(default=None, hash=False)


@dataclass(frozen=True, slots=True)
class Node:
    """A network namespace and all that is in it.

    ``nftables`` is raw ruleset text by the author, loaded after what netlab makes itself;
    ``nftables_origin`` is the position of its first line; in a block the other lines follow it.
    ``sysctls`` are names below ``/proc/sys`` with dots. ``stack_address`` is the address whose
    traffic a ``stack`` node hands to its TUN device.
    """

    name: str
    kind: NodeKind
    interfaces: tuple[Interface, ...] = ()
    routes: tuple[Route, ...] = ()
    rules: tuple[RoutingRule, ...] = ()
    neighbours: tuple[Neighbour, ...] = ()
    nat: tuple[Nat, ...] = ()
    firewall: Firewall | None = None
    middleboxes: tuple[Box, ...] = ()
    nftables: str = ""
    nftables_origin: Position | None = None
    nftables_is_block: bool = False
    sysctls: tuple[tuple[str, str], ...] = ()
    files: tuple[File, ...] = ()
    directories: tuple[Directory, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()
    isolate: bool = False
    programs: tuple[Program, ...] = ()
    stack_addresses: tuple[Address, ...] = ()
    ipv6_link_local: bool = False
    """Whether interfaces have IPv6 addresses of the kernel's making, fe80::/10."""
    forwarding: bool | None = None
    """What the author said of forwarding, against the kind's habit."""
    origin: Position | None = None

    @property
    def forwards(self) -> bool:
        """Whether packets may pass through this node."""
        if self.forwarding is not None:
            return self.forwarding
        return self.kind in ("router", "nat", "stack")


@dataclass(frozen=True, slots=True)
class Link:
    """A veth pair. ``networks`` are the subnets of the wire, empty on a bridge port.

    With ``middleboxes`` there is a program between two pairs; ``a`` is its first end.
    """

    a: tuple[str, str]
    b: tuple[str, str]
    networks: tuple[Network, ...] = ()
    origin: Position | None = None
    middleboxes: tuple[Box, ...] = ()


@dataclass(frozen=True, slots=True)
class Topology:
    """A whole lab, described."""

    name: str
    file: str
    description: str
    nodes: tuple[Node, ...]
    links: tuple[Link, ...]
    notes: tuple[str, ...] = field(default=(), compare=False)
    """What is right and may surprise, each with its place: for whoever checks a file."""

    def node(self, name: str) -> Node:
        """The node of that name.

        Raises:
            KeyError: there is none.
        """
        for node in self.nodes:
            if node.name == name:
                return node
        raise KeyError(name)
