"""What would become of the packets of a flow: a walk through the plan, without any packet.

    origin ─ route ─ output ─ postrouting ─► wire ─► prerouting ─ for this node? ─ input ─► there
                                              ▲           │
                                              └─ postrouting ─ forward ─ route ─ TTL

Later packets meet what earlier ones left behind: entries of conntrack, rules that count, boxes that
remember (``node.py``, ``nft/ruleset.py``, ``link_boxes.py``). An echo is answered, and the answer
walks back. Whether somebody else answers is not in the model, so what depends on that is
``unknown`` from then on, as are rules beyond what ``nft/evaluate.py`` reads and programs behind a
TUN device. A packet that reaches its node counts as delivered.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from netlab.predict.node import nodes
from netlab.predict.walk import Walk
from netlab.wire import tcp
from netlab.wire.address import packed
from netlab.wire.view import ICMP, ICMPV6, TCP, View

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from netlab.capture.evidence import NodeState
    from netlab.plan.operations import Plan
    from netlab.predict.node import Node
    from netlab.trace.model import PacketTrace


class Question(NamedTuple):
    """Packets to be: ``size`` counts the octets after the IP header, ``ttl`` 0 is the node's own.

    ``is_fresh`` is whether the lab has carried nothing yet. ``listens`` is whether a socket at the
    destination takes them and says nothing, if that is known.
    """

    node: str
    target: str
    proto: int
    port: int = 0
    size: int = 40
    ttl: int = 0
    packets: int = 1
    is_fresh: bool = True
    listens: bool = False


def _packet(asked: Question, target: bytes) -> View:
    version = 4 if len(target) == 4 else 6
    return View(
        version, bytes(len(target)), target, asked.proto, (asked.proto,), asked.size, b"",
        destination_port=asked.port, ttl=asked.ttl, dont_fragment=True,
        flags=tcp.SYN if asked.proto == TCP else 0,
    )  # fmt: skip


def predict(plan: Plan, question: Question) -> PacketTrace:
    """What the model says would happen to the first packet."""
    return next(predictions(plan, question))


def predictions(
    plan: Plan, question: Question, state: Mapping[str, NodeState] | None = None
) -> Iterator[PacketTrace]:
    """What the model says would happen to each packet; the source of all reasons is ``inferred``.

    The packets are of one flow, but for TCP, where each is a connection that is tried. ``state``
    is what was read of the nodes of a running lab.
    """
    places = nodes(plan, is_fresh=question.is_fresh, state=state)
    for number in range(1, question.packets + 1):
        packet = _packet(question, packed(question.target))
        flow = number if question.proto == TCP else 1
        walk = Walk(places, question.node, packet, flow)
        packet_trace = walk.run()._replace(id=number)
        yield packet_trace
        if not _is_all(places, walk, packet_trace, question):
            for place in places.values():
                place.doubt()


def _is_all(
    places: dict[str, Node], walk: Walk, packet_trace: PacketTrace, question: Question
) -> bool:
    """Whether it is known which packets there are because of one; an echo's reply walks back."""
    if not packet_trace.arrived:
        return walk.is_silent
    if question.proto not in (ICMP, ICMPV6):
        return question.listens and question.proto != TCP
    back = _reply(places, walk, packet_trace.node)
    return back.run().arrived or back.is_silent


def _reply(places: dict[str, Node], walk: Walk, node: str) -> Walk:
    """The way of an echo's reply."""
    asked = walk.packet
    reply = asked._replace(
        source=asked.destination,
        destination=asked.source,
        ttl=0,
        identification=0,
        more_fragments=False,
    )
    return Walk(places, node, reply, walk.flow, is_reply=True)


def is_answered(places: dict[str, Node], source: str, target: str, flow: int) -> bool:
    """Whether a ping of an address would be answered; ``flow`` is one not used before."""
    asked = Question(source, target, ICMP if "." in target else ICMPV6)
    walk = Walk(places, source, _packet(asked, packed(target)), flow)
    end = walk.run()
    return end.arrived and _reply(places, walk, end.node).run().node == source
