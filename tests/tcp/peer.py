"""A peer whose segments a test writes by hand, and connections in every state to send them to."""

from __future__ import annotations

from netlab.tcp.connection import Connection
from netlab.tcp.segment import Segment
from netlab.tcp.seq import wrap
from netlab.tcp.settings import Settings
from netlab.tcp.state import Role, State
from netlab.wire.tcp import ACK, FIN, SYN

ISS, IRS = 1000, 9000
PLAIN = Settings(timestamps=False, sack=False, window_scaling=False, delayed_ack=0.0)
TIME = 5.0


def feed(
    c: Connection, seq: int, flags: int, ack: int = 0, data: bytes = b"", **more: int
) -> list[Segment]:
    """One segment from the peer; returns the answers."""
    pieces = (data,) if data else ()
    c.receive(
        Segment(
            wrap(seq),
            wrap(ack),
            flags,
            more.get("window", 10_000),
            len(data),
            pieces,
            urgent_pointer=more.get("urgent_pointer", 0),
        ),
        TIME,
    )
    return c.to_send(TIME)


def in_state(state: State, role: Role = Role.ACTIVE, choice: Settings = PLAIN) -> Connection:
    """A connection in this state, with nothing under way but its FIN."""
    c = Connection(ISS, choice)
    if state is State.CLOSED:
        return c
    if state is State.LISTEN:
        c.open(Role.PASSIVE)
        return c
    c.open(role)
    c.to_send(TIME)
    if state is State.SYN_SENT:
        return c
    if role is Role.PASSIVE:
        feed(c, IRS, SYN)
        if state is State.SYN_RECEIVED:
            return c
        feed(c, IRS + 1, ACK, ISS + 1)
    elif state is State.SYN_RECEIVED:
        feed(c, IRS, SYN)
        return c
    else:
        feed(c, IRS, SYN | ACK, ISS + 1)
    if state in {State.FIN_WAIT_1, State.FIN_WAIT_2, State.CLOSING, State.TIME_WAIT}:
        c.close(TIME)
        c.to_send(TIME)
    if state in {State.FIN_WAIT_2, State.TIME_WAIT}:
        feed(c, IRS + 1, ACK, ISS + 2)
    if state in {State.CLOSE_WAIT, State.LAST_ACK, State.TIME_WAIT}:
        feed(c, IRS + 1, FIN | ACK, c.sender.nxt)
    if state is State.CLOSING:
        feed(c, IRS + 1, FIN | ACK, ISS + 1)
    if state is State.LAST_ACK:
        c.close(TIME)
        c.to_send(TIME)
    c.take_events()
    assert c.state is state
    return c
