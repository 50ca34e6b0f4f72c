"""Segments of right conversations, damaged in all ways, and mere noise: a million under soak."""

from __future__ import annotations

import asyncio
import gc
import random
import sys
from typing import TYPE_CHECKING, get_args

import pytest

from netlab.stateless import reference, responder
from netlab.stateless.dns import Dns
from netlab.stateless.framing import Echo
from netlab.stateless.http import Http, response
from netlab.stateless.interfaces import Kind, Rules
from netlab.stateless.segment import ACK, FIN, PSH, SEQ_MASK, encode
from tests.helpers.waiting import eventually
from tests.io.stateless.test_server import FakePort, play
from tests.stateless.peers import syn

if TYPE_CHECKING:
    from collections.abc import Iterator

    from netlab.io.stateless.server import Client, Server
    from netlab.stateless.framing import Framing

BATCH = 500
KINDS = (*get_args(Kind), "express", "fragment", "malformed", "checksum", "elsewhere")
QUERY = b"\0\x1d\0\x01\x01\0\0\x01\0\0\0\0\0\0\x05small\x04test\0\0\x01\0\x01"
REQUESTS = {
    Http: (b"GET / HTTP/1.1\r\n\r\n", b"POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc"),
    Dns: (QUERY, QUERY + QUERY),
    Echo: (b"x", bytes(1400)),
}


def answer(request: bytes, client: Client) -> bytes:
    """What could not be answered would be reset; a large answer does not fit into some windows."""
    return response(200, bytes(3000)) if request.startswith(b"GET") else request


def conversation(framing: Framing, chance: random.Random, isn: int) -> list[bytes]:
    """SYN, requests and FIN of one client to whose SYN+ACK the server gave ``isn``."""
    first = syn(7)
    after = first._replace(seq=8, ack=isn + 1 & SEQ_MASK, flags=ACK | PSH, options=b"")
    found = [encode(first), encode(after._replace(flags=ACK))]
    for request in REQUESTS[type(framing)]:
        whole = after._replace(payload=request, window=chance.choice([0, 500, 5000, 65535]))
        found += [
            encode(whole),
            encode(whole._replace(flags=ACK | PSH | FIN)),
            encode(whole._replace(payload=request[: chance.randrange(len(request))])),
            encode(whole._replace(ack=whole.ack + chance.randrange(1 << 18) & SEQ_MASK)),
        ]
        found.append(encode(after._replace(seq=8 + len(request), flags=ACK | FIN)))
    return found


def damaged(packet: bytes, chance: random.Random) -> bytes:
    """Some octets changed, cut off, put in or put behind."""
    octets = bytearray(packet)
    for _ in range(chance.choice([1, 1, 2, 8])):
        octets[chance.randrange(len(octets))] = chance.choice([0, 0xFF, chance.randrange(256)])
    how = chance.randrange(10)
    if how == 0:
        del octets[chance.randrange(len(octets)) :]
    elif how == 1:
        octets += chance.randbytes(chance.randrange(60))
    elif how == 2:
        octets[chance.randrange(len(octets)) : 0] = chance.randbytes(3)
    return bytes(octets)


def packets(framing: Framing, count: int, isn: int) -> Iterator[bytes]:
    """A few whole packets, very many damaged ones, and noise."""
    chance = random.Random(7)
    right = conversation(framing, chance, isn)
    for _ in range(count):
        how = chance.randrange(20)
        if how == 0:
            yield chance.randbytes(chance.randrange(100))
        elif how == 1:
            yield chance.choice(right)
        else:
            yield damaged(chance.choice(right), chance)


@pytest.mark.parametrize("core", [responder, reference], ids=["responder", "published"])
@pytest.mark.parametrize("framing", [Http(), Dns(), Echo()], ids=["http", "dns", "echo"])
@pytest.mark.parametrize("count", [2_000, pytest.param(170_000, marks=pytest.mark.soak)])
def test_no_crash_no_growth_and_counters_that_add_up(count: int, framing, core) -> None:
    """Six times the larger number are a million. Half of them come with a checksum to verify."""
    seen: list[dict[str, object]] = []
    blocks: list[int] = []

    async def story(port: FakePort, server: Server) -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: seen.append(context))
        port.arrive(syn(7))
        await eventually(lambda: port.sent)
        isn = port.answers()[0].seq
        fed = 1
        batch: list[bytes] = []
        for packet in packets(framing, count, isn):
            batch.append(packet)
            if len(batch) == BATCH:
                port.trusted = not port.trusted
                port.arrive_raw(*batch)
                fed += len(batch)
                await eventually(lambda: server.statistics()["received"] == fed)  # noqa: B023
                assert sum(map(len, port.sent)) < BATCH * 5000
                port.sent.clear()
                batch.clear()
                gc.collect()
                blocks.append(sys.getallocatedblocks())

    statistics = play(story, answer, core=core, rules=Rules(framing))
    assert seen == []
    assert statistics["received"] == sum(statistics.get(kind, 0) for kind in KINDS) == count + 1
    assert statistics["malformed"] > count // 50
    assert statistics["sent"] > count // 50
    assert (statistics["in flight"], statistics["outbox"]) == (0, 0)
    assert statistics.get("failed", 0) == 0
    # What caches and counters took with the first batches stays; nothing is added to it.
    assert max(blocks[2:]) - min(blocks[2:]) < 1000
