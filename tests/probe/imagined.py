"""A sweep that is only imagined: what its driver would report, and what would be captured."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from netlab.capture.evidence import Count, Evidence, KernelDrop, RuleVerdict
from netlab.hdp.probes import Attempt, Delivery, Probe, Sent, datagram, plan
from netlab.probe.join import join
from netlab.trace.build import build_traces
from netlab.wire import icmp, ipv4
from tests.trace.path import BACK, CLIENT, FORTH, OUTSIDE, SERVER, Tape

if TYPE_CHECKING:
    from netlab.probe.rows import Sweep

RUN = 0xBEEF

End = Callable[[Probe], str]
"""For each probe: ``received``, ``refused``, ``taken``, ``untranslated``, ``rule`` or ``clash``."""


def imagined(
    end: End, arguments: range = range(-1, 263), packets: int = 3
) -> tuple[Sent, Evidence]:
    """client -> nat -> router -> server; the time between two hops is 1 us."""
    tape = Tape()
    attempts: list[Attempt] = []
    deliveries: list[Delivery] = []
    verdicts: list[RuleVerdict] = []
    drops: list[KernelDrop] = []
    clashed = 0
    for number, probe in enumerate(plan(4, packets, arguments)):
        now = 1000 * (len(tape.frames) + 1)
        if probe.argument < 1:
            attempts.append(Attempt(probe, now, 22 if probe.argument < 0 else 93))
            continue
        attempts.append(Attempt(probe, now))
        octets = datagram(probe, RUN, now)
        header = ipv4.Header(CLIENT, SERVER, probe.argument & 0xFF, identification=number)
        packet = ipv4.encode(header, octets)
        what = end(probe)
        path = FORTH[:2] if what in ("rule", "clash") else FORTH
        for place in path:
            if place[2] == "out" and place != FORTH[0]:
                header = header._replace(ttl=header.ttl - 1)
            if place == ("nat", "wan", "out") and what != "untranslated":
                header = header._replace(source=OUTSIDE)
            tape.see(place, ipv4.encode(header, octets))
        if what == "rule":
            rule = RuleVerdict(
                "nat", number, "ip", "netlab", "forward", "forward", "rule", "drop",
                comment="allow-list nat.yaml:9", headers=packet[:40],
            )  # fmt: skip
            verdicts.append(rule)
        elif what == "clash":
            inside = 1000 * len(tape.frames) + 500
            drops.append(KernelDrop(inside, "nat", "NETFILTER_DROP", "nf_hook_slow", packet))
            clashed += 1
        elif what in ("received", "untranslated"):
            deliveries.append(Delivery(probe, 1000 * len(tape.frames), len(packet)))
        elif what == "refused":
            about = icmp.unreachable(ipv4.encode(header, octets), icmp.PROTOCOL_UNREACHABLE)
            answer = ipv4.Header(SERVER, OUTSIDE, icmp.PROTOCOL, identification=number)
            error = ipv4.encode(answer, icmp.encode(about, SERVER, OUTSIDE))
            for place in BACK:
                if place == ("nat", "lan", "out"):
                    about = icmp.unreachable(packet, icmp.PROTOCOL_UNREACHABLE)
                    translated = answer._replace(destination=CLIENT)
                    error = ipv4.encode(translated, icmp.encode(about, SERVER, CLIENT))
                tape.see(place, error)
    sent = Sent(4, RUN, "client", "server", True, tuple(attempts), tuple(deliveries))
    counts = (Count("nat", "conntrack.insert_failed", clashed),) if clashed else ()
    evidence = tape.evidence(verdicts=tuple(verdicts), drops=tuple(drops), counts=counts)
    return sent, evidence


def swept(end: End, arguments: range = range(-1, 263), packets: int = 3) -> Sweep:
    """The table of an imagined sweep."""
    return joined(*imagined(end, arguments, packets))


def joined(sent: Sent, evidence: Evidence) -> Sweep:
    """The table that follows from these."""
    return join(sent, evidence, build_traces(evidence))
