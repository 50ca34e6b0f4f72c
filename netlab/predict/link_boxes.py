"""What the boxes on a wire would do: the boxes themselves are asked, with a packet made for it.

A box is a function of packets and its memory, so in a lab that has just begun the answer is exact,
up to the moment at which packets come: they are taken to come at once. In a lab that runs already
a box is believed only if the packet leaves no trace in its memory.
"""

from __future__ import annotations

import pickle
from itertools import count
from typing import TYPE_CHECKING, Any, NamedTuple

from netlab.capture.evidence import BoxAction, BoxEvent
from netlab.middlebox.factory import line
from netlab.middlebox.packet import Packet
from netlab.middlebox.recorder import Did, Recorder
from netlab.trace.box_events import kept
from netlab.trace.disposition import Disposition
from netlab.trace.model import Reason
from netlab.wire import icmp, ipv4, ipv6, tcp, udp
from netlab.wire.view import ICMP, ICMPV6, TCP, UDP, view

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from netlab.middlebox import Chain, Direction
    from netlab.middlebox.recorder import Event
    from netlab.wire.view import View

PORT = 49152
"""The source port of a packet that has none yet."""

LONGEST = 1000
"""Times that a line is woken to let go of one packet."""

SEEN = ("source", "destination", "protocol", "ttl", "traffic_class", "identification", "length",
        "source_port", "destination_port")  # fmt: skip


class Kept(NamedTuple):
    """The end of a packet in a wire, and whether nobody hears of it."""

    disposition: Disposition
    reason: Reason
    is_silent: bool


class LinkBoxes:
    """The boxes of one wire, as its program gets them."""

    def __init__(self, described: Sequence[Mapping[str, Any]]) -> None:
        self.is_fresh = True
        """Whether every packet that the boxes have seen is known."""
        self._described = described
        self._foreign = next((d["python"] for d in described if "python" in d), "")
        self._line: Chain | None = None
        self._numbers = count(1)

    def carry(
        self, node: str, packet: View, direction: Direction, *, is_reply: bool
    ) -> View | Kept:
        """The packet as it leaves the wire, or its end there."""
        if self._foreign:
            return _unknown(f"the model does not run {self._foreign}, a box of the author's own")
        if packet.is_fragment:
            return _unknown("the model does not know what the boxes make of its fragments")
        if self._line is None or not self.is_fresh:
            self._line = line(self._described)
        before = None if self.is_fresh else _memory(self._line)
        made = Packet(octets(packet, is_reply=is_reply))
        left, deeds, answered = self._pass(self._line, made, direction)
        if before is not None and before != _memory(self._line):
            names = " and ".join(name.name for name in self._line.names)
            return _unknown(f"what {names} does depends on what it saw before")
        if any(deed.what == "cut" for deed in deeds):
            return _unknown("the model does not follow the pieces of a packet")
        if left is None:
            disposition, reason = kept(BoxEvent(node, ("", b""), deeds), node)
            return Kept(disposition, reason._replace(source="inferred"), is_silent=not answered)
        was, now = view(made.octets), view(left.octets)
        if was is None or now is None:
            return _unknown("the boxes make something else of it than an IP packet")
        changed = {f: getattr(now, f) for f in SEEN if getattr(now, f) != getattr(was, f)}
        return packet._replace(**changed)

    def _pass(
        self, boxes: Chain, packet: Packet, direction: Direction
    ) -> tuple[Packet | None, tuple[BoxAction, ...], bool]:
        """The packet when it leaves in its direction, or ``None``, and what was done with it.

        At last whether anything else left the line.
        """
        events: list[Event] = []
        boxes.recorder = Recorder(events.append, boxes.names, self._numbers)
        leaving = boxes.arrive(packet, direction, 0.0)
        number = packet.number

        def out() -> Packet | None:
            ways = ((way, left) for way, left in leaving if way == direction)
            return next((left for _, left in ways if left.number == number), None)

        for _ in range(LONGEST):
            due = boxes.next_due()
            if out() or due is None:
                break
            leaving += boxes.due(due)
        did = [event for event in events if isinstance(event, Did) and event.number == number]
        did.sort(key=lambda event: event.box if direction == "outbound" else -event.box)
        deeds = tuple(BoxAction(d.name, d.topology, d.what, d.text) for d in did)
        return out(), deeds, any(left is not out() for _, left in leaving)


def _unknown(text: str) -> Kept:
    return Kept(Disposition.UNKNOWN, Reason("inferred", text), is_silent=False)


def _memory(boxes: Chain) -> bytes:
    try:
        return pickle.dumps([vars(box) for box in boxes.boxes])
    except (pickle.PicklingError, AttributeError, TypeError):
        return repr(id(boxes)).encode() + repr(boxes.next_due()).encode()


def octets(packet: View, *, is_reply: bool = False) -> bytes:
    """A packet like this one, with octets of zero for what a view does not know."""
    body = _body(packet, is_reply=is_reply)
    if packet.version == 4:
        return ipv4.encode(
            ipv4.Header(
                packet.source,
                packet.destination,
                packet.protocol,
                packet.ttl,
                packet.identification,
                traffic_class=packet.traffic_class,
            ),
            body,
        )
    header = ipv6.Header(
        packet.source, packet.destination, packet.protocol, packet.ttl, packet.traffic_class
    )
    return ipv6.encode(header, body)


def _body(packet: View, *, is_reply: bool) -> bytes:
    ports = (packet.source_port or PORT, packet.destination_port)
    source, destination, size = packet.source, packet.destination, packet.length
    if packet.protocol == TCP:
        options = tcp.encode_options(tcp.Options(mss=1460, sack_permitted=True, window_scale=7))
        syn = tcp.Header(*ports, 1, 0, tcp.SYN, 64240, options)
        return tcp.encode(syn, b"", source, destination)
    if packet.protocol == UDP:
        return udp.encode(udp.Header(*ports), bytes(max(size - 8, 0)), source, destination)
    if packet.protocol in (ICMP, ICMPV6):
        message = icmp.echo_request(packet.version, 1, 1, bytes(max(size - 8, 0)))
        if is_reply:
            message = icmp.echo_reply(packet.version, message)
        return icmp.encode(message, source, destination)
    return bytes(size)
