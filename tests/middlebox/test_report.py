"""Messages of a wire: what was written is read."""

from __future__ import annotations

import pytest

from netlab.middlebox.recorder import TOLD, Came, Did, Event, Left, Made
from netlab.middlebox.report import (
    LARGEST,
    MOST_EVENTS,
    Lost,
    Missed,
    decode,
    encode,
    encode_notice,
)

EVENTS: list[Event] = [
    Came(1, "outbound", bytes(range(20))),
    Did(1, 0, "impair", "wire.yaml:9", "delayed", "20 ms"),
    Made(2, 1, "proxy-ack", "", "answered"),
    Left(2, "inbound", b""),
]


def test_events_are_read_as_they_were_written():
    assert decode(encode(EVENTS)) == EVENTS
    assert decode(encode(())) == []


@pytest.mark.parametrize("notice", [Lost(17), Missed(4)])
def test_so_is_what_is_not_an_event(notice):
    assert decode(encode_notice(notice)) == notice


def test_a_message_is_not_larger_than_it_may_be():
    assert len(encode([Came(10**12, "outbound", bytes(TOLD))] * MOST_EVENTS)) <= LARGEST


@pytest.mark.parametrize("text", [b"", b"{}x", b"{}", b"[3]", b'[["Came"]]', b'[["Else",1]]'])
def test_what_no_wire_tells_is_refused(text):
    with pytest.raises(ValueError, match="malformed event from the inline program"):
        decode(text)
