"""How often a transaction succeeds on a path that loses: ``python -m tests.stateless.loss_table``.

The client is our own TCP in virtual time, the server the stateless responder; each packet is lost
with the same probability, by a seeded generator. The server never sends anything again by itself,
so an answer of k segments of which some arrive and some do not is never completed: about (1-p)^k.
"""

from __future__ import annotations

import heapq
import itertools
import random
import re
from pathlib import Path

from netlab.stateless import responder
from netlab.stateless.http import Http
from netlab.stateless.interfaces import Rules
from netlab.stateless.segment import Segment as Whole
from netlab.stateless.segment import cut
from netlab.tcp.connection import Connection
from netlab.tcp.segment import Segment
from netlab.tcp.settings import Settings
from netlab.tcp.state import Role, State
from netlab.wire import tcp
from tests.stateless.peers import CLIENT, SECRET, SERVER

PAGE = Path(__file__).parents[2] / "docs" / "stateless-tcp.md"
LOSSES, SEGMENTS, FLOWS = (0.01, 0.05, 0.2), (1, 3, 10, 40), 500
REQUEST = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
DELAY, PATIENCE = 0.01, 60.0
CLIENTS = Settings(timestamps=False, sack=False, window_scaling=False)
MSS = 1460


def completed(loss: float, segments: int, seed: int) -> bool:
    """True if the client got the whole answer within a minute."""
    rnd = random.Random(f"{loss} {segments} {seed}")
    client = Connection(1000, CLIENTS)
    client.open(Role.ACTIVE)
    rules = Rules(Http())
    answer = b"x" * (segments * MSS - len(Http().wrap(b"") or b""))
    wanted = len(Http().wrap(answer))
    under_way: list[tuple[float, int, Segment]] = []
    order = itertools.count()
    received, asked, now = 0, False, 1.0
    while now < PATIENCE:
        if client.state is State.ESTABLISHED and not asked:
            client.send(REQUEST)
            asked = True
        if client.receiver.waiting:
            received += sum(map(len, client.recv()))
        if received >= wanted:
            return True
        for segment in client.to_send(now):
            if rnd.random() < loss:
                continue
            for whole in responder.respond(_out(segment), now, SECRET, rules, lambda _: answer):
                for piece in cut(whole):
                    if rnd.random() >= loss:
                        heapq.heappush(under_way, (now + 2 * DELAY, next(order), _in(piece)))
        due = min(client.next_timer(), under_way[0][0] if under_way else PATIENCE)
        now = max(now, due)
        if under_way and under_way[0][0] <= now:
            client.receive(heapq.heappop(under_way)[2], now)
        if client.next_timer() <= now:
            client.handle_timer(now)
        if client.end is not None:
            return False
    return False


def _out(segment: Segment) -> Whole:
    return Whole(
        CLIENT, SERVER, 40_000, 80, segment.seq, segment.ack, segment.flags, segment.window,
        b"".join(segment.data), tcp.encode_options(segment.options),
    )  # fmt: skip


def _in(piece: Whole) -> Segment:
    return Segment(
        piece.seq,
        piece.ack,
        piece.flags,
        piece.window,
        len(piece.payload),
        (piece.payload,) if piece.payload else (),
        tcp.parse_options(piece.options),
    )


def table() -> str:
    """The shares as Markdown: measured, and (1-p)^k beside it."""
    lines = [
        f"| segments of the answer | {' | '.join(f'{loss:.0%} loss' for loss in LOSSES)} |",
        "|---|" + "---|" * len(LOSSES),
    ]
    for segments in SEGMENTS:
        cells = []
        for loss in LOSSES:
            share = sum(completed(loss, segments, seed) for seed in range(FLOWS)) / FLOWS
            cells.append(f"{share:.3f} ({(1 - loss) ** segments:.3f})")
        lines.append(f"| {segments} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def filled(page: str) -> str:
    """The page with the table in its place."""
    return re.sub(
        r"(<!-- loss table -->\n).*?(?=\n\n)",
        lambda found: found[1] + table().rstrip(),
        page,
        flags=re.DOTALL,
    )


if __name__ == "__main__":
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
