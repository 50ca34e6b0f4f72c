"""What came of the packets that were sent to find out, and of the answers to them.

An answer is what the place of arrival sends back along the reversed flow: the reply to an echo,
what a listener returns, the SYN-ACK, and after that the ACK of the sender.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from netlab.trace.explain import ProbeResult
from netlab.trace.model import Traces
from netlab.trace.tree import below, end_of, receivers
from netlab.wire import icmp, tcp
from netlab.wire.address import is_multicast
from netlab.wire.view import ICMP, ICMPV6, TCP, quoted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from netlab.io.probes import Probes
    from netlab.trace.model import PacketTrace
    from netlab.wire.view import View


def probed(
    traces: Traces, probes: Probes, *, one_way: bool = False
) -> tuple[Traces, list[ProbeResult]]:
    """The traces of the probes and of all that came of them, and the result of each probe.

    Answers are among them unless it is ``one_way``.
    """
    everything = {packet_trace.id: packet_trace for packet_trace in traces}
    sent = _sent(traces, probes)
    results = [
        ProbeResult(
            number,
            end_of(parts, everything),
            probes.refusals.get(number, ""),
            _receivers(parts, everything),
        )
        for number, parts in sent.items()
    ]
    chosen = {
        one.id for parts in sent.values() for part in parts for one in below(part, everything)
    }
    if not one_way:
        answers = _Answers(traces, probes, everything)
        results = [answers.follow(result) for result in results]
        chosen |= answers.chosen
    return Traces((one for one in traces if one.id in chosen), traces.gaps), results


def _sent(traces: Traces, probes: Probes) -> dict[int, list[PacketTrace]]:
    """What left the sender, by the number of the probe."""
    parts: dict[int, list[PacketTrace]] = {number: [] for number in range(1, probes.count + 1)}
    datagrams: dict[tuple[object, ...], int] = {}
    for packet_trace in traces:
        packet = packet_trace.packet
        if packet_trace.parents or _is_echo_reply(packet):
            continue
        ports = (packet.source_port, packet.destination_port)
        number = probes.number_of(packet_trace.proto, ports, packet.transport)
        datagram = (packet.source, packet.destination, *packet.datagram)
        if number is None and packet.fragment_offset:
            number = datagrams.get(datagram)
        elif number is not None and packet.is_fragment:
            datagrams[datagram] = number
        if number in parts and not (packet.protocol == TCP and not packet.flags & tcp.SYN):
            parts[number].append(packet_trace)
    return parts


class _Answers:
    """The answers among some traces; each serves one probe."""

    def __init__(
        self, traces: Traces, probes: Probes, everything: Mapping[int, PacketTrace]
    ) -> None:
        self.chosen: set[int] = set()
        self._probes = probes
        self._everything = everything
        self._roots: dict[tuple[object, ...], list[PacketTrace]] = {}
        for one in traces:
            if not one.parents and quoted(one.packet) is None:
                self._roots.setdefault((one.origin, *_address_pair(one.packet)), []).append(one)

    def follow(self, result: ProbeResult) -> ProbeResult:
        """The same with its answer, if it arrived and there is one."""
        end = result.decisive
        if end is None or not end.arrived or end.last is None or result.receivers:
            return result
        found = []
        answer = self._first(end.node, end.last, end.time_ns, result.number, tcp.ACK)
        if answer:
            found.append(answer)
            if answer.proto == TCP and answer.arrived and not answer.packet.flags & tcp.RST:
                assert answer.last
                # The sender's ACK, without which the other end has no connection.
                third = self._first(
                    answer.node, answer.last, answer.time_ns, result.number, tcp.ACK
                )
                found += [third] if third else []
        return result._replace(answers=tuple(found))

    def _first(
        self, node: str, asked: View, since: int, number: int, flags: int
    ) -> PacketTrace | None:
        """The end of the first packet that goes back from there."""
        back = (node, *reversed(_address_pair(asked)))
        tries = [
            one
            for one in self._roots.get(back, ())
            if one.time_ns >= since
            and one.id not in self.chosen
            and self._is_answer(one.packet, asked, number, flags)
        ]
        if not tries:
            return None
        # Where a program answers, the kernel's own reset may have been held back by a rule.
        tries = [one for one in tries if not _is_held_back(one)] or tries
        first = tries[0].packet
        same = tries[:1]
        if first.is_fragment:
            same = [one for one in tries if one.packet.datagram == first.datagram]
        elif first.flags & tcp.SYN:  # which is sent again until it is acknowledged
            same = [one for one in tries if one.packet.flags & tcp.SYN]
        self.chosen |= {one.id for root in same for one in below(root, self._everything)}
        return end_of(same, self._everything)

    def _is_answer(self, packet: View, asked: View, number: int, flags: int) -> bool:
        if packet.protocol != asked.protocol:
            return False
        if packet.fragment_offset:
            return True
        if packet.protocol in (ICMP, ICMPV6):
            return _is_echo_reply(packet) and packet.transport[4:8] == asked.transport[4:8]
        if (packet.source_port, packet.destination_port) != (
            asked.destination_port,
            asked.source_port,
        ):
            return False
        if packet.protocol == TCP:
            after = asked.sequence + asked.payload_length + bool(asked.flags & tcp.SYN)
            return bool(packet.flags & flags) and packet.acknowledgement == after & 0xFFFFFFFF
        marked = self._probes.number_of_answer(packet.transport)
        return marked in (None, number)


def _receivers(parts: list[PacketTrace], everything: Mapping[int, PacketTrace]) -> tuple[str, ...]:
    """Who got it, of what is not for one node alone: sent to a group, or received by several."""
    found = receivers(parts, everything)
    is_for_many = any(is_multicast(part.packet.destination) for part in parts)
    return found if is_for_many or len(found) > 1 else ()


def _address_pair(packet: View) -> tuple[bytes, bytes]:
    return packet.source, packet.destination


def _is_held_back(one: PacketTrace) -> bool:
    return bool(one.packet.flags & tcp.RST) and not one.hops


def _is_echo_reply(packet: View) -> bool:
    return (packet.protocol, packet.transport[:1]) in (
        (ICMP, bytes([icmp.ECHO_REPLY])),
        (ICMPV6, bytes([icmp.V6_ECHO_REPLY])),
    )
