"""One who watches a wire, over a pair of sockets."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from netlab.io.inline.event_stream import Watcher
from netlab.middlebox.report import LARGEST, NOTHING, Lost, Missed, decode, encode_notice

if TYPE_CHECKING:
    from collections.abc import Iterator

REPORT = b'[["Left",1,"inbound",""]]'


@pytest.fixture
def ends() -> Iterator[tuple[Watcher, socket.socket]]:
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    far.setblocking(False)
    with near, far:
        yield Watcher(near, room=10 * len(REPORT)), far


def heard(end: socket.socket) -> list[bytes]:
    found: list[bytes] = []
    while True:
        try:
            message = end.recv(LARGEST)
        except BlockingIOError:
            return found
        if not message:
            return found
        found.append(message)


def test_it_is_greeted_and_told_and_bidden_farewell(ends):
    watcher, end = ends
    watcher.put(REPORT, 1)
    assert watcher.go_on(())
    assert heard(end) == [NOTHING, REPORT]
    end.shutdown(socket.SHUT_WR)
    watcher.put(REPORT, 1)
    assert not watcher.go_on((watcher.connection,))
    assert heard(end) == [REPORT, NOTHING]


def test_who_does_not_read_loses_something_and_learns_how_much(ends):
    watcher, end = ends
    watcher.connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
    sent = 0
    while not watcher.waiting or (watcher.go_on(()) and not watcher.lost):
        watcher.put(REPORT, 1)
        sent += 1
        assert sent < 10_000
    said = heard(end)
    assert watcher.go_on(())
    watcher.put(REPORT, 1)
    end.shutdown(socket.SHUT_WR)
    while watcher.go_on((watcher.connection,)):
        said += heard(end)
    said += heard(end)
    told = [decode(message) for message in said]
    lost = sum(t.events for t in told if isinstance(t, Lost))
    assert lost > 0
    assert lost + sum(len(t) for t in told if isinstance(t, list)) == sent + 1
    assert said[-1] == NOTHING


def test_it_learns_what_the_wire_was_too_slow_for_since_it_came():
    missed = [5]
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with near, far:
        watcher = Watcher(near, lambda: missed[0])
        missed[0] = 12
        far.shutdown(socket.SHUT_WR)
        assert not watcher.go_on((near,))
        far.setblocking(False)
        assert heard(far) == [NOTHING, encode_notice(Missed(7)), NOTHING]


def test_one_that_is_gone_is_let_go(ends):
    watcher, end = ends
    end.close()
    watcher.put(REPORT, 1)
    assert not watcher.go_on(())
