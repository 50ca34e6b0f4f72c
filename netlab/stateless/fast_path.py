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
from typing import TYPE_CHECKING

from netlab.stateless.cookie import BALANCE, INDEX_SHIFT, SEGMENT_SIZES, SIGNED, keyed
from netlab.stateless.interfaces import Request
from netlab.stateless.responder import ADVERTISED_MSS, DEFAULT_MSS, ENOUGH, HIGHEST, LOWEST
from netlab.stateless.segment import ACK, FIN, PSH, RST, SEQ_MASK, SYN, Segment

if TYPE_CHECKING:
    from netlab.stateless.interfaces import Rules

# Version and length of header, total length; fragment, TTL and protocol as one word; source and
# destination; both ports as one word; seq, ack, data offset and flags, window.
_IN = struct.Struct("!BxHxxIxxIIIIIHH4x")
_FRAGMENT_AND_PROTOCOL, _TCP = 0x3FFF00FF, 6
# Version, total length, identification, fragment, TTL and protocol, checksum; the rest likewise.
_OUT = struct.Struct("!HHHHHHIIIIIHHI")
_OPTION = struct.Struct("!HH")
_MSS = b"\x02\x04" + ADVERTISED_MSS.to_bytes(2, "big")
_MSS_KIND_AND_LENGTH = 0x0204
# What does not change in an IP header and in the sum over it: version, TTL 64, protocol 6.
_VERSION, _TTL_AND_PROTOCOL = 0x4500, 64 << 8 | _TCP
_UNCHANGING = _VERSION + 20 + _TTL_AND_PROTOCOL
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
        self._take, self._wrap = rules.framing.take, rules.framing.wrap
        self._closes = rules.framing.closes
        self._segment_size = rules.segment_size
        self._latest = 0 if self._closes else ENOUGH
        self._secret = secret
        self._slot = -1
        self._keyed = keyed(-1, secret)
        self._packed, self._port = listen
        self._address = int.from_bytes(self._packed, "big")

    def receive(
        self, buffer: bytearray, start: int, size: int, slot: int
    ) -> bytes | Request | None:
        """Judge the packet in ``buffer[start:size]`` without a look at its checksum.

        ``slot`` is ``cookie.slot_at`` of the time. The answer to a SYN or FIN, as a packet with a
        partial checksum; a whole first request; or ``None``, which leaves the packet to the
        responder.
        """
        if size - start < _IN.size:
            return None
        version, total, kind, source, destination, ports, seq, ack, flags, window = _IN.unpack_from(
            buffer, start
        )
        if (
            version != 0x45
            or kind & _FRAGMENT_AND_PROTOCOL != _TCP
            or total > size - start
            or ports & 0xFFFF != self._port
            or destination != self._address
        ):
            return None
        if slot != self._slot:
            self._slot, self._keyed = slot, keyed(slot, self._secret)
        hashed = self._keyed.copy()
        # Addresses and ports lie in the packet as the cookie wants them.
        hashed.update(buffer[start + 12 : start + 24])
        key = int.from_bytes(hashed.digest(), "big")

        kind = flags & _CONTROL
        if kind == SYN:
            if not 6 <= flags >> 12 <= (total - 20) // 4:
                return None
            option, mss = _OPTION.unpack_from(buffer, start + 40)
            if option != _MSS_KIND_AND_LENGTH:
                return None
            index = max(bisect_right(SEGMENT_SIZES, mss or DEFAULT_MSS) - 1, 0)
            seq, ack = seq + key + (index << INDEX_SHIFT) & SEQ_MASK, seq + 1
            return self._packet((source, ports), seq, ack, _SYN_ACK, 4) + _MSS
        if flags >> 12 != 5:
            return None
        if kind == ACK and total > 40:
            difference = ack - seq - key & SEQ_MASK
            balance = difference & BALANCE
            if balance > self._latest:
                return None
            payload = bytes(buffer[start + 40 : start + total])
            messages, refusal = self._take(payload)
            if refusal is not None or not messages:
                return None
            segment = Segment(
                source.to_bytes(4, "big"), self._packed, ports >> 16, self._port, seq, ack,
                flags & 0xFFF, window, payload,
            )  # fmt: skip
            cut = min(SEGMENT_SIZES[difference >> INDEX_SHIFT], self._segment_size)
            return Request(segment, messages, cut, balance)
        if kind == _CLOSE and total == 40:
            balance = (ack - seq - key + SIGNED & BALANCE) - SIGNED
            if not LOWEST <= balance <= HIGHEST:
                return None
            flags = _ACK if balance and self._closes else _FIN_ACK
            return self._packet((source, ports), ack, seq + 1, flags, 0)
        return None

    def reply(self, request: Request, answer: bytes) -> tuple[bytes, bytes] | None:
        """``responder.reply`` to one whole message: headers with a partial checksum, payload."""
        segment, messages, _, have = request
        size = len(segment.payload)
        if segment.flags & FIN or len(messages) != 1 or messages[0].length != size:
            return None
        payload = self._wrap(answer)
        length = len(payload)
        if length >= segment.window:
            return None
        balance = length - size
        closes = self._closes or balance < 0 or have + balance > ENOUGH
        flags = _LAST if closes else _MORE
        to = int.from_bytes(segment.source, "big"), segment.source_port << 16
        return self._packet(to, segment.ack, segment.seq + size, flags, length), payload

    def _packet(self, to: tuple[int, int], seq: int, ack: int, flags: int, follows: int) -> bytes:
        """The headers before ``follows`` octets; ``flags`` with the data offset above them.

        ``to`` is an address, and the ports as they came from there: its own in the upper half.
        """
        target, ports = to
        length = 20 + follows
        ack &= SEQ_MASK
        mark = (seq ^ ack) & 0xFFFF
        addresses = self._address + target
        return _OUT.pack(
            _VERSION, 20 + length, mark, 0, _TTL_AND_PROTOCOL,
            0xFFFF - ((_UNCHANGING + length + mark + addresses) % 0xFFFF or 0xFFFF),
            self._address, target, self._port << 16 | ports >> 16, seq, ack, flags, 0xFFFF,
            ((addresses + _TCP + length) % 0xFFFF or 0xFFFF) << 16,
        )  # fmt: skip
