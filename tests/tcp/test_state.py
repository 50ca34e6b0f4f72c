from __future__ import annotations

import pytest

from netlab.tcp.state import CAN_RECEIVE, CAN_SEND, SYNCHRONISED, TRANSITIONS, Event, Role, State


@pytest.mark.parametrize("role", Role)
def test_every_state_has_a_row_and_can_be_reached(role: Role) -> None:
    table = TRANSITIONS[role]
    assert set(table) == set(State)
    reached = {State.CLOSED}
    while more := {t for s in reached for t in table[s].values()} - reached:
        reached |= more
    assert reached == set(State)


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("state", State)
def test_every_state_leads_back_to_closed(role: Role, state: State) -> None:
    reached = {state}
    while more := {t for s in reached for t in TRANSITIONS[role][s].values()} - reached:
        reached |= more
    assert State.CLOSED in reached


def test_only_a_reset_handshake_knows_its_role() -> None:
    different = {
        (state, event)
        for state in State
        for event in Event
        if TRANSITIONS[Role.ACTIVE][state].get(event)
        is not TRANSITIONS[Role.PASSIVE][state].get(event)
    }
    assert different == {
        (State.SYN_RECEIVED, Event.RST),
        (State.SYN_RECEIVED, Event.TIMEOUT),
    }


def test_the_sets_of_states_are_those_of_the_rfc() -> None:
    assert len(SYNCHRONISED) == 7
    assert CAN_RECEIVE < SYNCHRONISED
    assert State.CLOSE_WAIT in CAN_SEND
    assert State.CLOSE_WAIT not in CAN_RECEIVE
    assert State.FIN_WAIT_1 in CAN_RECEIVE
    assert State.FIN_WAIT_1 not in CAN_SEND


def test_closed_is_left_by_open_only() -> None:
    assert set(TRANSITIONS[Role.ACTIVE][State.CLOSED]) == {Event.ACTIVE_OPEN, Event.PASSIVE_OPEN}
