"""The public server of two peers: STUN on two addresses, and an exchange of lines.

STUN (RFC 8489, RFC 5780) answers by UDP at two ports of each address that it is given. The
exchange is for whatever peers have to tell each other, such as candidates: each line that one
client sends by TCP goes to all others, and who comes later gets the earlier lines first, so that
``nc SERVER 7000`` is a client.
"""

from __future__ import annotations

import argparse
import contextlib
import selectors
import socket
from typing import TYPE_CHECKING

from netlab.wire import Malformed, stun
from netlab.wire.stun import Endpoint

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

EXCHANGE_PORT = 7000
UNKNOWN = 253
"""An IP protocol for experiments (RFC 3692) that no NAT knows."""
ASKS = b"netlab?"

MOST_CLIENTS = 64
MOST_OCTETS = 1 << 20
"""What the exchange keeps of lines; a client that sends more is cut off."""


def udp_socket(endpoint: Endpoint) -> socket.socket:
    """A socket at this address and port that does not block.

    Raises:
        OSError: it cannot be had.
    """
    family = socket.AF_INET6 if ":" in endpoint.host else socket.AF_INET
    made = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
    try:
        made.bind(tuple(endpoint))
    except OSError:
        made.close()
        raise
    return made


class StunServer:
    """Answers Binding requests at every pair of an address and a port."""

    def __init__(self, addresses: Sequence[str], ports: Sequence[int]) -> None:
        self._sockets: dict[Endpoint, socket.socket] = {}
        try:
            for host in addresses:
                for port in ports:
                    endpoint = Endpoint(host, port)
                    self._sockets[endpoint] = udp_socket(endpoint)
        except OSError:
            self.close()
            raise

    def register(self, selector: selectors.BaseSelector) -> None:
        """Have the selector call back for each socket."""
        for endpoint, made in self._sockets.items():
            selector.register(made, selectors.EVENT_READ, lambda e=endpoint: self._serve(e))

    def _serve(self, local: Endpoint) -> None:
        octets, source = self._sockets[local].recvfrom(65_535)
        try:
            asked = stun.parse(octets)
            given = stun.answer(asked, Endpoint(*source[:2]), local, self._sockets)
        except (Malformed, ValueError):
            return
        if given:
            with contextlib.suppress(OSError):  # a port that was asked for and cannot be
                self._sockets[given.origin].sendto(bytes(given.message), tuple(given.target))

    def close(self) -> None:
        """Close all sockets."""
        for made in self._sockets.values():
            made.close()


class Echo:
    """Sends packets of a protocol that no NAT knows back to where they seem to come from.

    Needs the right to open raw sockets; without it, there is none.
    """

    def __init__(self, addresses: Sequence[str]) -> None:
        self._sockets: list[socket.socket] = []
        for host in addresses:
            if ":" not in host:
                try:
                    made = socket.socket(socket.AF_INET, socket.SOCK_RAW, UNKNOWN)
                except PermissionError:
                    return
                self._sockets.append(made)
                made.bind((host, 0))

    def register(self, selector: selectors.BaseSelector) -> None:
        """Have the selector call back for each socket."""
        for made in self._sockets:
            selector.register(made, selectors.EVENT_READ, lambda s=made: self._serve(s))

    @staticmethod
    def _serve(made: socket.socket) -> None:
        octets, source = made.recvfrom(65_535)
        sent = octets[(octets[0] & 15) * 4 :]
        if sent.startswith(ASKS):
            made.sendto(b"netlab!" + sent[len(ASKS) :], source)

    def close(self) -> None:
        """Close all sockets."""
        for made in self._sockets:
            made.close()


class Exchange:
    """Lines from each client to all others."""

    def __init__(self, port: int) -> None:
        # Both families at one socket, where this machine has both.
        try:
            self._listener = socket.create_server(
                ("", port), family=socket.AF_INET6, dualstack_ipv6=True
            )
        except (OSError, ValueError):
            self._listener = socket.create_server(("", port))
        self._partial: dict[socket.socket, bytes] = {}
        self._lines: list[tuple[socket.socket, bytes]] = []
        self._kept = 0

    def register(self, selector: selectors.BaseSelector) -> None:
        """Have the selector call back for the listener, and for each client that comes."""
        self._selector = selector
        selector.register(self._listener, selectors.EVENT_READ, self._accept)

    def _accept(self) -> None:
        client, _ = self._listener.accept()
        if len(self._partial) >= MOST_CLIENTS:
            client.close()
            return
        client.settimeout(1)  # for sending: no client can hold up the others for ever
        self._partial[client] = b""
        self._selector.register(client, selectors.EVENT_READ, lambda: self._read(client))
        for _, line in self._lines:
            self._send(client, line)

    def _read(self, client: socket.socket) -> None:
        try:
            octets = client.recv(65_536)
        except OSError:
            octets = b""
        self._kept += len(octets)
        if not octets or self._kept > MOST_OCTETS:
            # It has said all that it has to say. It may still be listening, until it is gone.
            self._selector.unregister(client)
            return
        *lines, rest = (self._partial[client] + octets).split(b"\n")
        self._partial[client] = rest
        for line in lines:
            self._lines.append((client, line + b"\n"))
            for other in self._partial:
                if other is not client:
                    self._send(other, line + b"\n")

    @staticmethod
    def _send(client: socket.socket, line: bytes) -> None:
        with contextlib.suppress(OSError):  # it is gone
            client.sendall(line)

    def close(self) -> None:
        """Close the listener and all clients."""
        for client in (*self._partial, self._listener):
            client.close()


def serve(
    addresses: Sequence[str],
    ports: Sequence[int],
    exchange: int | None,
    ready: Callable[[], None] = lambda: None,
) -> None:
    """Serve until the process is asked to end.

    Raises:
        OSError: an address or a port cannot be had.
    """
    with contextlib.ExitStack() as stack, selectors.DefaultSelector() as selector:
        server = StunServer(addresses, ports)
        stack.callback(server.close)
        server.register(selector)
        echo = Echo(addresses)
        stack.callback(echo.close)
        echo.register(selector)
        if exchange is not None:
            lines = Exchange(exchange)
            stack.callback(lines.close)
            lines.register(selector)
        ready()
        while True:
            for key, _ in selector.select():
                with contextlib.suppress(OSError):  # an ICMP error about an earlier datagram
                    key.data()


def main(argv: Sequence[str] | None = None) -> None:
    """``python -m netlab.io.meet.server ADDRESS …``: print ``ready`` and serve."""
    parser = argparse.ArgumentParser(prog="netlab.io.meet.server")
    parser.add_argument("addresses", nargs="*")
    parser.add_argument("--exchange", type=int)
    arguments = parser.parse_args(argv)
    ports = (stun.PORT, stun.PORT + 1)
    serve(arguments.addresses, ports, arguments.exchange, lambda: print("ready", flush=True))


if __name__ == "__main__":
    main()
