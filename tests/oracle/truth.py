"""What a sample's author knows, what netlab says, and whether the two agree."""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple


class Cause(StrEnum):
    """Why a packet ended where it did, in the field's own words."""

    ARRIVED = "arrived"
    RULE = "dropped by a rule"
    CLOSED = "nothing listens"
    NO_ROUTE = "no route"
    UNREACHABLE = "unreachable route"
    PROHIBIT = "prohibit route"
    BLACKHOLE = "blackhole route"
    NOT_FORWARDING = "does not forward"
    RP_FILTER = "reverse path filter"
    TTL = "TTL expired"
    TOO_BIG = "larger than the MTU"
    NEIGHBOUR = "no neighbour answers"
    LINK_DOWN = "link down"
    CHECKSUM = "wrong checksum"
    MALFORMED = "malformed"
    SOCKET_FULL = "socket full"
    LISTEN_FULL = "accept queue full"
    NAT_CLASH = "NAT clash"
    BOX = "dropped by a box"
    MARTIAN = "martian"
    OPTION = "unacceptable option"
    REASSEMBLY = "reassembly failed"
    INCOMPLETE = "waits for other fragments"
    SOCKET_REFUSES = "refused by its socket"


class Words(NamedTuple):
    """What an answer may call a cause: dispositions, and what its text must match."""

    dispositions: frozenset[str]
    text: str = ""


def _words(dispositions: str, text: str = "") -> Words:
    return Words(frozenset(dispositions.split()), text)


WORDS = {
    Cause.ARRIVED: _words("delivered"),
    Cause.RULE: _words("denied"),
    Cause.CLOSED: _words("no-listener"),
    Cause.NO_ROUTE: _words("no-route", "no route|unreachable"),
    Cause.UNREACHABLE: _words(
        "null-routed unreachable-route unreachable", "unreachable|No route to host"
    ),
    Cause.PROHIBIT: _words(
        "null-routed prohibit-route prohibited", "(?<!or )prohibit|Permission denied"
    ),
    Cause.BLACKHOLE: _words(
        "null-routed blackhole-route blackhole", "blackhole(?! or)|Invalid argument"
    ),
    Cause.NOT_FORWARDING: _words("not-forwarding"),
    Cause.RP_FILTER: _words("rpf-failed", "reverse path"),
    Cause.TTL: _words("ttl-expired"),
    Cause.TOO_BIG: _words("too-big"),
    Cause.NEIGHBOUR: _words("neighbour-unreachable"),
    Cause.LINK_DOWN: _words("link-down", "down"),
    Cause.CHECKSUM: _words("bad-checksum"),
    Cause.MALFORMED: _words("malformed"),
    Cause.SOCKET_FULL: _words("socket-full"),
    Cause.LISTEN_FULL: _words("socket-full accept-queue-full", "accept|listen|backlog"),
    Cause.NAT_CLASH: _words("nat-clash"),
    Cause.BOX: _words("absorbed"),
    Cause.MARTIAN: _words("martian kernel-drop", "martian|source address|invalid (source|dest)"),
    Cause.OPTION: _words("bad-option malformed kernel-drop", "option|header|source.route"),
    Cause.REASSEMBLY: _words("reassembly-failed reassembly", "reassembl|overlap"),
    Cause.INCOMPLETE: _words("still-queued reassembly-failed", "fragment"),
    Cause.SOCKET_REFUSES: _words("unacceptable", "flags"),
}


class End(NamedTuple):
    """Where and why a packet ended; ``rule`` is a part of the rule's own text or comment."""

    node: str
    cause: Cause
    rule: str = ""

    @property
    def arrived(self) -> bool:
        return self.cause is Cause.ARRIVED

    def __str__(self) -> str:
        if self.arrived:
            return f"arrived at {self.node}"
        return f"died in {self.node}: {self.cause}" + (f" {self.rule!r}" if self.rule else "")


@dataclass(frozen=True)
class Truth:
    """The end of each packet sent, and that of the answer to the last one."""

    ends: tuple[End, ...]
    reply: End | None = None
    """``None`` where nothing answers, or where the answer is not followed."""


class Said(NamedTuple):
    """netlab's word about one packet; ``word`` is its disposition, empty for what never left."""

    word: str
    node: str
    text: str
    sure: bool = True

    def __str__(self) -> str:
        return f"{self.word or 'never left'} in {self.node or '?'}: {self.text}"


@dataclass(frozen=True)
class Answer:
    """netlab's answer: about each packet that was sent, and about the answer to the last."""

    packets: tuple[Said, ...]
    reply: Said | None = None
    output: str = ""
    """As printed."""


class Verdict(StrEnum):
    """How netlab's answer compares."""

    RIGHT = "right"
    UNKNOWN = "unknown"
    WRONG = "wrong"


class Judgement(NamedTuple):
    verdict: Verdict
    why: str = ""
    """What was said, against what is true."""


def of_plan(truth: Truth) -> Truth:
    """What can be predicted: a plan knows the way, not the sockets at its end."""
    at_sockets = (Cause.CLOSED, Cause.SOCKET_FULL, Cause.LISTEN_FULL)
    return Truth(
        tuple(
            end._replace(cause=Cause.ARRIVED) if end.cause in at_sockets else end
            for end in truth.ends
        )
    )


def judge(answer: Answer, truth: Truth, *, replies: bool = True) -> Judgement:
    """Compare; the first wrong word decides, else the first that says it cannot tell."""
    if len(answer.packets) != len(truth.ends):
        why = f"{len(answer.packets)} packets in the answer, {len(truth.ends)} were sent"
        return Judgement(Verdict.WRONG, why)
    told = [
        (_compare(said, end), f"#{number} {end}; netlab: {said}")
        for number, (said, end) in enumerate(zip(answer.packets, truth.ends, strict=True), 1)
    ]
    if replies and truth.reply is not None and truth.ends[-1].arrived:
        told.append(_reply(answer, truth.reply))
    for verdict in (Verdict.WRONG, Verdict.UNKNOWN):
        for found, why in told:
            if found is verdict:
                return Judgement(verdict, why)
    return Judgement(Verdict.RIGHT)


def _reply(answer: Answer, end: End) -> tuple[Verdict, str]:
    if answer.reply is None:
        # Silence about an answer that came is no lie; "arrived", and no word of one that died, is.
        found = Verdict.RIGHT if end.arrived else Verdict.WRONG
        return found, f"the answer {end}; netlab says nothing of it"
    return _compare(answer.reply, end), f"the answer {end}; netlab: {answer.reply}"


def _compare(said: Said, end: End) -> Verdict:
    words = WORDS[end.cause]
    if said.word == "unknown":
        return Verdict.UNKNOWN
    if (said.word == "delivered") != end.arrived:
        return Verdict.WRONG
    if said.word and said.word not in words.dispositions:
        return Verdict.WRONG
    if said.node and end.node not in ("", said.node):
        return Verdict.WRONG
    if not end.arrived and not re.search(words.text, said.text, re.IGNORECASE):
        return Verdict.WRONG
    return Verdict.RIGHT if end.rule in said.text else Verdict.WRONG
