"""Packets that arrive if nothing is in their way, and how to see whether they did."""

from typing import NamedTuple

from tests.oracle.ask import Flow
from tests.oracle.path import Path
from tests.oracle.sample import Draw, Question
from tests.oracle.truth import Cause, End, Truth
from tests.oracle.witness import (
    Door,
    Witness,
    accepted,
    counter,
    received,
    received_some,
    steady,
)

PORTS = (7, 25, 53, 80, 443, 5000, 8080, 33434)
UDP_ERRORS = ("NoPorts", "InErrors", "RcvbufErrors", "InCsumErrors")
PROTOCOLS = (47, 50, 89, 99, 143, 200, 253, 254, 255)
"""Numbers that Linux itself does nothing with while none of its modules is loaded."""


def name4(family: int, four: str, six: str) -> str:
    """The counter's name of that family."""
    return six if family == 6 else four


def echo_in(family: int) -> str:
    return name4(family, "Icmp.InEchos", "Icmp6InEchos")


def echo_reply_in(family: int) -> str:
    return name4(family, "Icmp.InEchoReps", "Icmp6InEchoReplies")


class Traffic(NamedTuple):
    """A flow and the socket that would take it."""

    flow: Flow
    family: int
    doors: list[Door]


def traffic(
    draw: Draw,
    path: Path,
    *,
    family: int = 0,
    protocol: str = "",
    size: int = 0,
    packets: int = 1,
    target: str = "",
    port: int = 0,
    receiver: str = "",
    listen: bool | None = None,
) -> Traffic:
    """Traffic from one end of the way to the other; what is not given is drawn."""
    rng = draw.rng
    family = family or draw.family()
    protocol = protocol or rng.choice(("icmp", "udp", "udp", "tcp", str(rng.choice(PROTOCOLS))))
    if protocol in ("tcp", "udp"):
        port = port or rng.choice(PORTS)
    receiver = receiver or path.receiver
    target = target or path.target(family)
    if size == 0 and protocol != "tcp":
        size = rng.choice((0, 0, 8, 100, 1000))
    if listen is None:
        listen = protocol != "icmp" and rng.random() < 0.3
    doors = [] if protocol == "icmp" or listen else [Door(receiver, protocol, family, port)]
    flow = Flow(
        path.sender, target, protocol, port, size, packets, six=family == 6, listen=bool(listen)
    )
    return Traffic(flow, family, doors)


def arrival(
    path: Path, sent: Traffic, *, receiver: str = "", twice: bool | None = None
) -> Question:
    """The question about packets that arrive, and whose answers do."""
    flow, family = sent.flow, sent.family
    receiver = receiver or path.receiver
    twice = path.copies if twice is None else twice
    witnesses: list[Witness]
    reply = None
    if flow.protocol == "icmp":
        witnesses = [
            counter(receiver, echo_in(family), flow.packets),
            counter(flow.source, echo_reply_in(family), flow.packets),
        ]
        reply = End(flow.source, Cause.ARRIVED)
    elif flow.protocol == "tcp":
        witnesses = [counter(receiver, "Tcp.PassiveOpens", flow.packets)]
        if sent.doors:
            witnesses.append(accepted(flow.packets))
        reply = End(flow.source, Cause.ARRIVED)
    elif sent.doors:
        # A duplicator makes more of them; a switch that floods does not.
        witnesses = [received_some() if twice else received(flow.packets)]
    else:
        witnesses = [counter(receiver, delivers(family), flow.packets), *unanswered(receiver)]
    ends = (End(receiver, Cause.ARRIVED),) * flow.packets
    return Question(flow, Truth(ends, reply), witnesses, sent.doors)


def death(sent: Traffic, end: End, witnesses: list[Witness]) -> Question:
    """The question about packets that all end alike, short of their destination."""
    never = [received(0)] if sent.doors and sent.flow.protocol != "tcp" else []
    if sent.doors and sent.flow.protocol == "tcp":
        never = [accepted(0)]
    ends = (end,) * sent.flow.packets
    return Question(sent.flow, Truth(ends), [*witnesses, *never], sent.doors)


def delivers(family: int) -> str:
    return name4(family, "Ip.InDelivers", "Ip6InDelivers")


def unanswered(receiver: str) -> list[Witness]:
    """The receiver refused nothing."""
    return [
        steady(receiver, "Ip.InUnknownProtos"),
        steady(receiver, "Ip6InUnknownProtos"),
        steady(receiver, "Icmp.OutDestUnreachs"),
        steady(receiver, "Icmp6OutDestUnreachs"),
        *(steady(receiver, f"Udp{six}{name}") for six in (".", "6") for name in UDP_ERRORS),
    ]


def reached(path: Path, node: str) -> list[Witness]:
    """Frames came to a node of the way, and none left it onwards.

    Nodes are silent of themselves and all neighbours known, so each frame is one of the flow.
    """
    at = path.nodes.index(node)
    witnesses = []
    if at:
        witnesses.append(counter(node, f"rx {path.before(node).right_if}"))
    if at < len(path.segments):
        witnesses.append(steady(node, f"tx {path.after(node).left_if}"))
    return witnesses
