"""Every state against every kind of segment, and what RFC 9293 section 3.10.7 says of each."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netlab.tcp.connection import Connection
from netlab.tcp.events import End, UserError
from netlab.tcp.segment import Segment
from netlab.tcp.seq import wrap
from netlab.tcp.state import CAN_RECEIVE, CAN_SEND, SYNCHRONISED, TRANSITIONS, Event, Role, State
from netlab.wire.tcp import ACK, FIN, PSH, RST, SYN, URG, Options
from tests.tcp.peer import IRS, ISS, PLAIN, TIME, feed, in_state

AFTER_SYN = [s for s in State if s in SYNCHRONISED or s is State.SYN_RECEIVED]
states = pytest.mark.parametrize("state", AFTER_SYN)
every_state = pytest.mark.parametrize("state", State)


def test_this_file_can_reach_every_state() -> None:
    for state, role in itertools.product(State, Role):
        in_state(state, role if state is not State.SYN_SENT else Role.ACTIVE)


# -- RST --


@every_state
def test_a_reset_is_never_answered(state: State) -> None:
    for seq, ack in itertools.product((IRS, IRS + 1, IRS + 2, 5), (0, ISS, ISS + 1)):
        answers = feed(in_state(state), seq, RST | ACK, ack)
        assert not any(answer.flags & RST for answer in answers)


@states
def test_only_the_very_next_number_resets(state: State) -> None:
    c = in_state(state)
    nxt = c.receiver.nxt
    assert feed(c, nxt - 1, RST) == []
    assert feed(c, nxt + 70_000, RST) == []
    assert c.state is state
    challenge = feed(c, nxt + 5, RST)
    assert [answer.flags for answer in challenge] == [ACK]
    assert (challenge[0].seq, challenge[0].ack) == (wrap(c.sender.nxt), wrap(nxt))
    assert c.state is state
    assert feed(c, nxt, RST) == []
    assert c.state is State.CLOSED


@pytest.mark.parametrize(
    ("state", "end"),
    [
        (State.SYN_RECEIVED, End.REFUSED),
        (State.ESTABLISHED, End.RESET),
        (State.FIN_WAIT_1, End.RESET),
        (State.FIN_WAIT_2, End.RESET),
        (State.CLOSE_WAIT, End.RESET),
        (State.CLOSING, End.NORMAL),
        (State.LAST_ACK, End.NORMAL),
        (State.TIME_WAIT, End.NORMAL),
    ],
)
def test_the_user_learns_how_it_ended(state: State, end: End) -> None:
    c = in_state(state)
    feed(c, c.receiver.nxt, RST)
    assert c.end is end


def test_a_passive_connection_falls_back_to_listen() -> None:
    c = in_state(State.SYN_RECEIVED, Role.PASSIVE)
    feed(c, IRS + 1, RST)
    assert c.state is State.LISTEN
    answer = feed(c, 70, SYN)
    assert [a.flags for a in answer] == [SYN | ACK]


def test_syn_sent_believes_a_reset_only_with_its_ack() -> None:
    c = in_state(State.SYN_SENT)
    assert feed(c, 0, RST) == []
    assert feed(c, 0, RST | ACK, ISS) == []
    assert feed(c, 0, RST | ACK, ISS + 2) == []
    assert c.state is State.SYN_SENT
    feed(c, 0, RST | ACK, ISS + 1)
    assert (c.state, c.end) == (State.CLOSED, End.REFUSED)


# -- SYN --


@pytest.mark.parametrize("state", [s for s in AFTER_SYN if s in SYNCHRONISED])
@pytest.mark.parametrize("offset", [-5000, 0, 5])
def test_a_syn_in_a_synchronised_state_gets_a_challenge(state: State, offset: int) -> None:
    c = in_state(state)
    nxt, snd = c.receiver.nxt, c.sender.nxt
    answers = feed(c, nxt + offset, SYN)
    assert [(a.flags, a.seq, a.ack) for a in answers] == [(ACK, snd, nxt)]
    assert c.state is state


def test_challenges_do_not_go_on_for_ever() -> None:
    c = in_state(State.ESTABLISHED)
    answers = [feed(c, IRS, SYN) for _ in range(1000)]
    assert sum(map(len, answers)) == 10


def test_a_repeated_syn_gets_the_syn_and_ack_again() -> None:
    c = in_state(State.SYN_RECEIVED, Role.PASSIVE)
    answers = feed(c, IRS, SYN)
    assert [(a.flags, a.seq, a.ack) for a in answers] == [(SYN | ACK, ISS, IRS + 1)]


def test_another_syn_in_the_window_returns_to_listen() -> None:
    c = in_state(State.SYN_RECEIVED, Role.PASSIVE)
    feed(c, IRS + 10, SYN)
    assert c.state is State.LISTEN


def test_simultaneous_open_is_that_of_figure_8() -> None:
    c = in_state(State.SYN_SENT)
    answers = feed(c, IRS, SYN)
    assert [(a.flags, a.seq, a.ack) for a in answers] == [(SYN | ACK, ISS, IRS + 1)]
    assert c.state is State.SYN_RECEIVED
    feed(c, IRS, SYN | ACK, ISS + 1)
    assert c.sender.una == ISS + 1
    assert c.state.value == "ESTABLISHED"


def test_listen_answers_an_ack_with_a_reset_and_ignores_the_rest() -> None:
    for flags in (RST, RST | SYN, FIN, 0, PSH, URG):
        c = in_state(State.LISTEN)
        assert feed(c, 5, flags) == []
        assert c.state is State.LISTEN
    answers = feed(in_state(State.LISTEN), 5, ACK, 77)
    assert [(a.flags, a.seq) for a in answers] == [(RST, 77)]


def test_syn_sent_resets_a_wrong_ack() -> None:
    for ack in (ISS, ISS + 2, ISS + 2**31):
        c = in_state(State.SYN_SENT)
        answers = feed(c, IRS, SYN | ACK, ack)
        assert [(a.flags, a.seq) for a in answers] == [(RST, wrap(ack))]
        assert c.state is State.SYN_SENT


def test_closed_answers_as_if_it_were_not_there() -> None:
    assert [(a.flags, a.seq, a.ack) for a in feed(in_state(State.CLOSED), 5, SYN)] == [
        (RST | ACK, 0, 6)
    ]
    assert [(a.flags, a.seq) for a in feed(in_state(State.CLOSED), 5, ACK, 77)] == [(RST, 77)]


# -- sequence numbers and ACKs --


@states
def test_what_lies_outside_the_window_is_answered_and_dropped(state: State) -> None:
    for offset in (-100, 5_000_000):
        c = in_state(state)
        nxt = c.receiver.nxt
        answers = feed(c, nxt + offset, ACK, c.sender.nxt, b"text")
        assert [a.flags for a in answers] == [ACK]
        assert answers[0].ack == wrap(nxt)
        assert c.state is state
        assert not c.receiver.waiting


@states
def test_without_ack_nothing_is_taken(state: State) -> None:
    c = in_state(state)
    nxt = c.receiver.nxt
    assert feed(c, nxt, 0, 0, b"text") == []
    assert feed(c, nxt, FIN) == []
    assert (c.state, c.receiver.nxt) == (state, nxt)


@pytest.mark.parametrize("state", [s for s in AFTER_SYN if s in SYNCHRONISED])
def test_an_ack_of_what_was_never_sent_is_answered_and_dropped(state: State) -> None:
    c = in_state(state)
    una = c.sender.una
    answers = feed(c, c.receiver.nxt, ACK, c.sender.nxt + 1, b"text")
    assert [a.flags for a in answers] == [ACK]
    assert (c.sender.una, c.receiver.waiting) == (una, 0)


def test_syn_received_resets_a_wrong_ack() -> None:
    c = in_state(State.SYN_RECEIVED)
    for ack in (ISS, ISS + 2):
        answers = feed(c, IRS + 1, ACK, ack)
        assert [(a.flags, a.seq) for a in answers] == [(RST, ack)]
    assert c.state is State.SYN_RECEIVED


@states
def test_text_is_taken_until_the_peer_has_closed(state: State) -> None:
    c = in_state(state)
    feed(c, c.receiver.nxt, ACK, c.sender.nxt, b"text")
    if state in CAN_RECEIVE or state is State.SYN_RECEIVED:
        assert b"".join(c.recv()) == b"text"
    else:
        assert c.recv() == []


@pytest.mark.parametrize(
    ("state", "then"),
    [
        (State.SYN_RECEIVED, State.CLOSE_WAIT),
        (State.ESTABLISHED, State.CLOSE_WAIT),
        (State.FIN_WAIT_1, State.CLOSING),
        (State.FIN_WAIT_2, State.TIME_WAIT),
        (State.CLOSE_WAIT, State.CLOSE_WAIT),
        (State.CLOSING, State.CLOSING),
        (State.LAST_ACK, State.LAST_ACK),
        (State.TIME_WAIT, State.TIME_WAIT),
    ],
)
def test_a_fin_moves_as_the_table_says_and_is_acknowledged(state: State, then: State) -> None:
    c = in_state(state)
    fin = IRS + 1
    ack = ISS + 1 if state in {State.SYN_RECEIVED, State.FIN_WAIT_1} else c.sender.una
    answers = feed(c, fin, FIN | ACK, ack)
    assert c.state is then
    assert answers[-1].flags & ACK
    assert answers[-1].ack == fin + 1


def test_a_fin_with_the_ack_of_ours_goes_straight_to_time_wait() -> None:
    c = in_state(State.FIN_WAIT_1)
    feed(c, IRS + 1, FIN | ACK, ISS + 2)
    assert c.state is State.TIME_WAIT


def test_a_repeated_fin_begins_time_wait_again() -> None:
    c = in_state(State.TIME_WAIT)
    before = c.next_timer()
    c.receive(Segment(IRS + 1, ISS + 2, FIN | ACK, 1000), TIME + 20)
    assert [a.flags for a in c.to_send(TIME + 20)] == [ACK]
    assert c.next_timer() == before + 20
    c.handle_timer(c.next_timer())
    assert (c.state, c.end) == (State.CLOSED, End.NORMAL)


def test_time_wait_answers_an_empty_segment_that_is_ahead() -> None:
    c = in_state(State.TIME_WAIT)
    assert not feed(c, IRS + 2, ACK, ISS + 2)
    assert [a.flags for a in feed(c, IRS + 50, ACK, ISS + 2)] == [ACK]


def test_a_fin_waits_for_the_text_before_it() -> None:
    c = in_state(State.ESTABLISHED)
    feed(c, IRS + 5, FIN | ACK, ISS + 1, b"text")
    assert c.state is State.ESTABLISHED
    feed(c, IRS + 1, ACK, ISS + 1, b"some")
    assert c.state.value == "CLOSE-WAIT"
    assert b"".join(c.recv()) == b"sometext"


def test_data_beyond_a_closed_window_is_dropped_but_its_ack_counts() -> None:
    c = in_state(State.ESTABLISHED, choice=PLAIN._replace(receive_buffer=1000))
    feed(c, IRS + 1, ACK, ISS + 1, bytes(1000))
    c.send(b"ours")
    c.to_send(TIME)
    answers = feed(c, IRS + 1001, ACK, ISS + 5, b"x")
    assert c.sender.una == ISS + 5
    assert (answers[-1].ack, answers[-1].window) == (IRS + 1001, 0)
    assert c.receiver.waiting == 1000
    feed(c, IRS + 1001, RST)
    assert c.state is State.CLOSED


# -- urgent data --


def test_urgent_data_is_announced_and_measured() -> None:
    c = in_state(State.ESTABLISHED)
    feed(c, IRS + 1, ACK | URG, ISS + 1, b"abc", urgent_pointer=3)
    assert c.urgent_octets == 3
    c.recv(2)
    assert c.urgent_octets == 1
    c.recv()
    assert c.urgent_octets == 0


def test_urgent_data_is_sent_with_a_pointer_behind_it() -> None:
    c = in_state(State.ESTABLISHED)
    c.send(b"calm")
    c.send(b"hurry", urgent=True)
    sent = c.to_send(TIME)
    assert sent[0].flags & URG
    assert sent[0].urgent_pointer == 9


# -- the user's calls --


@every_state
def test_calls_are_taken_or_refused_as_the_state_says(state: State) -> None:
    c = in_state(state)
    if state in CAN_SEND:
        assert c.send(b"x") == 1
    else:
        with pytest.raises(UserError, match=r"closing|does not exist"):
            c.send(b"x")
    c = in_state(state)
    if Event.CLOSE in TRANSITIONS[c.role][state]:
        c.close(TIME)
    else:
        with pytest.raises(UserError, match=r"closing|does not exist"):
            c.close(TIME)
    c = in_state(state)
    if state in {State.CLOSED, State.LISTEN}:
        c.open(Role.ACTIVE)
    else:
        with pytest.raises(UserError, match="already exists"):
            c.open(Role.ACTIVE)


@every_state
def test_abort_resets_a_peer_that_knows_of_us(state: State) -> None:
    c = in_state(state)
    c.abort()
    assert c.state is State.CLOSED
    answers = c.to_send(TIME)
    silent = {State.CLOSED, State.LISTEN, State.SYN_SENT, State.TIME_WAIT}
    assert bool(answers) is (state not in silent)
    assert all(answer.flags & RST for answer in answers)


def test_unread_data_at_the_end_resets_the_peer() -> None:
    c = in_state(State.ESTABLISHED)
    feed(c, IRS + 1, ACK, ISS + 1, b"unread")
    c.close(TIME)
    c.desert(TIME)
    assert c.to_send(TIME)[-1].flags & RST
    late = in_state(State.FIN_WAIT_2)
    late.desert(TIME)
    assert feed(late, IRS + 1, ACK, ISS + 2, b"late")[-1].flags & RST


def test_a_deserted_fin_wait_2_does_not_stay() -> None:
    c = in_state(State.FIN_WAIT_2)
    c.desert(TIME)
    c.handle_timer(c.next_timer())
    assert c.state is State.CLOSED


# -- timestamps --


def test_old_timestamps_are_answered_and_dropped() -> None:
    c = Connection(ISS, PLAIN._replace(timestamps=True))
    c.open(Role.ACTIVE)
    c.to_send(TIME)
    c.receive(Segment(IRS, ISS + 1, SYN | ACK, 1000, options=Options(timestamps=(500, 5000))), TIME)
    c.to_send(TIME)
    old = Segment(IRS + 1, ISS + 1, ACK, 1000, 1, (b"x",), Options(timestamps=(499, 5000)))
    c.receive(old, TIME)
    assert [a.flags for a in c.to_send(TIME)] == [ACK]
    assert not c.receiver.waiting
    c.receive(old._replace(options=Options()), TIME)
    assert c.to_send(TIME) == []
    c.receive(old._replace(options=Options(timestamps=(500, 5000))), TIME)
    assert b"".join(c.recv()) == b"x"
    much_later = TIME + 25 * 86400
    c.receive(old._replace(seq=IRS + 2), much_later)
    assert b"".join(c.recv()) == b"x"


# -- anything at all --

flags = st.integers(0, 255)
near = st.one_of(st.integers(-3, 3), st.integers(-70_000, 70_000), st.integers(0, 2**32 - 1))
segments = st.tuples(near, near, flags, st.binary(max_size=20), st.integers(0, 65535))


@given(st.sampled_from(State), st.sampled_from(Role), st.lists(segments, max_size=8), st.booleans())
def test_no_segment_makes_a_connection_lose_its_order(
    state: State,
    role: Role,
    script: list[tuple[int, int, int, bytes, int]],
    stamped: bool,  # noqa: FBT001
) -> None:
    if state is State.SYN_SENT:
        role = Role.ACTIVE
    c = in_state(state, role)
    known = {state}
    for seq, ack, bits, data, window in script:
        before = c.state
        at = c.receiver.nxt + seq, c.sender.una + ack
        options = Options(timestamps=(1, 2)) if stamped else Options()
        c.receive(
            Segment(
                wrap(at[0]),
                wrap(at[1]),
                bits,
                window,
                len(data),
                (data,) if data else (),
                options,
                window,
            ),
            TIME,
        )
        allowed = {before}
        while more := {t for s in allowed for t in TRANSITIONS[c.role][s].values()} - allowed:
            allowed |= more
        assert c.state in allowed
        known.add(c.state)
        for answer in c.to_send(TIME):
            assert not (bits & RST and answer.flags & RST)
            assert answer.space <= 1 or answer.length
        assert c.sender.una <= c.sender.nxt <= c.sender.max
        assert c.receiver.nxt <= c.receiver.edge or c.state in {State.CLOSED, State.LISTEN}
        assert c.receiver.waiting <= 20 * len(script)
