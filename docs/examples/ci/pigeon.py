"""Pigeon: a message and its receipt, over UDP. Small enough to read, and to test against the world.

    python pigeon.py serve              # on port 4000, until it is stopped
    python pigeon.py send ADDRESS TEXT  # exit code 0 if a receipt came

A message is `PGN1`, a random number of four octets, and the text; a receipt is the message's first
eight octets and the length of the text. A message that gets no receipt is sent again, in all five
times, and the server gives another receipt for it.
"""

import os
import socket
import sys

PORT = 4000
TRIES = 5
PATIENCE = 0.3
"""Seconds between two tries."""


def receipt(message: bytes) -> bytes:
    """What the server answers."""
    return message[:8] + len(message[8:]).to_bytes(2, "big")


def serve() -> None:
    """Answer every message."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("", PORT))
        print("ready", flush=True)
        while True:
            message, sender = server.recvfrom(65535)
            if message.startswith(b"PGN1") and len(message) >= 8:
                server.sendto(receipt(message), sender)


def send(address: str, text: str) -> bool:
    """Send until a receipt comes; whether one did."""
    message = b"PGN1" + os.urandom(4) + text.encode()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(PATIENCE)
        for _ in range(TRIES):
            client.sendto(message, (address, PORT))
            try:
                if client.recv(65535) == receipt(message):
                    return True
            except TimeoutError:
                continue
    return False


if __name__ == "__main__":
    if sys.argv[1:] == ["serve"]:
        serve()
    else:
        sys.exit(not send(*sys.argv[2:4]))
