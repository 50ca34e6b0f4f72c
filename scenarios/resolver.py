"""A name server as plain as can be: every question is answered with a TXT record.

The record has 20 strings of 200 octets, or one of 16 for names that begin with ``small``. It
answers over UDP without a look at what size was offered, and over the kernel's TCP. Ordinary
servers would limit themselves, which is not what is to be seen.

    python3 resolver.py ADDRESS...
"""

import socket
import socketserver
import struct
import sys
import threading

LARGE, SMALL = (20, 200), (1, 16)


def answer(query: bytes) -> bytes:
    """The whole message (RFC 1035 section 4): the question again, and one TXT record."""
    end = query.index(b"\0", 12) + 5
    count, size = SMALL if query[13:].startswith(b"small") else LARGE
    record = b"".join(bytes([size]) + bytes([97 + n]) * size for n in range(count))
    head = query[:2] + struct.pack("!5H", 0x8580, 1, 1, 0, 0)
    return head + query[12:end] + struct.pack("!HHHIH", 0xC00C, 16, 1, 60, len(record)) + record


class Datagram(socketserver.BaseRequestHandler):
    """A question over UDP."""

    def handle(self) -> None:
        """Answer it."""
        query, server = self.request
        server.sendto(answer(query), self.client_address)


class Stream(socketserver.StreamRequestHandler):
    """A question over TCP, its length before it."""

    def handle(self) -> None:
        """Answer it."""
        query = self.rfile.read(int.from_bytes(self.rfile.read(2), "big"))
        found = answer(query)
        self.wfile.write(len(found).to_bytes(2, "big") + found)


def main(addresses: list[str]) -> None:
    """Serve at all addresses until killed."""
    for address in addresses:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        for base, handler in (
            (socketserver.ThreadingUDPServer, Datagram),
            (socketserver.ThreadingTCPServer, Stream),
        ):
            kind = type("Server", (base,), {"address_family": family})
            threading.Thread(target=kind((address, 53), handler).serve_forever).start()
    print("ready", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
