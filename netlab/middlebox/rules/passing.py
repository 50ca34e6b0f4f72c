"""Who is let through."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

from netlab.middlebox.kind import Kind, Row, Rules, depends
from netlab.middlebox.parameters import Parameter
from netlab.middlebox.rules import BEFORE_DEFRAGMENTATION, BEFORE_FILTER
from netlab.middlebox.rules import protocols as of
from netlab.middlebox.tracebox import LOST

if TYPE_CHECKING:
    from fractions import Fraction


def _forward(*statements: str) -> Rules:
    return Rules(tuple(Row("forward", BEFORE_FILTER, s) for s in statements))


PROTOCOLS = Parameter(
    "protocols", "protocols", "IP protocols by name or number", ("tcp", "udp", "icmp", "icmpv6")
)


def allow_list(protocols: tuple[str, ...]) -> Rules:
    """All but the protocols of the list are dropped."""
    return _forward(f"{of(protocols)} counter return", "counter drop")


def first_packet_only(except_protocols: tuple[str, ...]) -> Rules:
    """Only the first packet of each flow, counted by conntrack."""
    return _forward(
        f"{of(except_protocols, unlike=True)} ct direction original"
        " ct original packets > 1 counter drop"
    )


def every_nth(n: int, protocols: tuple[str, ...]) -> Rules:
    """The nth, 2nth, 3nth packet is dropped."""
    return _forward(f"{of(protocols)} numgen inc mod {n} == {n - 1} counter drop")


def lost_numbers(loss: Fraction, period: int, seed: int) -> list[int]:
    """Which packets of each period are lost; nft's own `numgen random` has no seed."""
    return sorted(Random(seed).sample(range(period), round(loss * period)))  # noqa: S311


def seeded_loss(loss: Fraction, period: int, seed: int, protocols: tuple[str, ...]) -> Rules:
    """Exactly ``loss`` of each ``period`` packets, the same ones in each period."""
    numbers = lost_numbers(loss, period, seed)
    if not numbers:
        return Rules(())
    verdicts = ", ".join(map(str, numbers))
    return _forward(f"{of(protocols)} numgen inc mod {period} {{ {verdicts} }} counter drop")


def trailing_fragments() -> Rules:
    """All fragments but the first."""
    return Rules(
        (
            Row("prerouting", BEFORE_DEFRAGMENTATION, "ip frag-off & 0x1fff != 0 counter drop"),
            Row("prerouting", BEFORE_DEFRAGMENTATION, "frag frag-off != 0 counter drop"),
        )
    )


def mtu_black_hole() -> Rules:
    """The node's own "too big" messages never leave it, and none passes."""
    v4 = "icmp type destination-unreachable icmp code frag-needed counter drop"
    v6 = "icmpv6 type packet-too-big counter drop"
    return Rules(
        tuple(
            Row(hook, BEFORE_FILTER, statement)
            for hook in ("output", "forward")
            for statement in (v4, v6)
        )
    )


def outbound_only(inside: str) -> Rules:
    """Flows begin inside."""
    return _forward(
        "ct state established,related counter return",
        f'iifname "{inside}" counter return',
        "counter drop",
    )


def block(ports: tuple[int, ...], hosts: tuple[str, ...], protocols: tuple[str, ...]) -> Rules:
    """Named ports and hosts."""
    statements = []
    if ports:
        numbers = ", ".join(map(str, ports))
        statements.append(f"{of(protocols)} th dport {{ {numbers} }} counter drop")
    for family, version in (("ip", "."), ("ip6", ":")):
        named = ", ".join(h for h in hosts if version in h)
        if named:
            statements.append(f"{family} daddr {{ {named} }} counter drop")
    return _forward(*statements)


def icmp_filter(types: tuple[str, ...]) -> Rules:
    """ICMP messages of the named types, those that the node itself sends too."""
    named = ", ".join(types)
    return Rules(
        tuple(
            Row(hook, BEFORE_FILTER, f"icmp type {{ {named} }} counter drop")
            for hook in ("forward", "output")
        )
    )


def strict_window() -> Rules:
    """TCP segments that conntrack finds outside the window, or acknowledging what was not sent."""
    return _forward("meta l4proto 6 ct state invalid counter drop")


# The effect on a SYN to port 80, and of numbered datagrams to port 5000.


def _lost_unless(protocol: str, protocols: tuple[str, ...]) -> tuple[str, ...]:
    return () if protocol in protocols else LOST


def _all_or_none(count: int, *, passes: bool) -> list[int]:
    return list(range(count)) if passes else []


def _every_nth_arrives(count: int, n: int, protocols: tuple[str, ...]) -> list[int]:
    return [i for i in range(count) if "udp" not in protocols or i % n != n - 1]


def _seeded_arrivals(
    count: int, loss: Fraction, period: int, seed: int, protocols: tuple[str, ...]
) -> list[int]:
    lost = lost_numbers(loss, period, seed) if "udp" in protocols else []
    return [i for i in range(count) if i % period not in lost]


def _blocked(
    port: int, protocol: str, *, ports: tuple[int, ...], protocols: tuple[str, ...], **_: object
) -> bool:
    return port in ports and protocol in protocols


