"""The eleven states, and every way from one to another (RFC 9293 section 3.3.2).

                                  CLOSED ------------ ACTIVE_OPEN -----------.
                          PASSIVE_OPEN |  ^ CLOSE                            |
                                       v  |                                  v
                 .------- SYN ------ LISTEN -------- ACTIVE_OPEN -------> SYN_SENT
                 v                                                        |     |
           SYN_RECEIVED <--------------------- SYN -----------------------'     |
            |         `------- ACK_OF_SYN ------> ESTABLISHED <--- SYN_ACK -----'
            | CLOSE                               | CLOSE  | FIN
            v                                     v        v
           FIN_WAIT_1 <---------------------------'     CLOSE_WAIT
            | ACK_OF_FIN   | FIN                           | CLOSE
            v              v                               v
           FIN_WAIT_2    CLOSING                        LAST_ACK
            | FIN          | ACK_OF_FIN                    | ACK_OF_FIN
            v              v                               v
           TIME_WAIT <-----'-------- EXPIRY ----------> CLOSED

An event here is what is left of a segment after it was judged: a SYN that was refused or an ACK of
something older is not one. Whatever leads out of a state is in ``TRANSITIONS`` and nowhere else;
``diagram`` draws it. ABORT, a valid RST, and giving up lead to CLOSED from everywhere, except that
a connection which a passive OPEN began, and which is not yet synchronised, falls back to LISTEN
(MUST-11): this is why the table asks for the role.
"""

from __future__ import annotations

from enum import Enum, StrEnum


class Role(Enum):
    """How the connection began."""

    ACTIVE = "active"
    PASSIVE = "passive"


class State(StrEnum):
    """RFC 9293 section 3.3.2, in its order."""

    LISTEN = "LISTEN"
    SYN_SENT = "SYN-SENT"
    SYN_RECEIVED = "SYN-RECEIVED"
    ESTABLISHED = "ESTABLISHED"
    FIN_WAIT_1 = "FIN-WAIT-1"
    FIN_WAIT_2 = "FIN-WAIT-2"
    CLOSE_WAIT = "CLOSE-WAIT"
    CLOSING = "CLOSING"
    LAST_ACK = "LAST-ACK"
    TIME_WAIT = "TIME-WAIT"
    CLOSED = "CLOSED"


class Event(StrEnum):
    """What can move a connection: calls of its user, judged segments, and time."""

    PASSIVE_OPEN = "passive OPEN"
    ACTIVE_OPEN = "active OPEN"
    CLOSE = "CLOSE"
    ABORT = "ABORT"
    SYN = "rcv SYN"
    SYN_ACK = "rcv SYN,ACK"
    ACK_OF_SYN = "rcv ACK of SYN"
    FIN = "rcv FIN"
    ACK_OF_FIN = "rcv ACK of FIN"
    RST = "rcv RST"
    EXPIRY = "2MSL timeout"
    TIMEOUT = "user timeout"


def _table(fallback: State) -> dict[State, dict[Event, State]]:
    """The transitions, where ``fallback`` is what a reset of SYN-RECEIVED leads to."""
    S, E = State, Event  # noqa: N806 - the table reads as the RFC's figure
    gone = {E.ABORT: S.CLOSED, E.RST: S.CLOSED, E.TIMEOUT: S.CLOSED}
    return {
        S.CLOSED: {E.PASSIVE_OPEN: S.LISTEN, E.ACTIVE_OPEN: S.SYN_SENT},
        S.LISTEN: {
            E.SYN: S.SYN_RECEIVED,
            E.ACTIVE_OPEN: S.SYN_SENT,
            E.CLOSE: S.CLOSED,
            E.ABORT: S.CLOSED,
        },
        S.SYN_SENT: {
            E.SYN_ACK: S.ESTABLISHED,
            E.SYN: S.SYN_RECEIVED,
            E.CLOSE: S.CLOSED,
            **gone,
        },
        S.SYN_RECEIVED: {
            E.ACK_OF_SYN: S.ESTABLISHED,
            E.CLOSE: S.FIN_WAIT_1,
            E.ABORT: S.CLOSED,
            E.RST: fallback,
            E.TIMEOUT: fallback,
        },
        S.ESTABLISHED: {E.CLOSE: S.FIN_WAIT_1, E.FIN: S.CLOSE_WAIT, **gone},
        S.FIN_WAIT_1: {E.ACK_OF_FIN: S.FIN_WAIT_2, E.FIN: S.CLOSING, **gone},
        S.FIN_WAIT_2: {E.FIN: S.TIME_WAIT, **gone},
        S.CLOSE_WAIT: {E.CLOSE: S.LAST_ACK, **gone},
        S.CLOSING: {E.ACK_OF_FIN: S.TIME_WAIT, **gone},
        S.LAST_ACK: {E.ACK_OF_FIN: S.CLOSED, **gone},
        S.TIME_WAIT: {E.EXPIRY: S.CLOSED, E.ABORT: S.CLOSED, E.RST: S.CLOSED},
    }


TRANSITIONS: dict[Role, dict[State, dict[Event, State]]] = {
    Role.ACTIVE: _table(fallback=State.CLOSED),
    Role.PASSIVE: _table(fallback=State.LISTEN),
}

SYNCHRONISED = frozenset(State) - {
    State.CLOSED,
    State.LISTEN,
    State.SYN_SENT,
    State.SYN_RECEIVED,
}
"""Both sides have seen the other's SYN acknowledged (RFC 9293 section 3.5)."""

CAN_SEND = frozenset({State.SYN_SENT, State.SYN_RECEIVED, State.ESTABLISHED, State.CLOSE_WAIT})
"""SEND is taken: it may have to wait, but nothing has been closed on this side."""

CAN_RECEIVE = frozenset({State.ESTABLISHED, State.FIN_WAIT_1, State.FIN_WAIT_2})
"""The text of a segment is processed; the peer has not sent its FIN."""


_ENDS = frozenset({Event.ABORT, Event.RST, Event.TIMEOUT})


def diagram() -> str:
    """The table as a Mermaid state diagram; what only one role does is marked with it.

    As in the RFC's figure, the ways from everywhere to CLOSED are left out: ABORT, RST, timeout.
    """
    active, passive = TRANSITIONS[Role.ACTIVE], TRANSITIONS[Role.PASSIVE]
    lines = ["stateDiagram-v2"]
    lines += [f"    {state.name} : {state.value}" for state in State]
    lines.append("    [*] --> CLOSED")
    for state in (State.CLOSED, *(state for state in State if state is not State.CLOSED)):
        for event in Event:
            if event not in active[state]:
                continue
            targets = (active[state][event], passive[state][event])
            if event in _ENDS and targets == (State.CLOSED, State.CLOSED):
                continue
            if targets[0] is targets[1]:
                lines.append(f"    {state.name} --> {targets[0].name} : {event.value}")
            else:
                lines += [
                    f"    {state.name} --> {target.name} : {event.value} ({role.value})"
                    for target, role in zip(targets, Role, strict=True)
                ]
    return "\n".join(lines) + "\n"
