"""The published traces once more, on the wire of a lab and with other people's programs."""

from __future__ import annotations

import socket
import sys

import pytest

from tests.helpers.waiting import wait_for
from tests.io.stateless.conftest import OWN, UNOWNED, Capture
from tests.programs import needs

pytestmark = [
    pytest.mark.kernel,
    pytest.mark.root,  # for tcpdump
    pytest.mark.netlab(topology="topologies/stateless.yaml"),
    needs("tcpdump", "tshark"),
]

BACKEND = """
import socket
server = socket.create_server(("127.0.0.1", 8080))
while True:
    client, _ = server.accept()
    if client.recv(1000):
        client.sendall(b"HTTP/1.0 200 OK\\r\\n\\r\\n".ljust(467, b"x"))
    client.close()
"""


# Resolvers of our time do not answer ANY (RFC 8482). The listening port says that it is ready.
RESOLVER = """
import socket, struct
ready = socket.create_server(("127.0.0.1", 5353))
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
udp.bind(("127.0.0.1", 5353))
while True:
    query, client = udp.recvfrom(4096)
    text = b"x" * (231 - len(query) - 13)
    record = struct.pack("!HHHIHB", 0xC00C, 16, 1, 60, len(text) + 1, len(text)) + text
    head = query[:2] + struct.pack("!5H", 0x8580, 1, 1, 0, 0)
    udp.sendto(head + query[12:] + record, client)
"""


def shape(seen: Capture, port: int) -> list[tuple[bool, str, int]]:
    """From the server or not, flags and length of each segment but the client's pure ACKs."""
    lines = seen.read(f"tcp.port == {port}", "tcp.srcport", "tcp.flags.str", "tcp.len")
    parts = [line.split("\t") for line in lines]
    found = [(source == str(port), flags.strip("·"), int(size)) for source, flags, size in parts]
    return [one for one in found if one != (False, "A", 0)]


def test_http_245_octets_ask_for_467(netlab, serve, backend, capture, tmp_path) -> None:
    (tmp_path / "backend.py").write_text(BACKEND)
    backend(sys.executable, str(tmp_path / "backend.py"), port=8080)
    serve("http", "--listen", f"{UNOWNED}:80", "--backend", "127.0.0.1:8080", "--as-published")
    seen = capture("server")
    with netlab["client"].socket(socket.AF_INET, socket.SOCK_STREAM) as client:
        client.settimeout(10)
        client.connect((UNOWNED, 80))
        client.sendall(b"GET / HTTP/1.1\r\nHost: server\r\nX: ".ljust(241, b"x") + b"\r\n\r\n")
        while client.recv(65536):
            pass
    wait_for(lambda: len(shape(seen, 80)) >= 7)
    assert shape(seen, 80)[:7] == [
        (False, "S", 0),
        (True, "A··S", 0),
        (False, "AP", 245),
        (True, "A", 0),
        (True, "AP", 467),
        (True, "A···F", 0),
        (False, "A···F", 0),
    ]


@needs("dig")
def test_dns_34_octets_ask_for_231(netlab, serve, backend, capture, tmp_path) -> None:
    (tmp_path / "resolver.py").write_text(RESOLVER)
    backend(sys.executable, str(tmp_path / "resolver.py"), port=5353)
    serve("dns", "--listen", f"{OWN}:53", "--resolver", "127.0.0.1:5353", "--as-published")
    seen = capture("server")
    ran = netlab["client"].run(
        ["dig", "+tcp", "+noedns", "+tries=1", f"@{OWN}", "abcdefghijk.test", "ANY"], check=True
    )
    assert "MSG SIZE  rcvd: 231" in ran.stdout
    wait_for(lambda: len(shape(seen, 53)) >= 7)
    found = shape(seen, 53)
    assert found[:5] == [
        (False, "S", 0),
        (True, "A··S", 0),
        (False, "AP", 2 + 34),
        (True, "A", 0),
        (True, "AP", 2 + 231),
    ]
    # dig closes when it has the answer, so either FIN may come first.
    assert sorted(found[5:7]) == [(False, "A···F", 0), (True, "A···F", 0)]
