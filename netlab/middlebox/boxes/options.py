"""Boxes that take out or put in TCP options, and change the length of the header with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from netlab.middlebox.box import Direction, Drop, Middlebox
from netlab.middlebox.kind import Kind
from netlab.middlebox.parameters import Parameter
from netlab.wire import tcp

if TYPE_CHECKING:
    from collections.abc import Iterator

    from netlab.middlebox.box import Verdict
    from netlab.middlebox.packet import Packet


def without(options: bytes, kinds: frozenset[int]) -> bytes:
    """Options without some kinds; the rest in order, padded to whole words.

    NOPs go too, since what they aligned may be gone. Options that cannot be read stay as they are,
    and so do those that have none of the kinds among them.
    """
    kept = b""
    at = 0
    found = False
    while at < len(options) and options[at] != tcp.END_OF_OPTIONS:
        if options[at] == tcp.NO_OPERATION:
            at += 1
            continue
        size = options[at + 1] if at + 1 < len(options) else 0
        if size < 2 or at + size > len(options):
            return options
        if options[at] in kinds:
            found = True
        else:
            kept += options[at : at + size]
        at += size
    if not found:
        return options
    return kept + bytes([tcp.NO_OPERATION]) * (-len(kept) % 4)


def concerns(on: str, head: tcp.Header) -> bool:
    """Whether a segment is one of those that ``on`` names."""
    return on == "any" or bool(head.flags & tcp.SYN) is (on == "syn")


class OptionRemove(Middlebox):
    """Takes options out of the header."""

    def __init__(self, kinds: tuple[int, ...], on: str) -> None:
        self._kinds = frozenset(kinds)
        self._on = on

    def packet(self, pkt: Packet, direction: Direction, now: float) -> Iterator[Verdict]:
        """The segment with a shorter header."""
        del direction, now
        head = pkt.tcp
        if head is None or not head.options or not concerns(self._on, head):
            yield pkt
            return
        options = without(head.options, self._kinds)
        yield pkt if options == head.options else pkt.with_tcp(options=options)


def kinds_in(options: bytes) -> set[int]:
    """The kinds of all options but for the padding, as far as they can be read."""
    found: set[int] = set()
    at = 0
    while at < len(options) and options[at] != tcp.END_OF_OPTIONS:
        if options[at] == tcp.NO_OPERATION:
            at += 1
            continue
        found.add(options[at])
        size = options[at + 1] if at + 1 < len(options) else 0
        if size < 2:
            break
        at += size
    return found


class UnknownOptionDrop(Middlebox):
    """Drops segments with an option that it has never heard of."""

    def __init__(self, known: tuple[int, ...], on: str) -> None:
        self._known = frozenset(known)
        self._on = on

    def packet(self, pkt: Packet, direction: Direction, now: float) -> Iterator[Verdict]:
        """The segment, if all its options are known."""
        del direction, now
        head = pkt.tcp
        unknown = kinds_in(head.options) - self._known if head and head.options else set()
        if head and unknown and concerns(self._on, head):
            yield Drop(f"option {min(unknown)} is unknown")
        else:
            yield pkt


class MssAdd(Middlebox):
    """Puts an MSS option into SYNs that have none, and lowers one that is larger."""

    def __init__(self, mss: int) -> None:
        self._mss = mss

    def packet(self, pkt: Packet, direction: Direction, now: float) -> Iterator[Verdict]:
        """The SYN with an MSS option of at most ``mss``."""
        del direction, now
        head = pkt.tcp
        if head is None or not head.flags & tcp.SYN:
            yield pkt
            return
        there = tcp.parse_options(head.options).mss
        if there is not None and there <= self._mss:
            yield pkt
            return
        rest = without(head.options, frozenset({tcp.MAXIMUM_SEGMENT_SIZE}))
        option = bytes([tcp.MAXIMUM_SEGMENT_SIZE, 4]) + self._mss.to_bytes(2, "big")
        if len(rest) + 4 > tcp.MAXIMUM_OPTIONS_LENGTH:
            yield pkt
            return
        yield pkt.with_tcp(options=option + rest)


WHERE = "on SYNs, on later segments or on any"

KINDS = (
    Kind(
        "option-remove",
        "Takes TCP options out of the header, which gets shorter, unlike option-nop.",
        "Honda et al. 2011 (options removed); Hesmans et al. 2013",
        "The option is not there at the other end; in tracebox notation `-TCP::Option_...` and a"
        " changed `TCP::DataOffset`.",
        (
            Parameter("kinds", "integers", "option kinds by number", (30, 34, 253, 254), 2, 255),
            Parameter("on", "choice", WHERE, "any", choices=("syn", "data", "any")),
        ),
        box=OptionRemove,
    ),
    Kind(
        "unknown-option-drop",
        "Drops segments that carry any TCP option that it has never heard of, whichever that is;"
        " option-drop drops those that are named.",
        "Honda et al. 2011 (unknown options in SYN and in data)",
        "A SYN with an option that is new meets silence, one without is answered.",
        (
            Parameter("known", "integers", "option kinds by number", (2, 3, 4, 5, 8), 2, 255),
            Parameter("on", "choice", WHERE, "any", choices=("syn", "data", "any")),
        ),
        box=UnknownOptionDrop,
    ),
    Kind(
        "mss-add",
        "Puts an MSS option into a SYN that has none, and lowers one that is larger.",
        "RFC 2923 section 3; tracebox 2013 (`TCP::Option_MSS`)",
        "The other end sees an MSS option that was not sent.",
        (Parameter("mss", "integer", "octets", 900, 88, 65495),),
        box=MssAdd,
    ),
)
