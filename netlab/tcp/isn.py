"""Numbers that an outsider must not guess, from a key that the caller chooses at random."""

from __future__ import annotations

from hashlib import blake2b

ISN_TICKS = 250_000  # RFC 9293 section 3.4.1: one every four microseconds (MUST-8)

# A SYN cookie says which of these the peer's MSS is at least (RFC 4987 section 3.6).
COOKIE_SIZES = (216, 536, 1024, 1220, 1360, 1440, 1460, 8960)
COOKIE_PERIOD = 64.0


def initial_sequence_number(key: bytes, pair: bytes, now: float) -> int:
    """ISN = M + F(pair, key): RFC 6528."""
    return int(now * ISN_TICKS) + _word(key, b"isn", pair) & 0xFFFF_FFFF


def clock_offset(key: bytes, pair: bytes) -> int:
    """What is added to the clock of timestamps: the same for each connection of this pair."""
    return _word(key, b"clock", pair)


def identification(key: bytes, pair: bytes, number: int) -> int:
    """Where the IPv4 identifications of the ``number``-th user of this pair begin (16 bits)."""
    return _word(key, b"ident", pair + number.to_bytes(8, "big")) & 0xFFFF


def flow_label(key: bytes, pair: bytes) -> int:
    """The IPv6 flow label of a socket pair: 20 bits, not 0, the same for its life (RFC 6437)."""
    return _word(key, b"label", pair) % 0xFFFFF + 1


def first_port(key: bytes, destination: bytes) -> int:
    """Where to begin the search for an ephemeral port: RFC 6056 section 3.3.3."""
    return _word(key, b"port", destination)


def make_cookie(key: bytes, pair: bytes, irs: int, mss: int, now: float) -> int:
    """An ISN that holds the peer's MSS and proves itself later, in place of any memory.

    | 5 bits of the time, in units of 64 s | 3 bits of the MSS | 24 bits that we alone can compute |
    """
    period = int(now / COOKIE_PERIOD) & 31
    index = max((at for at, size in enumerate(COOKIE_SIZES) if size <= mss), default=0)
    return period << 27 | index << 24 | _seal(key, pair, irs, period, index)


def open_cookie(key: bytes, pair: bytes, irs: int, cookie: int, now: float) -> int | None:
    """The MSS that ``cookie`` holds, if it is ours and not older than two periods."""
    period, index = cookie >> 27, cookie >> 24 & 7
    if int(now / COOKIE_PERIOD) - period & 31 > 1:
        return None
    if _seal(key, pair, irs, period, index) != cookie & 0xFF_FFFF:
        return None
    return COOKIE_SIZES[index]


def _seal(key: bytes, pair: bytes, irs: int, period: int, index: int) -> int:
    words = irs.to_bytes(4, "big") + bytes([period, index])
    return _word(key, b"cookie", pair + words) & 0xFF_FFFF


def _word(key: bytes, purpose: bytes, data: bytes) -> int:
    return int.from_bytes(blake2b(data, digest_size=4, key=key, person=purpose).digest(), "big")
