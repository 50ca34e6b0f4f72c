"""The use that was claimed for it: answers too large for UDP, on a path where fragments die."""

from __future__ import annotations

import re
import sys

import pytest

from tests.helpers.waiting import wait_for
from tests.programs import needs

pytestmark = [
    pytest.mark.kernel,
    pytest.mark.netlab(topology="topologies/large-answers.yaml"),
    needs("dig"),
]

# A resolver as plain as can be: one TXT record of 4,020 octets, by UDP and by the kernel's TCP.
# Ordinary resolvers limit IPv6 datagrams to 1280 octets a fragment by themselves.
RESOLVER = """
import socketserver, struct, threading, socket

def answer(query):
    end = query.index(b"\\0", 12) + 5
    record = b"".join(b"\\xc8" + bytes([97 + n]) * 200 for n in range(20))
    head = query[:2] + struct.pack("!5H", 0x8580, 1, 1, 0, 0)
    return head + query[12:end] + struct.pack("!HHHIH", 0xC00C, 16, 1, 60, len(record)) + record

class Datagram(socketserver.BaseRequestHandler):
    def handle(self):
        data, sock = self.request
        sock.sendto(answer(data), self.client_address)

class Stream(socketserver.StreamRequestHandler):
    def handle(self):
        data = self.rfile.read(int.from_bytes(self.rfile.read(2), "big"))
        found = answer(data)
        self.wfile.write(len(found).to_bytes(2, "big") + found)

for address in ("198.51.100.2", "2001:db8:2::2"):
    for base, handler in (("ThreadingUDPServer", Datagram), ("ThreadingTCPServer", Stream)):
        kind = type(base, (getattr(socketserver, base),), {
            "address_family": socket.AF_INET6 if ":" in address else socket.AF_INET,
        })
        threading.Thread(target=kind((address, 53), handler).serve_forever).start()
print("ready", flush=True)
"""

KERNEL, STATELESS = ("198.51.100.2", "2001:db8:2::2"), ("192.0.2.53", "2001:db8:53::53")


def arrives(netlab, address: str, *how: str) -> bool:
    ran = netlab["client"].run(
        ["dig", f"@{address}", "large.test", "TXT", "+tries=1", "+time=2", "+ignore", *how],
        timeout=30,
    )
    return re.search(r"MSG SIZE  rcvd: 40\d\d$", ran.stdout, re.MULTILINE) is not None


@pytest.fixture
def resolver(netlab, tmp_path):
    (tmp_path / "resolver.py").write_text(RESOLVER)
    log = (tmp_path / "log").open("w+b")
    process = netlab["server"].popen([sys.executable, str(tmp_path / "resolver.py")], stdout=log)
    wait_for(lambda: b"ready" in (tmp_path / "log").read_bytes())
    yield
    process.kill()
    process.wait(10)
    log.close()


@pytest.mark.usefixtures("resolver")
def test_udp_dies_and_tcp_arrives(netlab, serve) -> None:
    for address in STATELESS:
        where = f"[{address}]:53" if ":" in address else f"{address}:53"
        serve("dns", "--listen", where, "--resolver", "198.51.100.2:53")
    udp = ["+notcp", "+bufsize=4096"]
    table = {
        ("small datagram", "IPv4"): passes(netlab, KERNEL[0]),
        ("small datagram", "IPv6"): passes(netlab, KERNEL[1]),
        ("UDP", "IPv4"): arrives(netlab, KERNEL[0], *udp),
        ("UDP", "IPv6"): arrives(netlab, KERNEL[1], *udp),
        ("kernel TCP", "IPv4"): arrives(netlab, KERNEL[0], "+tcp"),
        ("kernel TCP", "IPv6"): arrives(netlab, KERNEL[1], "+tcp"),
        ("stateless TCP", "IPv4"): arrives(netlab, STATELESS[0], "+tcp"),
        ("stateless TCP", "IPv6"): arrives(netlab, STATELESS[1], "+tcp"),
    }
    assert table == {place: place[0] != "UDP" for place in table}
    dropped = netlab["near"].run(["nft", "list", "table", "ip", "fragments"], check=True).stdout
    assert "packets 2 " in dropped


def passes(netlab, address: str) -> bool:
    """Whether the path is open at all."""
    ran = netlab["client"].run(["ping", "-c1", "-W2", "-s", "500", address])
    return bool(ran.returncode == 0)
