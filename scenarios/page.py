"""A web server as plain as can be, on the kernel's TCP: GET /N is answered with N octets.

It says how often each path was asked: GET /asked/N. It says all it has to say, and then closes.

    python3 page.py ADDRESS PORT
"""

import socket
import sys
import threading
from collections import Counter

asked: Counter[str] = Counter()


def answer(request: bytes) -> bytes:
    """The whole answer to a request for /N or /asked/N."""
    path = request.split(b" ", 2)[1].decode()
    if path.startswith("/asked/"):
        body = str(asked[path.removeprefix("/asked")]).encode()
    else:
        asked[path] += 1
        body = b"x" * int(path.removeprefix("/") or 0)
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    return head.encode() + body


def serve(client: socket.socket) -> None:
    """One request of a connection, then wait for its end."""
    with client:
        request = b""
        while b"\r\n\r\n" not in request:
            piece = client.recv(65536)
            if not piece:
                return
            request += piece
        client.sendall(answer(request))
        client.shutdown(socket.SHUT_WR)
        client.recv(1)


def main(address: str, port: str) -> None:
    """Serve until killed."""
    with socket.create_server((address, int(port)), backlog=128) as listener:
        print("ready", flush=True)
        while True:
            client, _ = listener.accept()
            threading.Thread(target=serve, args=(client,), daemon=True).start()


if __name__ == "__main__":
    main(*sys.argv[1:])
