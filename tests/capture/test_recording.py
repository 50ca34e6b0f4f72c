"""Evidence as a file."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netlab.capture import recording
from netlab.capture.evidence import Count, Evidence, Flow, FlowEvent, Gap, KernelDrop, RuleVerdict
from netlab.errors import InputError
from tests.trace.path import PLACES, Tape, datagram


def test_comes_back_as_it_was():
    tape = Tape()
    tape.pass_through(datagram(b"hello"))
    evidence = tape.evidence(
        verdicts=(RuleVerdict("nat", 1, "ip", "t", "c", "forward", "rule", "drop", headers=b"E"),),
        drops=(KernelDrop(5, "nat", "NO_SOCKET", "tcp_v4_rcv", b"\x45"),),
        counts=(Count("nat", "Ip.InHdrErrors", 2),),
        gaps=(Gap("nft", "no rules"),),
        flows=(
            FlowEvent("nat", 9, "new", Flow(b"\n\0\0\2", b"\n\0\0\3", 17, 5, 6), Flow(b"", b"", 1)),
        ),
    )
    assert recording.read(recording.write(evidence)) == evidence


@given(st.text(alphabet='{}[]":,ab01 frameplcdo', max_size=60))
def test_a_line_that_is_no_record_is_named(line):
    said = ""
    try:
        assert isinstance(recording.read(["", line]), Evidence)
    except InputError as error:
        said = str(error)
    assert not said or "evidence:2" in said


def test_places_are_kept():
    assert recording.read(recording.write(Evidence(PLACES))).inventory == PLACES


def test_an_error_says_which_line():
    with pytest.raises(InputError, match=r"seen\.jsonl:1"):
        recording.read(['{"frame": {}}'], "seen.jsonl")
