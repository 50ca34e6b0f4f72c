"""Reports of programs: what is sent is what is read, and what is not a report says why."""

import os
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netlab.linux import packet_reports
from netlab.linux.packet_reports import OCTETS, Report, Reporter, decode, encode

places = st.tuples(st.sampled_from(["tun0", "tun1"]), st.binary(max_size=OCTETS))


@given(
    st.none() | st.binary(max_size=OCTETS).map(lambda packet: ("tun0", packet)),
    st.text(),
    st.text(),
    st.lists(places).map(tuple),
)
def test_what_is_sent_is_what_is_read(came, end, text, sent):
    report = Report(came, end, text, sent)
    if came and not came[1]:
        return  # no packet is empty
    shown = Report(came, packet_reports.printable(end), packet_reports.printable(text), sent)
    assert decode(encode(report, "tun0")) == shown


letters = st.text(alphabet='{}[]":, devicpaktsn012', max_size=60)


@given(st.binary(max_size=60) | letters.map(str.encode))
def test_whatever_comes_is_a_report_or_says_why_not(message):
    said = ""
    try:
        said = repr(decode(message))
    except ValueError as error:
        said = str(error)
    assert said


@pytest.mark.parametrize(
    ("message", "why"),
    [
        (b"7", "it is not a JSON object"),
        (b"[]", "it is not a JSON object"),
        (b'{"device": "tun0", "sent": 5}', "sent is not a list"),
        (b'{"device": "tun0", "sent": [["tun1"]]}', r"is not \[device, packet\]"),
        (b"{}", "it has no 'device'"),
        (b'{"device": 5}', "device is not a string"),
        (b'{"device": "tun0", "packet": "xy"}', "non-hexadecimal"),
        (b'{"device": "tun0", "packet": 5}', "not a string of hexadecimal digits"),
        (b'{"device": "tun0", "sent": [[1, "45"]]}', "a device is not a string"),
        (b"[" * 9000, "."),
    ],
)
def test_what_is_wrong_is_named(message, why):
    with pytest.raises(ValueError, match=why):
        decode(message)


def test_what_a_stranger_writes_does_no_harm_on_a_terminal():
    said = decode(b'{"device": "tun0", "text": "\\u001b[31mred\\nand more", "end": "\\u0007"}')
    assert (said.text, said.end) == (" [31mred and more", " ")
    assert len(decode(b'{"device": "tun0", "text": "%s"}' % (b"x" * 9000)).text) == 300


@pytest.fixture
def observers(monkeypatch):
    """Four addresses of this test's own, and what observes there."""
    name = f"\0netlab/test/{os.getpid()}/"
    addresses = tuple(f"{name}{number}" for number in range(4))
    monkeypatch.setattr(packet_reports, "ADDRESSES", addresses)
    opened = []

    def observe():
        observer = packet_reports.listener()
        opened.append(observer)
        return observer

    yield observe
    for one in opened:
        if one:
            one.close()


def test_all_who_observe_get_each_report(observers):
    found = [observers() for _ in range(5)]
    assert found.pop() is None  # four at most
    reporter = Reporter("tun0")
    assert reporter.is_wanted
    reporter.report(b"E" * 200, "denied", "not today", [b"E"])
    for observer in found:
        message, pid = packet_reports.receive(observer)
        assert pid == os.getpid()
        assert decode(message) == Report(
            ("tun0", b"E" * OCTETS), "denied", "not today", (("tun0", b"E"),)
        )
    reporter.close()


def test_where_no_one_observes_nothing_happens(observers):
    observers().close()
    reporter = Reporter("tun0")
    assert not reporter.is_wanted
    reporter.report(b"E", "delivered")
    reporter.close()


def test_an_observer_that_does_not_read_does_not_stop_the_program(observers):
    observer = observers()
    observer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
    reporter = Reporter("tun0")
    for _ in range(packet_reports.QUEUE + 1000):
        reporter.report(b"E" * 128, "delivered")
    assert reporter.is_wanted
    reporter.close()


def test_who_has_a_device_open_is_found_without_any():
    assert isinstance(packet_reports.tun_programs(), dict)
    assert packet_reports.program_name(os.getpid())
    assert packet_reports.program_name(1 << 30) == "?"
