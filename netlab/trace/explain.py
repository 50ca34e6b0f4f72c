"""The answer in one sentence: how many were sent, how many arrived, where the others died.

    3 sent, 1 arrived. #2 and #3 died in nat, forward chain, rule "first-packet-only" (nat.yaml:23).
    1 sent, 1 arrived. Its answer died in hostb: no route to 10.0.0.2.

What was sent counts, not its copies, pieces or what it was merged into (``netlab.trace.tree``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from netlab.trace.disposition import Disposition

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from netlab.trace.model import PacketTrace, Reason


NEVER_LEFT = "never-left"
"""In place of a disposition: the sender's kernel did not send it, or it still waits there."""


class ProbeResult(NamedTuple):
    """What came of one thing that was sent; ``decisive`` is the trace that its end follows from.

    ``refusal`` is what the sender's own kernel said instead of sending, if it did. ``receivers``
    are the nodes that got what is not for one node alone. ``answers`` are what came back: the
    answer, and of TCP the sender's ACK to it.
    """

    number: int
    decisive: PacketTrace | None
    refusal: str = ""
    receivers: tuple[str, ...] = ()
    answers: tuple[PacketTrace, ...] = ()

    @property
    def arrived(self) -> bool:
        """Whether all of it arrived."""
        return self.decisive is not None and self.decisive.arrived

    @property
    def is_known(self) -> bool:
        """Whether it is known if it arrived."""
        return self.decisive is None or self.decisive.disposition is not Disposition.UNKNOWN

    @property
    def is_answered(self) -> bool:
        """Whether nothing is known to have ended the answer, or TCP's handshake."""
        return all(answer.arrived for answer in self.answers)

    def to_json(self, sender: str, proto: int) -> dict[str, Any]:
        """The end of what ``sender`` sent, with its number, who got it, and what came back."""
        if self.decisive is None:
            end: dict[str, Any] = {
                "id": None,
                "label": "",
                "proto": proto,
                "disposition": NEVER_LEFT,
                "where": {"node": sender, "interface": ""},
                "reason": {"source": "sender", "text": self.refusal, "rule": "", "topology": ""},
                "hops": [],
            }
        else:
            end = self.decisive.to_json()
        return {
            "number": self.number,
            **end,
            "receivers": list(self.receivers),
            "answers": [answer.to_json() for answer in self.answers],
        }


def sentence(results: Sequence[ProbeResult]) -> str:
    """The answer."""
    arrived = sum(outcome.arrived for outcome in results)
    is_known = all(outcome.is_known for outcome in results)
    verb = "arrived" if is_known else "seen to arrive"
    found = [f"{len(results)} sent, {arrived or 'none'} {verb}."]
    groups: dict[str, list[int]] = {}
    for outcome in results:
        for end in _ends(outcome):
            groups.setdefault(end, []).append(outcome.number)
    for end, numbers in groups.items():
        who = "it" if len(results) == 1 else named(numbers)
        said = end.format(who=who, answer=_answer(who, numbers))
        found.append(f"{said[0].upper()}{said[1:]}.")
    return " ".join(found)


def _ends(outcome: ProbeResult) -> Iterator[str]:
    """What there is to say of a result, with braces for who it is about."""
    if not outcome.arrived:
        yield f"{{who}} {_escaped(_end(outcome))}"
        return
    if outcome.receivers:
        yield f"{{who}} reached {_list(outcome.receivers)}"
    for answer, name in zip(outcome.answers, ("answer", "ack"), strict=False):
        if not answer.arrived:
            before = "" if name == "answer" else "arrived; the ACK to it "
            yield f"{{answer}} {before}{_escaped(how_it_ended(answer))}"


def _answer(who: str, numbers: Sequence[int]) -> str:
    if who == "it":
        return "its answer"
    return f"the answer to {who}" if len(numbers) == 1 else f"the answers to {who}"


def _escaped(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}")


def _end(outcome: ProbeResult) -> str:
    if outcome.decisive is None:
        return f"never left: {outcome.refusal or 'no capture saw it'}"
    return how_it_ended(outcome.decisive)


def how_it_ended(packet_trace: PacketTrace) -> str:
    """``died in nat, forward chain, rule "x" (nat.yaml:23)``, of a packet that did not arrive."""
    where = f"in {packet_trace.node}"
    if packet_trace.disposition is Disposition.UNKNOWN and packet_trace.reason.program:
        return f"reached {packet_trace.node} and was {because(packet_trace.reason)}"
    if packet_trace.disposition is Disposition.UNKNOWN:
        return f"vanished {where}: {packet_trace.reason.text}"
    if packet_trace.disposition is Disposition.LOST_ON_LINK:
        return f"got lost on a link: {packet_trace.reason.text}"
    if packet_trace.disposition is Disposition.STILL_QUEUED:
        return f"had not yet come out of {packet_trace.node}: {packet_trace.reason.text}"
    hedge = "probably " if packet_trace.reason.source == "inferred" else ""
    joint = "," if packet_trace.reason.source == "nft" else ":"
    return f"{hedge}died {where}{joint} {because(packet_trace.reason)}"


def because(reason: Reason) -> str:
    """The reason, with the program that it speaks of and the place in the topology."""
    text = reason.text
    if reason.program:
        text = text.replace("the program", f"the program {reason.program}", 1)
    return f"{text} ({reason.topology})" if reason.topology else text


def named(numbers: Sequence[int]) -> str:
    """``#2 and #3``, ``#1, #4 and #5``, ``#2 to #9``."""
    first, last = numbers[0], numbers[-1]
    if len(numbers) > 2 and last - first == len(numbers) - 1:
        return f"#{first} to #{last}"
    words = [f"#{number}" for number in numbers]
    if len(words) > 12:
        words = [*words[:10], f"{len(words) - 10} more"]
    return _list(words)


def _list(words: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))
