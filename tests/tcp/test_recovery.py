"""The small parts of loss recovery, each by itself."""

from __future__ import annotations

import math

from netlab.tcp.recovery.frto import ForwardRto, Verdict
from netlab.tcp.recovery.prr import ProportionalRate
from netlab.tcp.recovery.spans import duplicate_report, union, without
from netlab.tcp.recovery.tail_loss_probe import ACK_DELAY, TailLossProbe
from netlab.tcp.recovery.undo import Undo

MSS = 1000


def test_a_probe_waits_two_round_trips_and_longer_for_a_lone_segment() -> None:
    probe = TailLossProbe()
    probe.schedule(10.0, flight=5 * MSS, mss=MSS, srtt=0.1, rto=math.inf)
    assert probe.at == 10.2
    probe.schedule(10.0, flight=MSS, mss=MSS, srtt=0.1, rto=math.inf)
    assert math.isclose(probe.at, 10.2 + ACK_DELAY)
    probe.schedule(10.0, flight=MSS, mss=MSS, srtt=0.1, rto=10.3)
    assert probe.at == 10.3  # never later than the retransmission timer


def test_without_a_round_trip_time_there_is_no_probe_and_never_two() -> None:
    probe = TailLossProbe()
    probe.schedule(1.0, flight=MSS, mss=MSS, srtt=0.0, rto=2.0)
    assert probe.at == math.inf
    probe.sent(5000, again=True)
    probe.schedule(1.0, flight=MSS, mss=MSS, srtt=0.1, rto=2.0)
    assert probe.at == math.inf


def test_a_probe_that_repaired_a_loss_is_paid_for() -> None:
    probe = TailLossProbe()
    probe.sent(5000, again=True)
    assert not probe.acknowledged(4000, None, empty=False)
    assert not probe.acknowledged(5000, None, empty=False)  # perhaps both have arrived
    assert probe.acknowledged(6000, None, empty=False)  # no D-SACK came: one was lost
    assert probe.end is None


def test_a_probe_of_what_had_arrived_costs_nothing() -> None:
    for report, empty in (((4000, 5000), False), (None, True)):
        probe = TailLossProbe()
        probe.sent(5000, again=True)
        assert not probe.acknowledged(5000, report, empty=empty)
        assert probe.end is None
    probe = TailLossProbe()
    probe.sent(5000, again=False)
    assert not probe.acknowledged(5000, None, empty=False)
    assert probe.end is None


def test_proportional_rate_reduction_sends_half_for_what_arrives() -> None:
    rate = ProportionalRate(20 * MSS, 10 * MSS)
    pipe, out = 19 * MSS, 0
    for _ in range(19):
        pipe -= MSS
        window = rate.window(MSS, pipe, MSS, safe=True)
        while window - pipe >= MSS:
            rate.sent(MSS)
            out += 1
            pipe += MSS
    assert out == 10
    assert pipe == 10 * MSS


def test_a_window_that_fell_too_far_grows_again_but_not_beyond_ssthresh() -> None:
    rate = ProportionalRate(20 * MSS, 10 * MSS)
    rate.sent(MSS)
    assert rate.window(MSS, 4 * MSS, MSS, safe=True) == 6 * MSS
    assert rate.window(MSS, 4 * MSS, MSS, safe=False) == 5 * MSS
    assert rate.window(20 * MSS, 4 * MSS, MSS, safe=True) == 10 * MSS


def test_the_first_retransmission_always_goes() -> None:
    rate = ProportionalRate(20 * MSS, 10 * MSS)
    assert rate.window(0, 15 * MSS, MSS, safe=False) == 16 * MSS


def test_an_echo_older_than_the_retransmission_says_that_nothing_was_lost() -> None:
    for echoed, said in ((1.0, True), (2.0, False)):
        undo = Undo(50_000, 1 << 62)
        undo.sent_again(0, MSS, 2.0)
        assert undo.echoed(echoed) is said
    undo = Undo(50_000, 1 << 62)
    undo.sent_again(0, MSS, 2.0)
    assert not undo.echoed(2.0)
    assert not undo.echoed(1.0)  # only the first ACK after it can tell


def test_when_all_that_went_again_is_reported_twice_nothing_was_lost() -> None:
    undo = Undo(50_000, 1 << 62)
    assert not undo.duplicate((0, MSS))  # of something else, before
    undo.sent_again(0, MSS, 2.0)
    undo.sent_again(3000, 4000, 2.0)
    assert not undo.duplicate((0, MSS))
    assert not undo.duplicate((0, MSS))
    assert undo.duplicate((3000, 4000))


def test_a_needless_recovery_before_a_needless_one_is_taken_back_too() -> None:
    undo, past = Undo(20_000, 10_000), Undo(50_000, 40_000)
    undo.inherit(past)
    assert (undo.cwnd, undo.ssthresh) == (50_000, 40_000)


def test_forward_rto_sends_new_data_and_looks() -> None:
    frto = ForwardRto(head=MSS, point=5 * MSS)
    assert frto.acknowledged(MSS, moved=True, sacked=[]) is Verdict.NEW_DATA
    assert frto.waiting
    assert frto.acknowledged(2 * MSS, moved=True, sacked=[]) is Verdict.SPURIOUS


def test_forward_rto_believes_a_timeout_whose_answers_are_duplicates() -> None:
    frto = ForwardRto(head=MSS, point=5 * MSS)
    assert frto.acknowledged(0, moved=False, sacked=[]) is Verdict.LOST
    frto = ForwardRto(head=MSS, point=5 * MSS)
    frto.acknowledged(MSS, moved=True, sacked=[])
    assert frto.acknowledged(MSS, moved=False, sacked=[(5 * MSS, 6 * MSS)]) is Verdict.LOST
    frto = ForwardRto(head=MSS, point=5 * MSS)
    assert frto.acknowledged(5 * MSS, moved=True, sacked=[]) is Verdict.LOST
    frto = ForwardRto(head=MSS, point=5 * MSS)
    frto.acknowledged(MSS, moved=True, sacked=[])
    spurious = frto.acknowledged(MSS, moved=False, sacked=[(2 * MSS, 3 * MSS)])
    assert spurious is Verdict.SPURIOUS


def test_a_duplicate_report_lies_below_the_ack_or_inside_the_second_block() -> None:
    assert duplicate_report((), 100) is None
    assert duplicate_report(((50, 80), (200, 300)), 100) == (50, 80)
    assert duplicate_report(((220, 240), (200, 300)), 100) == (220, 240)
    assert duplicate_report(((200, 300), (400, 500)), 100) is None


def test_spans_are_joined_and_cut() -> None:
    assert union([(5, 7), (1, 3), (3, 4), (6, 9)]) == [(1, 4), (5, 9)]
    assert without([(0, 10), (20, 30)], (5, 25)) == [(0, 5), (25, 30)]
