"""The responder's inner loop: the common IPv4 segments, straight from the packet.

Three segments make almost all of a server's work: a SYN whose first option is the MSS, a request
without TCP options, and a bare FIN. For these the rules of ``responder`` are written out once
more without records between packet and packet, in a third of the time, and the reply to one whole
message likewise. Whatever is not exactly one of these is left to the responder, and a property
test holds that where this module speaks, it says the same, octet for octet.
"""

from __future__ import annotations

import struct
from bisect import bisect_right
from hashlib import blake2s
from typing import TYPE_CHECKING

from netlab.stateless.cookie import BALANCE, INDEX_SHIFT, SEGMENT_SIZES, SIGNED, SLOT
from netlab.stateless.responder import (
    ADVERTISED_MSS,
    DEFAULT_MSS,
    ENOUGH,
    HIGHEST,
    LOWEST,
    Request,
)
from netlab.stateless.segment import ACK, FIN, MODULO, PSH, RST, SYN, Segment

if TYPE_CHECKING:
    from netlab.stateless.responder import Rules

_PACKET = struct.Struct("!BBHHHBBH4s4sHHIIHHHH")
_MSS = b"\x02\x04" + ADVERTISED_MSS.to_bytes(2, "big")
_MSS_KIND_AND_LENGTH = 0x0204
# What does not change in the sum over an IP header: version, TTL 64, protocol 6.
_FIXED_SUM = 0x4500 + (64 << 8 | 6)
_CONTROL = SYN | FIN | RST | ACK
_CLOSE = FIN | ACK
# What goes out, with the data offset above the flags: five words, six with the MSS.
_ACK, _MORE = 5 << 12 | ACK, 5 << 12 | ACK | PSH
_FIN_ACK, _LAST = _ACK | FIN, _MORE | FIN
_SYN_ACK = 6 << 12 | SYN | ACK


def usable(rules: Rules, address: bytes) -> bool:
    """Whether these rules are the common ones, which this module knows."""
    return rules.cookie and not rules.withhold and rules.source is None and len(address) == 4


class Express:
    """``responder`` for one IPv4 address and port, as far as it is quick."""

    def __init__(self, rules: Rules, secret: bytes, listen: tuple[bytes, int]) -> None:
        self._framing = rules.framing
        self._segment_size = rules.segment_size
        self._latest = 0 if rules.framing.closes else ENOUGH
        self._keyed = blake2s(key=secret, digest_size=4)
        self._address, self._port = listen

    def receive(
        self, buffer: bytearray, start: int, size: int, now: float
    ) -> bytes | Request | None:
        """Judge the packet in ``buffer[start:size]`` without a look at its checksum.

        The answer to a SYN or FIN, as a packet with a partial checksum; a whole first request; or
        ``None``, which leaves the packet to the responder.
        """
        if size - start < _PACKET.size:
            return None
        (
            version, _, total, _, fragment, _, protocol, _, source, destination,
            source_port, destination_port, seq, ack, offset_flags, window, _, _,
        ) = _PACKET.unpack_from(buffer, start)  # fmt: skip
        if (
            version != 0x45
            or protocol != 6
            or fragment & 0x3FFF
            or total > size - start
            or destination_port != self._port
            or destination != self._address
        ):
            return None
        # The key of the cookie; addresses and ports lie in the packet as it wants them.
        keyed = self._keyed.copy()
        keyed.update(buffer[start + 12 : start + 24] + (int(now) // SLOT).to_bytes(4, "big"))
        key = int.from_bytes(keyed.digest(), "big")

        kind, words = offset_flags & _CONTROL, offset_flags >> 12
        option = b""
        if kind == SYN:
            if not 6 <= words <= (total - 20) // 4:
                return None
            if buffer[start + 40] << 8 | buffer[start + 41] != _MSS_KIND_AND_LENGTH:
                return None
            mss = buffer[start + 42] << 8 | buffer[start + 43]
            index = max(bisect_right(SEGMENT_SIZES, mss or DEFAULT_MSS) - 1, 0)
            out, received = seq + key + (index << INDEX_SHIFT) & MODULO, seq + 1
            flags, option = _SYN_ACK, _MSS
        elif words != 5:
            return None
        elif kind == ACK and total > 40:
            difference = ack - seq - key & MODULO
            balance = difference & BALANCE
            if balance > self._latest:
                return None
            payload = bytes(buffer[start + 40 : start + total])
            messages, refusal = self._framing.take(payload)
            if refusal is not None or not messages:
                return None
            segment = Segment(
                source, destination, source_port, destination_port, seq, ack, offset_flags & 0xFFF,
                window, payload,
            )  # fmt: skip
            cut = min(SEGMENT_SIZES[difference >> INDEX_SHIFT], self._segment_size)
            return Request(segment, messages, cut, balance)
        elif kind == _CLOSE and total == 40:
            balance = (ack - seq - key + SIGNED & BALANCE) - SIGNED
            if not LOWEST <= balance <= HIGHEST:
                return None
            out, received = ack, seq + 1
            flags = _FIN_ACK if balance == 0 or not self._framing.closes else _ACK
        else:
            return None

        return self._packet((source, source_port), out, received, flags) + option

    def reply(self, request: Request, answer: bytes) -> bytes | None:
        """``responder.reply`` to one whole message; a packet with a partial checksum."""
        segment, messages, _, have = request
        size = len(segment.payload)
        if segment.flags & FIN or len(messages) != 1 or messages[0].length != size:
            return None
        payload = self._framing.wrap(answer)
        balance = len(payload) - size
        if len(payload) >= segment.window:
            return None
        closes = self._framing.closes or balance < 0 or have + balance > ENOUGH
        to = segment.source, segment.source_port
        flags = _LAST if closes else _MORE
        return self._packet(to, segment.ack, segment.seq + size, flags, len(payload)) + payload

    def _packet(
        self, to: tuple[bytes, int], seq: int, ack: int, flags: int, follows: int = 0
    ) -> bytes:
        """The headers; ``flags`` with the data offset above them, ``follows`` octets of payload."""
        length = (flags >> 12 << 2) + follows
        ack &= MODULO
        mark = (seq ^ ack) & 0xFFFF
        addresses = int.from_bytes(self._address + to[0], "big")
        return _PACKET.pack(
            0x45, 0, 20 + length, mark, 0, 64, 6,
            0xFFFF - ((_FIXED_SUM + 20 + length + mark + addresses) % 0xFFFF or 0xFFFF),
            self._address, to[0], self._port, to[1], seq, ack, flags, 0xFFFF,
            (addresses + 6 + length) % 0xFFFF or 0xFFFF, 0,
        )  # fmt: skip
