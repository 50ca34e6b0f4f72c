"""A program that looks for another one through NATs by UDP, and nothing else.

It does what ICE does (RFC 8445), as little as there can be: it learns its outside endpoints from a
STUN server, gives them and its own to the other by the exchange, sends to all of the other's, and
answers whatever address a packet of the other's came from. It has met the other as soon as the
other is known to have heard it.
"""

from __future__ import annotations

import argparse
import contextlib
import ipaddress
import random
import select
import socket
import sys
import time
from typing import TYPE_CHECKING, NamedTuple

from netlab.wire import Malformed, stun
from netlab.wire.stun import Endpoint

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

PERIOD = 0.04
"""Seconds between two rounds of packets (RFC 8445 section 14.2 paces by 50 ms)."""

ROUNDS = 16
"""Rounds until it gives up. What NATs allow is decided after three; the rest is for loss."""

AFTERWARDS = 4
"""Rounds in which it goes on answering, once it has met the other."""

ASKING = 3.0
"""Seconds for a STUN server, and for the other's candidates, to come."""

HELLO, HEARD = b" netlab hello", b" netlab heard"
"""The ends of packets. Each begins with its sender and a number, so that no two are alike."""


class Setting(NamedTuple):
    """What a peer is given: STUN servers, the exchange, a NAT64 prefix or an empty text, a seed."""

    stun: tuple[Endpoint, ...]
    exchange: Endpoint
    nat64: str = ""
    name: str = "a"
    seed: int = 0


class Peer:
    """One peer: a UDP socket for each address family, on one port."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self._rng = random.Random(f"{setting.seed} {setting.name}")  # noqa: S311 - to be repeated
        self._sockets: dict[bool, socket.socket] = {}
        self._sent = 0
        port = self._rng.randrange(20_000, 60_000)
        for six, family in ((False, socket.AF_INET), (True, socket.AF_INET6)):
            with contextlib.suppress(OSError):
                made = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
                made.setblocking(False)
                if six:
                    made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                made.bind(("", port))
                self._sockets[six] = made

    def close(self) -> None:
        """Close the sockets."""
        for made in self._sockets.values():
            made.close()

    def candidates(self) -> list[tuple[str, Endpoint]]:
        """Where it may be reached: ``host`` and ``reflexive`` endpoints, without repetition."""
        found = []
        for server in self.setting.stun:
            own = self._own(server)
            if own is None:
                continue
            found.append(("host", own))
            seen = self._ask(server)
            if seen:
                found.append(("reflexive", seen))
        return list({endpoint: (kind, endpoint) for kind, endpoint in reversed(found)}.values())

    def _own(self, server: Endpoint) -> Endpoint | None:
        """The endpoint that a packet to this server has at its sender; ``None`` without a route."""
        bound = self._sockets.get(":" in server.host)
        if bound is None:
            return None
        with socket.socket(bound.family, socket.SOCK_DGRAM) as trial:
            try:
                trial.connect(tuple(server))
            except OSError:
                return None
            return Endpoint(trial.getsockname()[0], bound.getsockname()[1])

    def _ask(self, server: Endpoint) -> Endpoint | None:
        """What the server sees; asked again until it answers (RFC 8489 section 6.2.1)."""
        asked = stun.request(self._rng.randbytes(12))
        used = self._sockets[":" in server.host]
        wait = 0.1
        for _ in range(5):
            with contextlib.suppress(OSError):
                used.sendto(bytes(asked), tuple(server))
            for octets, _ in self._arrivals(wait):
                with contextlib.suppress(Malformed):
                    given = stun.parse(octets)
                    if given.transaction == asked.transaction:
                        return given.endpoint(stun.XOR_MAPPED_ADDRESS, stun.MAPPED_ADDRESS)
            wait *= 2
        return None

    def _arrivals(self, wait: float) -> Iterator[tuple[bytes, Endpoint]]:
        """Datagrams as they come, for so many seconds."""
        end = time.monotonic() + wait
        while (left := end - time.monotonic()) > 0:
            for used in select.select([*self._sockets.values()], [], [], left)[0]:
                with contextlib.suppress(OSError):
                    octets, source = used.recvfrom(2048)
                    yield octets, Endpoint(*source[:2])

    def exchange(self, own: Iterable[tuple[str, Endpoint]]) -> list[Endpoint]:
        """Give the other one's candidates, and return the other's.

        Raises:
            OSError: the exchange cannot be reached, or the other gave none in time.
        """
        exchange = self.setting.exchange
        with socket.create_connection((exchange.host, exchange.port), ASKING) as line:
            lines = [f"candidate {kind} {e.host} {e.port}\n" for kind, e in own]
            line.sendall("".join([*lines, "end\n"]).encode())
            found = []
            with line.makefile("r", encoding="ascii") as stream:
                for each in stream:
                    words = each.split()
                    if words[0] == "end":
                        break
                    found.append(Endpoint(words[2], int(words[3])))
        return [e for each in found if (e := self._reachable(each))]

    def _reachable(self, endpoint: Endpoint) -> Endpoint | None:
        """The endpoint as it is reached from here: IPv4 behind a NAT64 by its prefix (RFC 6052)."""
        prefix = self.setting.nat64
        if prefix and ":" not in endpoint.host:
            base = int(ipaddress.IPv6Network(prefix).network_address)
            host = ipaddress.IPv6Address(base | int(ipaddress.IPv4Address(endpoint.host)))
            return endpoint._replace(host=str(host))
        return endpoint

    def meet(self, others: Iterable[Endpoint]) -> Endpoint | None:
        """Look for the other; where it was met, or ``None`` if it was not."""
        targets = dict.fromkeys(others)
        met: Endpoint | None = None
        after = AFTERWARDS
        for _ in range(ROUNDS):
            for target in list(targets):
                self._send(HELLO, target)
            for octets, source in self._arrivals(PERIOD):
                if not octets.endswith((HELLO, HEARD)):
                    continue
                targets.setdefault(source)
                if octets.endswith(HELLO):
                    self._send(HEARD, source)
                met = met or (source if octets.endswith(HEARD) else None)
            after -= met is not None
            if not after:
                break
        return met

    def _send(self, what: bytes, target: Endpoint) -> None:
        used = self._sockets.get(":" in target.host)
        if used:
            self._sent += 1
            octets = f"{self.setting.name}{self._sent:04}".encode() + what
            with contextlib.suppress(OSError):  # no route, or an ICMP error about an earlier one
                used.sendto(octets, tuple(target))


def endpoint(text: str) -> Endpoint:
    """``HOST:PORT``, the host of IPv6 in brackets."""
    host, _, port = text.rpartition(":")
    return Endpoint(host.strip("[]"), int(port))


def main(argv: Sequence[str] | None = None) -> int:
    """``python -m netlab.io.meet.peer``: 0 if it met the other, 1 if not."""
    parser = argparse.ArgumentParser(prog="netlab.io.meet.peer")
    parser.add_argument("--stun", type=endpoint, action="append", default=[])
    parser.add_argument("--exchange", type=endpoint, required=True)
    parser.add_argument("--nat64", default="")
    parser.add_argument("--name", default="a")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(argv)
    peer = Peer(Setting(tuple(given.stun), given.exchange, given.nat64, given.name, given.seed))
    with contextlib.closing(peer):
        own = peer.candidates()
        for kind, each in own:
            print(kind, each, flush=True)
        try:
            others = peer.exchange(own)
        except OSError as error:
            print(f"no exchange with the other: {error}", flush=True)
            return 1
        met = peer.meet(others)
    print(f"met {met}" if met else "not met", flush=True)
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
