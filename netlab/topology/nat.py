"""What a NAT does, in the words of RFC 4787 (UDP), RFC 5382 (TCP) and RFC 5508 (ICMP).

A ``Translator`` is one NAPT (RFC 3022 section 2.2) at one outside interface, completely described:
how it maps, what it lets in, which ports it takes, how long it remembers. ``problems`` finds what
contradicts itself; ``netlab.plan.nat`` writes the rules.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias, get_args

if TYPE_CHECKING:
    from collections.abc import Iterator
    from ipaddress import IPv4Address

    from netlab.errors import Position

Dependence: TypeAlias = Literal[
    "endpoint-independent", "address-dependent", "address-and-port-dependent"
]
"""Of a mapping (RFC 4787 section 4.1) or of a filter (section 5): on what part of the remote
endpoint it depends."""

PortAssignment: TypeAlias = Literal[
    "preserve", "preserve-parity", "random", "sequential", "overload"
]
PortCounter: TypeAlias = Literal["nat", "destination"]
Pooling: TypeAlias = Literal["paired", "arbitrary"]
UnknownProtocols: TypeAlias = Literal["translate", "drop", "leak", "pool"]
Unsolicited: TypeAlias = Literal["drop", "reset"]
Ipv6: TypeAlias = Literal["route", "masquerade"]

DEPENDENCES: tuple[Dependence, ...] = get_args(Dependence)

MAXIMUM_ADDRESSES = 16
MAXIMUM_SESSIONS = 1_000_000
MAXIMUM_STEP = 1024
MINIMUM_COUNTED = 64
"""Ports that a NAT needs to count for each destination."""
MAXIMUM_BLOCKS = 16
"""An ordinary user's netlink takes 200 kB at once, and each block has a list of ports."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long an idle session is kept, in seconds; the defaults are what the RFCs ask for.

    ``udp``: RFC 4787 REQ-5 (c). ``tcp_established`` and ``tcp_transitory``: RFC 5382 REQ-5.
    ``icmp``: RFC 5508 REQ-2. ``other``: protocols that the NAT does not know, Linux's own default.
    The states of a connection, as conntrack names them, have ``tcp_transitory`` unless one is said.
    """

    udp: int = 300
    tcp_established: int = 7440
    tcp_transitory: int = 240
    icmp: int = 60
    other: int = 600
    tcp_syn_sent: int | None = None
    tcp_syn_recv: int | None = None
    tcp_fin_wait: int | None = None
    tcp_close_wait: int | None = None
    tcp_last_ack: int | None = None
    tcp_time_wait: int | None = None
    tcp_close: int | None = None


@dataclass(frozen=True, slots=True)
class Translator:
    """A NAPT that rewrites the source of what leaves by ``outside``.

    ``addresses`` are the outside addresses it may use, all owned by that interface.
    ``mapping`` and ``filtering`` hold for UDP and TCP alike.
    ``ports`` says which outside port a new mapping gets: the inside port while no other mapping
    has it (``preserve``), failing that one of the same parity (``preserve-parity``, RFC 4787
    REQ-4), any (``random``, RFC 6056), the next one (``sequential``), or the inside port even if
    another mapping has it (``overload``, what RFC 4787 REQ-3 forbids). ``port_step`` is how far
    the next one is, and with ``port_counter`` "destination" each remote address is counted for
    itself. ``port_range`` bounds all of them, inclusive: two ports are soon exhausted.
    ``port_block`` gives each inside address so many contiguous ports of it, by the address alone
    (RFC 7422); 0 gives all to all.
    ``hairpinning`` (REQ-9): inside hosts reach each other by their outside addresses; such packets
    are not filtered. ``inbound_refresh`` (REQ-6): packets from outside keep a mapping alive.
    ``icmp_errors``: errors about a translated packet are translated too (RFC 5508 REQ-4).
    ``unknown_protocols``: all but TCP, UDP and ICMP are translated by address alone as Linux does
    (one inside host per remote address), dropped, let out with their inside source, or given an
    outside address of their own for each inside host (``pool``).
    ``ipv6`` packets pass as they are, or with the address of the outside interface as their source
    ("NAT66"); the rest of the description is about IPv4.
    ``unsolicited``: what a TCP SYN from outside without a mapping meets (RFC 5382 REQ-4).
    ``sessions_per_subscriber`` bounds what one inside address may have under way (RFC 6888 REQ-4),
    0 nothing; a session beyond it is answered by "administratively prohibited" (REQ-11).
    """

    outside: str
    addresses: tuple[IPv4Address, ...]
    mapping: Dependence = "endpoint-independent"
    filtering: Dependence = "address-and-port-dependent"
    ports: PortAssignment = "preserve"
    port_range: tuple[int, int] = (1024, 65535)
    port_step: int = 1
    port_counter: PortCounter = "nat"
    port_block: int = 0
    hairpinning: bool = False
    pooling: Pooling = "paired"
    inbound_refresh: bool = True
    icmp_errors: bool = True
    unknown_protocols: UnknownProtocols = "translate"
    unsolicited: Unsolicited = "drop"
    ipv6: Ipv6 = "route"
    sessions_per_subscriber: int = 0
    timeouts: Timeouts = field(default_factory=Timeouts)
    preset: str = ""
    """The preset that it came from, for whoever reads the plan."""
    origin: Position | None = None


class Problem(NamedTuple):
    """One thing that cannot be: the key of the file that is at fault, what is wrong, a hint."""

    key: str
    message: str
    hint: str


def problems(nat: Translator) -> Iterator[Problem]:
    """Every contradiction within one NAT; none for a NAT that can be built."""
    if nat.ports == "overload" and nat.mapping == "address-and-port-dependent":
        yield Problem(
            "ports",
            f"ports {nat.ports} contradicts mapping {nat.mapping}: a port that stays the same"
            " for every destination is an endpoint-independent mapping",
            "say `ports: preserve`, which keeps a port while it is free, or another mapping",
        )
    low, high = nat.port_range
    if not 1 <= low <= 65535 or not 1 <= high <= 65535:
        yield Problem(
            "port-range", f"port range {low}-{high} is not within 1-65535", "as in 1024-65535"
        )
    elif low > high:
        yield Problem(
            "port-range", f"port range {low}-{high} is empty", f"the lower port first: {high}-{low}"
        )
    elif nat.ports == "preserve-parity" and low == high:
        yield Problem(
            "port-range",
            f"port range {low}-{high} has no port of the other parity",
            "give it at least two ports, or say `ports: preserve`",
        )
    yield from _port_problems(nat)
    if not 0 <= nat.sessions_per_subscriber <= MAXIMUM_SESSIONS:
        yield Problem(
            "sessions-per-subscriber",
            f"a limit of {nat.sessions_per_subscriber} sessions",
            f"from 1 to {MAXIMUM_SESSIONS}; without it there is none",
        )
    if not nat.addresses:
        yield Problem(
            "addresses", f"{nat.outside} has no IPv4 address to translate to", "give it one"
        )
    elif len(nat.addresses) > MAXIMUM_ADDRESSES:
        yield Problem(
            "addresses",
            f"a pool of {len(nat.addresses)} addresses; at most {MAXIMUM_ADDRESSES} are supported",
            "leave some out",
        )
    if len(set(nat.addresses)) < len(nat.addresses):
        yield Problem("addresses", "the pool names an address twice", "once is enough")
    if len(nat.addresses) == 1:
        if nat.unknown_protocols == "pool":
            yield Problem(
                "unknown-protocols",
                "unknown-protocols pool needs more than one outside address",
                "list them under `addresses`, and give them to the outside interface",
            )
        if nat.pooling == "arbitrary":
            yield Problem(
                "pooling",
                "pooling arbitrary needs more than one outside address",
                "list them under `addresses`, and give them to the outside interface",
            )
    elif nat.ports == "preserve-parity":
        yield Problem(
            "ports",
            "ports preserve-parity is supported with one outside address only",
            "say `ports: preserve`",
        )
    if nat.pooling == "arbitrary" and nat.mapping == "endpoint-independent":
        yield Problem(
            "pooling",
            "pooling arbitrary contradicts mapping endpoint-independent: one inside endpoint"
            " would show several outside addresses",
            "say `pooling: paired`, or a mapping that depends on the address",
        )
    for name in Timeouts.__dataclass_fields__:
        seconds = getattr(nat.timeouts, name)
        if seconds is not None and seconds < 1:
            yield Problem(
                "timeouts",
                f"timeout {name.replace('_', '-')} of {seconds} s",
                "at least one second",
            )


def _port_problems(nat: Translator) -> Iterator[Problem]:
    """What is wrong with sequences and blocks of ports."""
    low, high = nat.port_range
    for key, default in (("port_step", 1), ("port_counter", "nat")):
        if nat.ports != "sequential" and getattr(nat, key) != default:
            name = key.replace("_", "-")
            message = f"{name} says how ports follow each other, and ports {nat.ports} do not"
            yield Problem(name, message, "say `ports: sequential`")
    if not 1 <= nat.port_step <= MAXIMUM_STEP:
        message = f"a step of {nat.port_step} ports"
        yield Problem("port-step", message, f"from 1 to {MAXIMUM_STEP}")
    room = nat.port_block or high - low + 1
    if nat.port_counter == "destination" and room < MINIMUM_COUNTED:
        message = f"{room} ports, counted for each destination"
        yield Problem("port-counter", message, f"give it at least {MINIMUM_COUNTED} ports")
    if not nat.port_block:
        return
    if nat.ports == "preserve-parity":
        hint = "say `ports: preserve`, or leave out `port-block`"
        yield Problem("port-block", "blocks of ports and preserve-parity together", hint)
    if len(nat.addresses) > 1:
        hint = "leave out `addresses`, or `port-block`"
        yield Problem("port-block", "blocks of ports with several outside addresses", hint)
    if not 0 < nat.port_block <= max(high - low + 1, 0) // 2:
        message = f"a block of {nat.port_block} ports, and {low}-{high} holds no two of them"
        yield Problem("port-block", message, "a smaller block, or a larger `port-range`")


def blocks(nat: Translator) -> list[tuple[int, int]]:
    """The first and last port of each block; a power of two of them, at most ``MAXIMUM_BLOCKS``.

    An inside address has the block whose number is that of the address, modulo how many there are.
    """
    low, high = nat.port_range
    fit = min((high - low + 1) // nat.port_block, MAXIMUM_BLOCKS)
    count = 1 << fit.bit_length() - 1
    firsts = [low + number * nat.port_block for number in range(count)]
    return [(first, first + nat.port_block - 1) for first in firsts]


def is_pool(nat: Translator) -> bool:
    """True if the NAT has more than one outside address."""
    return len(nat.addresses) > 1
