"""What conntrack says of flows: how a node translates them, and which of them it has forgotten.

A packet that comes in as one direction of an entry goes out as the other direction turned round.
The kernel itself reports it, so it goes before likeness where equal packets of several flows
wait in one node. It is a preference, not a law: rules may rewrite a packet once more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from netlab.capture.evidence import Flow
from netlab.wire import address
from netlab.wire.view import TCP, UDP

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from netlab.capture.evidence import FlowEvent
    from netlab.trace.track import Track
    from netlab.wire.view import View

SURE = 16
"""What conntrack's word weighs beside likeness."""

LATER = 1_000_000_000
"""Nanoseconds after which an event that was read late can no longer have happened before."""


AT_ONCE = 500_000_000
"""Nanoseconds, less than the shortest timeout, within which a destroyed entry had been expired."""


def flow_of(packet: View) -> Flow | None:
    """The flow that conntrack takes a packet for; ``None`` if that cannot be seen."""
    if packet.fragment_offset or packet.key[0] == "fragment":
        return None
    source_port, destination_port = packet.source_port, packet.destination_port
    if packet.key[0] == "echo":
        source_port = destination_port = int.from_bytes(packet.transport[4:6], "big")
    return Flow(packet.source, packet.destination, packet.protocol, source_port, destination_port)


class Bindings:
    """The entries of all nodes, as far as their events were seen."""

    def __init__(self, events: Iterable[FlowEvent]) -> None:
        self._leads: dict[str, dict[Flow, set[Flow]]] = {}
        self._events: dict[tuple[str, Flow], list[FlowEvent]] = {}
        for event in events:
            self.add(event)

    def add(self, event: FlowEvent) -> None:
        """One more event, later than those before it."""
        leads = self._leads.setdefault(event.node, {})
        for came, other in ((event.original, event.reply), (event.reply, event.original)):
            leads.setdefault(came, set()).add(other.back)
            self._events.setdefault((event.node, came), []).append(event)

    def forget(self, event: FlowEvent) -> None:
        """Forget the oldest event of a flow; with the last one goes where the flow leads."""
        for came in (event.original, event.reply):
            events = self._events.get((event.node, came), [])
            if event in events:
                events.remove(event)
            if not events:
                self._events.pop((event.node, came), None)
                self._leads.get(event.node, {}).pop(came, None)

    def weight(self, node: str, leaving: View) -> Callable[[Track], int] | None:
        """How much speaks for and against a track to leave ``node`` so; ``None``: nothing known."""
        leads = self._leads.get(node)
        flow = flow_of(leaving) if leads else None
        if leads is None or flow is None:
            return None

        def weigh(track: Track) -> int:
            came = flow_of(track.view)
            known = leads.get(came) if came else None
            if known is None:
                return 0
            return SURE if flow in known else -SURE

        return weigh

    def translated(self, node: str, came: View, left: View) -> str:
        """The translation in words if conntrack knows this one, else empty."""
        before, after = flow_of(came), flow_of(left)
        if before is None or after is None or before == after:
            return ""
        if after not in self._leads.get(node, {}).get(before, ()):
            return ""
        return f"{_text(before)} as {_text(after)}"

    def has_gone(self, node: str, packet: View, now: int) -> bool:
        """Whether the entry of its flow had surely gone when ``packet`` was in ``node``."""
        before, after = self._around(node, packet, now)
        if not before or before[-1].kind != "destroy":
            return False
        return all(event.time_ns > now + LATER for event in after)

    def goes(self, node: str, packet: View, now: int) -> bool:
        """Whether the entry of its flow went just after ``packet`` was in ``node``.

        What finds an entry expired destroys it, so that the event comes after the packet.
        """
        _, after = self._around(node, packet, now)
        return bool(after) and after[0].kind == "destroy" and after[0].time_ns < now + AT_ONCE

    def _around(self, node: str, packet: View, now: int) -> tuple[list[FlowEvent], list[FlowEvent]]:
        flow = flow_of(packet)
        events = self._events.get((node, flow), []) if flow else []
        before = [event for event in events if event.time_ns < now]
        return before, events[len(before) :]


def _text(flow: Flow) -> str:
    source, destination = address.text(flow.source), address.text(flow.destination)
    if flow.protocol in (TCP, UDP):
        return f"{source}:{flow.source_port} > {destination}:{flow.destination_port}"
    return f"{source} > {destination}"