KINDS = (
    Kind(
        "allow-list",
        "A cloud firewall that knows three protocols. Whatever else is above IP is dropped without"
        " a word, in both directions; the owner of the virtual machine cannot change it.",
        "HDP article (cloud provider that passes ICMP, TCP and UDP only); RFC 3234 section 2.9",
        "Packets of any other protocol never arrive and no ICMP error comes back.",
        (PROTOCOLS,),
        rules=allow_list,
        changes=lambda protocols: _lost_unless("tcp", protocols),
        arrivals=lambda count, protocols: _all_or_none(count, passes="udp" in protocols),
    ),
    Kind(
        "first-packet-only",
        "The first packet of a flow passes, later ones do not: what a fast path does that knows"
        " only TCP and UDP, once the slow path has let the first packet of another protocol"
        " through.",
        "HDP article (one packet arrives, then nothing)",
        "One packet per flow arrives; a flow that was silent for the generic timeout (600 s) gets"
        " one more.",
        (
            Parameter(
                "except-protocols",
                "protocols",
                "IP protocols that the fast path knows",
                ("tcp", "icmp", "icmpv6"),
            ),
        ),
        rules=first_packet_only,
        arrivals=lambda count, except_protocols: list(
            range(count if "udp" in except_protocols else min(count, 1))
        ),
    ),
    Kind(
        "every-nth",
        "Drops each nth packet that passes, counted over both directions from the moment the lab"
        " is up. No randomness: packet number n, 2n, 3n is the one that is missing.",
        "a lab's own instrument",
        "Loss with a strict period.",
        (
            Parameter("n", "integer", "which packet, at least 2", 3, least=2, most=1_000_000),
            PROTOCOLS,
        ),
        rules=every_nth,
        changes=depends,
        arrivals=_every_nth_arrives,
    ),
    Kind(
        "seeded-loss",
        "Drops an exact share of the packets, at positions drawn from a seed: 3/20 is three of"
        " each twenty, never four. Two runs with one seed lose the same packets.",
        "a lab's own instrument",
        "Loss of the declared share; the same packets are lost in each run.",
        (
            Parameter("loss", "share", "the share that is lost", required=True),
            Parameter("period", "integer", "packets after which the pattern repeats", 100, 1, 4096),
            Parameter("seed", "integer", "where the positions are drawn from", 0),
            PROTOCOLS,
        ),
        rules=seeded_loss,
        changes=depends,
        arrivals=_seeded_arrivals,
    ),
    Kind(
        "trailing-fragments",
        "Passes the first fragment, which has the ports, and drops the rest, which have none:"
        " what a port filter does that does not reassemble. Both IP versions.",
        "RFC 4787 section 11 (fragments), RFC 7872 (IPv6 fragments in the wild)",
        "Packets above the MTU never arrive; after 30 s the receiver gives up reassembly.",
        rules=trailing_fragments,
    ),
    Kind(
        "mtu-black-hole",
        "Sends no message, and lets none pass, that says a packet is too big. Path MTU discovery"
        " waits for ever.",
        "RFC 2923 section 2.1, RFC 4821",
        "Small packets pass, full-sized ones with DF set vanish; a TCP connection opens and hangs.",
        rules=mtu_black_hole,
    ),
    Kind(
        "outbound-only",
        "A stateful firewall: flows begin inside, their answers pass, nothing else comes in.",
        "RFC 3234 section 2.9, RFC 6092",
        "Connections from outside time out; those from inside work.",
        (Parameter("inside", "word", "the interface on the inside", required=True),),
        rules=outbound_only,
    ),
    Kind(
        "block",
        "Drops what goes to the named ports or hosts.",
        "RFC 3234 section 2.9",
        "Connections to the named ports or hosts time out; others work.",
        (
            Parameter("ports", "integers", "destination ports", (), least=1, most=65535),
            Parameter("hosts", "words", "destination addresses or networks", ()),
            Parameter("protocols", "protocols", "protocols that have ports", ("tcp", "udp")),
        ),
        rules=block,
        changes=lambda **p: LOST if _blocked(80, "tcp", **p) else (),
        arrivals=lambda count, **p: _all_or_none(count, passes=not _blocked(5000, "udp", **p)),
    ),
    Kind(
        "icmp-filter",
        "Drops ICMP messages by type. Without errors from the path an end learns of nothing but"
        " silence.",
        "Hätönen et al. 2010 (ten kinds of ICMP error); RFC 5508 REQ-10",
        "The named messages do not arrive: no traceroute, or no port unreachable.",
        (
            Parameter(
                "types",
                "words",
                "ICMP types as nft names them",
                ("destination-unreachable", "time-exceeded", "parameter-problem"),
            ),
        ),
        rules=icmp_filter,
    ),
    Kind(
        "strict-window",
        "A TCP filter that follows the sequence numbers: segments outside the window and ACKs of"
        " data that was never sent are dropped.",
        "Honda et al. 2011 (ACK of unsent data); Linux conntrack",
        "An ACK above SND.NXT of the other end does not arrive.",
        rules=strict_window,
    ),
)
