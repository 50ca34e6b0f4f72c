"""How long a NAT remembers, and what refreshes it.

In a lab of ours time is made to pass for the node's flows (``netlab.lab.reconfigure.age``): hours
are tried at once, with the timeouts that it has. In somebody else's lab we wait: that a session is
kept for a little while is seen, that it is forgotten after hours is not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from netlab.topology.model import Masquerade
from netlab.verify.bench import PATIENCE
from netlab.verify.check import Check
from netlab.verify.crafted import datagram
from netlab.verify.expected import table
from netlab.verify.tap import NotMeasured

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from netlab.verify.nat_flows import Flow, Flows

KEPT = "kept, then forgotten"
EARLY, LATE = "forgotten early", "kept too long"
SHORT = 4
"""Seconds below which time is not made to pass but waited for."""

SOURCE = "RFC 4787 REQ-5; RFC 5382 REQ-5; RFC 5508 REQ-2"


def timeouts(flows: Flows) -> dict[str, int]:
    """The declared timeouts, in seconds."""
    nat = flows.nat
    if isinstance(nat, Masquerade):
        linux = table("nat")["linux"]
        own = dict(flows.bench.node.sysctls)
        return {
            name: int(own.get(linux["sysctls"][name], seconds))
            for name, seconds in linux["timeouts"].items()
        }
    times = nat.timeouts
    return {
        "udp": times.udp,
        "tcp_established": times.tcp_established,
        "tcp_transitory": times.tcp_transitory
        if times.tcp_syn_sent is None
        else times.tcp_syn_sent,
        "icmp": times.icmp,
    }


def check(flows: Flows, node: str) -> Iterator[Check]:
    """A row for each timeout, and one for what refreshes a mapping."""
    declared = timeouts(flows)
    sessions: dict[str, tuple[Callable[[], Flow], Callable[[Flow], bool]]] = {
        "udp": (lambda: flows.begin("udp"), flows.answer),
        "tcp_established": (flows.connect, flows.more),
        "tcp_transitory": (lambda: flows.begin("tcp"), flows.answer),
        "icmp": (lambda: flows.begin("icmp"), flows.answer),
    }
    waiting = {}
    for name, (begin, arrives) in sessions.items():
        seconds = declared[name]
        label = f"{name.replace('_', ' ')} timeout, {seconds} s"
        try:
            if flows.bench.own or seconds < SHORT:
                yield Check(node, label, KEPT, _at_rest(flows, begin, arrives, seconds),
                            f"two sessions, asked before and after {seconds} s of rest",
                            source=SOURCE)  # fmt: skip
            else:
                waiting[name] = label, begin(), arrives
        except (LookupError, NotMeasured) as error:
            yield Check(node, label, KEPT, str(error), source=SOURCE)
    if waiting:
        flows.bench.pass_time(PATIENCE)
    for name, (label, flow, arrives) in waiting.items():
        how = f"a session, asked after {PATIENCE} s of rest"
        if arrives(flow):
            why = f"kept for {PATIENCE} s; {declared[name]} s are not waited for in a running lab"
            yield Check(node, label, KEPT, None, how, why, SOURCE)
        else:
            yield Check(node, label, KEPT, EARLY, how, source=SOURCE)
    if not isinstance(flows.nat, Masquerade):
        yield _refresh(flows, node, declared["udp"])


def _at_rest(
    flows: Flows, begin: Callable[[], Flow], arrives: Callable[[Flow], bool], seconds: int
) -> str:
    kept, late = begin(), begin()
    if seconds < SHORT:
        if not arrives(kept):
            return EARLY
        flows.bench.taps.rest(seconds + 1.5)
    else:
        margin = max(2, min(seconds // 4, 30))
        flows.bench.pass_time(seconds - margin)
        if not arrives(kept):
            return EARLY
        flows.bench.pass_time(2 * margin)
    return LATE if arrives(late) else KEPT


def _refresh(flows: Flows, node: str, seconds: int) -> Check:
    """Whether packets of either side keep a UDP mapping alive."""
    nat = flows.nat
    assert not isinstance(nat, Masquerade)
    name = "refreshed by inbound packets"
    declared = "yes" if nat.inbound_refresh else "no"
    source = "RFC 4787 REQ-6"
    if not flows.bench.own or seconds < SHORT:
        why = "takes a lab of its own" if seconds >= SHORT else f"{seconds} s are too short"
        return Check(node, name, declared, None, why=why, source=source)
    try:
        flow, outbound = flows.begin("udp"), flows.begin("udp")
        half = seconds * 2 // 3
        flows.bench.pass_time(half)
        flows.arrives(flow, datagram(flow.remote, flow.outside))
        flows.bench.send(flows.inside, datagram(outbound.inside, outbound.remote))
        flows.bench.pass_time(half)
        lives = flows.answer(flow)
        measured = "yes" if lives else "no"
        if not flows.answer(outbound):
            measured = "not even by outbound ones"
    except LookupError as error:
        measured = str(error)
    how = f"two sessions, a packet after {seconds * 2 // 3} s and after as long again"
    return Check(node, name, declared, measured, how, source=source)
