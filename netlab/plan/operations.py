"""The closed set of things that building a lab may do to the machine.

An operation is data: it can be printed, compared, hashed, stored as JSON, rendered as a shell
script or carried out. Each says its ``reason`` in a few words. Order matters and is the order of
the plan: all namespaces, then all wires, then node by node.

They are NamedTuples, not dataclasses: a stored plan is read back without importing
``dataclasses``, which alone would double the time of a small ``netlab up``. Annotations are not
postponed, since a NamedTuple compiles each one that is a string.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple, TypeAlias


class CreateNamespace(NamedTuple):
    """A new network namespace for ``node``."""

    node: str
    kind: str
    reason: str = ""


class SetSysctl(NamedTuple):
    """Write ``value`` to ``/proc/sys/net/ipv4/ip_forward`` for key ``net.ipv4.ip_forward``.

    With ``optional`` a key that this kernel does not have is passed over.
    """

    node: str
    key: str
    value: str
    optional: bool = False
    reason: str = ""


class VethEnd(NamedTuple):
    """One end of a veth pair: where it is born and with what identity."""

    node: str
    name: str
    ifindex: int
    mac: str
    mtu: int


class CreateVeth(NamedTuple):
    """A veth pair, each end made directly inside its namespace."""

    a: VethEnd
    b: VethEnd
    reason: str = ""


class CreateBridge(NamedTuple):
    """A bridge device (no spanning tree)."""

    node: str
    name: str
    ifindex: int
    mac: str
    mtu: int
    reason: str = ""


class CreateTun(NamedTuple):
    """A persistent layer-3 TUN device (no packet-information header)."""

    node: str
    name: str
    mtu: int
    reason: str = ""


class Enslave(NamedTuple):
    """Make ``name`` a port of the bridge ``master``."""

    node: str
    name: str
    master: str
    reason: str = ""


class AddAddress(NamedTuple):
    """Give an interface an address, written with its prefix length: ``10.0.0.2/24``."""

    node: str
    name: str
    address: str
    reason: str = ""


class SetUp(NamedTuple):
    """Bring an interface up."""

    node: str
    name: str
    reason: str = ""


class DisableOffloads(NamedTuple):
    """Give each packet its checksum and its own frame: no TSO, GSO, GRO, no checksum offload.

    Where a program reads frames, what offloads leave for hardware to do would never be done.
    """

    node: str
    name: str
    reason: str = ""


class AddRoute(NamedTuple):
    """A route; ``gateway`` is empty for a destination on the link itself.

    One with ``next_hops`` (gateway, interface, weight) has neither gateway nor interface, nor has
    one of a ``type`` that refuses. ``metric`` 0 and ``table`` 254 (main) are the kernel's defaults.
    """

    node: str
    destination: str
    gateway: str
    name: str
    reason: str = ""
    type: str = "unicast"
    source: str = ""
    metric: int = 0
    table: int = 254
    next_hops: tuple[tuple[str, str, int], ...] = ()

    @property
    def interfaces(self) -> tuple[str, ...]:
        """The interfaces that it leads out of."""
        return tuple(name for _, name, _ in self.next_hops) or ((self.name,) if self.name else ())


class AddRoutingRule(NamedTuple):
    """A rule that says which table decides about packets that match, or refuses them.

    ``version`` is 4 or 6; empty ``source``, ``destination``, ``iif``, ``oif`` and ``mark``
    (``0x7/0xff``) match everything; ``action`` is empty where there is a ``table``.
    """

    node: str
    version: int
    priority: int
    source: str = ""
    destination: str = ""
    iif: str = ""
    oif: str = ""
    mark: str = ""
    table: int = 0
    action: str = ""
    reason: str = ""


class AddNeighbour(NamedTuple):
    """A permanent neighbour entry, so that no ARP or ND packet is ever needed."""

    node: str
    name: str
    address: str
    mac: str
    reason: str = ""


class LoadRules(NamedTuple):
    """An nftables ruleset in nft's own text; loaded whole or not at all.

    ``origin`` is ``file:line`` of the topology for rules that the author wrote by hand, of the
    text's first line. ``is_block`` is whether each line of the text is one of the file.
    """

    node: str
    text: str
    origin: str = ""
    reason: str = ""
    is_block: bool = True


class WriteFile(NamedTuple):
    """A file that programs in ``node`` see at ``path`` instead of the machine's own."""

    node: str
    path: str
    content: str
    reason: str = ""


INHERIT = "inherit"
"""Not a variable: those that its value names are inherited from who starts the lab."""


def own_variables(environment: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The variables that the topology itself sets."""
    return {name: value for name, value in environment if name != INHERIT}


def inherited_variables(environment: Iterable[tuple[str, str]]) -> frozenset[str]:
    """The variables that are inherited besides those that always are."""
    return frozenset(w for name, value in environment if name == INHERIT for w in value.split())


class MakeDirectory(NamedTuple):
    """A directory that programs in ``node`` have to themselves, empty or the machine's copied."""

    node: str
    path: str
    is_copy: bool = False
    reason: str = ""


class StartProgram(NamedTuple):
    """Start a program in ``node`` and wait until it is ready.

    It is either a command, ``argv``, or a ``module`` of netlab, which gets ``arguments`` (plain
    JSON data): how Python is called is up to whoever starts it.

    ``ready`` is one of ``""`` (do not wait), ``port tcp 80``, ``log REGEX``, ``exit 0``;
    ``timeout`` in seconds. ``environment`` is added to the lab's own.
    """

    node: str
    program: str
    argv: tuple[str, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()
    ready: str = ""
    timeout: float = 10.0
    reason: str = ""
    module: str = ""
    arguments: Any = None
    isolate: bool = False
    """Whether it gets the node's network and nothing else to change."""

    def __hash__(self) -> int:
        return hash((self.node, self.program, self.argv))  # data has no hash


Operation: TypeAlias = (
    CreateNamespace
    | SetSysctl
    | CreateVeth
    | CreateBridge
    | CreateTun
    | Enslave
    | AddAddress
    | SetUp
    | DisableOffloads
    | AddRoute
    | AddRoutingRule
    | AddNeighbour
    | LoadRules
    | WriteFile
    | MakeDirectory
    | StartProgram
)


class InterfaceSummary(NamedTuple):
    """What ``status`` says of an interface."""

    name: str
    addresses: tuple[str, ...]
    mac: str
    peer: str
    """``node:interface`` at the other end, or empty."""


class NodeSummary(NamedTuple):
    """What ``status`` says of a node."""

    name: str
    kind: str
    interfaces: tuple[InterfaceSummary, ...]
    environment: tuple[tuple[str, str], ...] = ()
    isolate: bool = False


class Plan(NamedTuple):
    """All that ``up`` needs to know: no topology, no graph, no file."""

    name: str
    topology: str
    """The file that it came from, as the user wrote it."""
    nodes: tuple[NodeSummary, ...]
    operations: tuple[Operation, ...]
    suggestion: tuple[str, str] | tuple[()] = ()
    """Two nodes of which the first can ping the second by its name, if that was asked."""
