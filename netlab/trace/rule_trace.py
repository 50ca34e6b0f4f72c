"""A packet's passage through the rules of one node: nft's trace, put back together.

nft tells of each step in a message of its own, without time and with the packet's headers only at
the start of a chain. What makes a passage of them is the trace id and the rule by which our own
table switched tracing on: no other comes before it, so it marks the beginning.
"""

from __future__ import annotations

from collections import deque
from itertools import islice
from typing import TYPE_CHECKING

from netlab.wire.ipv6 import EXTENSION_HEADERS, HEADER_LENGTH
from netlab.wire.view import MALFORMED, View, view

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from netlab.capture.evidence import RuleVerdict
    from netlab.wire.view import Key

OBSERVER_TABLE = "netlab_observe"

MOST_ALIKE = 64
"""How many packets that look the same are distinguished; beyond, order alone decides."""


LATER = 20
"""Octets that nft shows of an IPv6 fragment after the first: the start of its IP header."""


def as_traced(headers: bytes) -> tuple[View | None, Key | None]:
    """The packet that nft's trace shows, as far as it does, and what identifies it there.

    Of IPv6 nft leaves the extension headers out: behind the fixed header comes the transport's,
    though the next header says otherwise. ``Key`` is that of ``traced``.
    """
    if not headers or headers[0] >> 4 != 6:
        packet = view(headers)
        return packet, packet and packet.exact
    payload_length = int.from_bytes(headers[4:6], "big")
    if len(headers) == LATER:
        return None, ("later", payload_length, headers[8:20])
    if len(headers) > HEADER_LENGTH and headers[6] in EXTENSION_HEADERS:
        source, destination, transport = headers[8:24], headers[24:40], headers[HEADER_LENGTH:]
        key: Key = ("beyond", payload_length, source, destination, transport[:20])
        packet = View(6, source, destination, headers[6], key, payload_length, transport)
        return packet, key
    packet = view(headers)
    return packet, packet and packet.exact


def traced(packet: View) -> Key:
    """What identifies a packet in nft's trace."""
    if packet.protocol == MALFORMED and packet.version == 6:
        # Its extension headers cannot be read, which nft does not try.
        _, key = as_traced(packet.transport)
        return key or packet.exact
    if not packet.extensions_length:
        return packet.exact
    payload_length = packet.extensions_length + packet.length
    if packet.fragment_offset:
        return ("later", payload_length, packet.source[:12])
    return ("beyond", payload_length, packet.source, packet.destination, packet.transport[:20])


class RuleTrace:
    """The steps of one packet in one node.

    ``arrived`` is the packet as it met the first rule, ``last_seen`` as it met the last chain;
    ``key`` is what identifies it.
    """

    __slots__ = (
        "arrived",
        "dropped",
        "evidence",
        "key",
        "last_seen",
        "local",
        "node",
        "number",
        "steps",
    )

    def __init__(self, node: str, number: int, *, local: bool) -> None:
        self.node = node
        self.number = number
        self.local = local
        self.arrived: View | None = None
        self.last_seen: View | None = None
        self.key: Key | None = None
        self.steps: list[RuleVerdict] = []
        self.evidence: list[RuleVerdict] = []
        """The steps and those of the observer's own table."""
        self.dropped: RuleVerdict | None = None

    def add(self, verdict: RuleVerdict) -> None:
        """One more step; those of the observer's own table count only for their headers."""
        if verdict.headers:
            self.last_seen, key = as_traced(verdict.headers)
            self.arrived = self.arrived or self.last_seen
            self.key = self.key or key
        self.evidence.append(verdict)
        if verdict.table == OBSERVER_TABLE:
            return
        self.steps.append(verdict)
        if verdict.verdict == "drop":
            self.dropped = verdict

    @property
    def taken(self) -> RuleVerdict | None:
        """The last step, if a rule kept the packet (synproxy), or gave it to a program (queue)."""
        last = self.steps[-1] if self.steps else None
        return last if last and last.verdict in ("stolen", "queue") else None


def rule_traces(verdicts: Iterable[RuleVerdict]) -> list[RuleTrace]:
    """All passages, in the order in which they began."""
    begun: list[RuleTrace] = []
    current: dict[tuple[str, int], RuleTrace] = {}
    for verdict in verdicts:
        which = (verdict.node, verdict.trace_id)
        ours = verdict.table == OBSERVER_TABLE
        marks = ours and (verdict.kind, verdict.verdict) == ("rule", "accept")
        rule_trace = current.get(which)
        if rule_trace is None or marks:
            rule_trace = RuleTrace(verdict.node, len(begun), local=verdict.hook == "output")
            current[which] = rule_trace
            begun.append(rule_trace)
        rule_trace.add(verdict)
    return begun


class RuleTraces:
    """Passages that wait for the frame that they belong to."""

    def __init__(self, verdicts: Iterable[RuleVerdict]) -> None:
        self._waiting: dict[tuple[str, bool, Key], deque[RuleTrace]] = {}
        for rule_trace in rule_traces(verdicts):
            if rule_trace.key:
                where = (rule_trace.node, rule_trace.local, rule_trace.key)
                self._waiting.setdefault(where, deque()).append(rule_trace)

    def arriving(self, node: str, packet: View) -> RuleTrace | None:
        """The passage of a packet that came in: frames and passages keep the same order."""
        return self._take((node, False, traced(packet)), packet)

    def leaving(self, node: str, packet: View) -> RuleTrace | None:
        """The passage of a packet that was made in the node and came out of it."""
        return self._take((node, True, traced(packet)), packet, alive=True)

    def dying(self, node: str, packet: View) -> RuleTrace | None:
        """The passage of a packet that was made in the node and never came out of it."""
        return self._take((node, True, traced(packet)), packet)

    def _take(
        self, where: tuple[str, bool, Key], packet: View, *, alive: bool = False
    ) -> RuleTrace | None:
        queue = self._waiting.get(where)
        if not queue:
            return None
        fit = [p for p in islice(queue, MOST_ALIKE) if not (alive and p.dropped)]
        if not fit:
            return None
        # Equal so far; the transport's checksum, if it is already there, tells payloads apart.
        start = packet.transport[:20]
        taken = next((p for p in fit if p.arrived and p.arrived.transport == start), fit[0])
        queue.remove(taken)
        return taken

    def rest(self) -> Iterator[RuleTrace]:
        """The passages that no frame claimed."""
        for queue in self._waiting.values():
            yield from queue
