"""DNS clients and resolvers that others wrote, on both sides of the stateless DNS proxy."""

from __future__ import annotations

import re
import socket
import struct

import pytest

from tests.io.stateless.conftest import OWN, OWN_6, UNOWNED
from tests.programs import needs

pytestmark = [pytest.mark.kernel, pytest.mark.netlab(topology="topologies/stateless.yaml")]

# 20 strings of 200 octets: about 4,000 octets of answer, more than any UDP size here.
LARGE = " ".join(f'"{chr(97 + n) * 200}"' for n in range(20))
HUGE = " ".join(f'"{chr(97 + n % 26) * 250}"' for n in range(240))
UNBOUND = """
server:
  directory: "{directory}"
  username: ""
  chroot: ""
  pidfile: "{directory}/pid"
  use-syslog: no
  do-daemonize: no
  interface: 127.0.0.1@5353
  access-control: 0.0.0.0/0 allow
  ip-ratelimit: 0
  max-udp-size: 4096
  local-zone: "test." static
  local-data: "small.test. A 192.0.2.1"
  local-data: "two.test. A 192.0.2.2"
  local-data: 'large.test. TXT {large}'
  local-data: 'huge.test. TXT {huge}'
  module-config: "iterator"
remote-control:
  control-enable: no
"""


@pytest.fixture
def unbound(backend, tmp_path):
    def start():
        tmp_path.chmod(0o755)
        config = tmp_path / "unbound.conf"
        config.write_text(UNBOUND.format(directory=tmp_path, large=LARGE, huge=HUGE))
        return backend("unbound", "-d", "-c", str(config), port=5353)

    return start


PROXY = ["--resolver", "127.0.0.1:5353"]


def dig(netlab, *argv: str, address: str = OWN) -> str:
    """What dig prints; it tries once and waits at most five seconds."""
    ran = netlab["client"].run(
        ["dig", "+tcp", "+tries=1", "+time=5", f"@{address}", *argv], timeout=30
    )
    return str(ran.stdout)


@needs("dig", "unbound")
@pytest.mark.parametrize("address", [OWN, OWN_6, UNOWNED])
@pytest.mark.parametrize("mode", [[], ["--as-published"]])
def test_dig_gets_an_answer(netlab, serve, unbound, address: str, mode: list[str]) -> None:
    unbound()
    where = f"[{address}]:53" if ":" in address else f"{address}:53"
    serve("dns", "--listen", where, *PROXY, *mode)
    printed = dig(netlab, "small.test", address=address)
    assert "192.0.2.1" in printed
    assert "(TCP)" in printed


@needs("dig", "unbound")
@pytest.mark.parametrize(("name", "least"), [("large.test", 4000), ("huge.test", 60_000)])
def test_long_answers_come_whole(netlab, serve, unbound, name: str, least: int) -> None:
    """The huge one exceeds the proxy's EDNS size: the resolver truncates, the proxy asks by TCP."""
    unbound()
    serve("dns", "--listen", f"{OWN}:53", *PROXY)
    printed = dig(netlab, name, "TXT", "+noedns")
    size = re.search(r"MSG SIZE\s+rcvd: (\d+)", printed)
    assert size, printed
    assert int(size[1]) > least
    assert ";; flags: qr aa rd ra;" in printed
    assert "EDNS" not in printed, "the client sent none, so it gets none"


@needs("kdig", "unbound")
def test_kdig_asks_twice_on_one_connection(netlab, serve, unbound) -> None:
    unbound()
    served = serve("dns", "--listen", f"{OWN}:53", *PROXY)
    ran = netlab["client"].run(
        ["kdig", "+tcp", "+keepopen", "+retry=0", f"@{OWN}", "small.test", "two.test"], check=True
    )
    assert "192.0.2.1" in ran.stdout
    assert "192.0.2.2" in ran.stdout
    statistics = served.stop()
    assert statistics["request"] == 2


@needs("unbound")
def test_queries_of_one_segment_are_answered_together(netlab, serve, unbound) -> None:
    unbound()
    served = serve("dns", "--listen", f"{OWN}:53", *PROXY)
    with netlab["client"].socket(socket.AF_INET, socket.SOCK_STREAM) as client:
        client.settimeout(10)
        client.connect((OWN, 53))
        client.sendall(query(1, "small") + query(2, "two"))
        assert [answer(client)[:2] for _ in range(2)] == [b"\0\1", b"\0\2"]
    assert served.stop()["request"] == 1


@needs("unbound")
def test_pipelined_queries_are_answered_when_the_client_repeats_them(
    netlab, serve, unbound
) -> None:
    unbound()
    served = serve("dns", "--listen", f"{OWN}:53", *PROXY)
    with netlab["client"].socket(socket.AF_INET, socket.SOCK_STREAM) as client:
        client.settimeout(10)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client.connect((OWN, 53))
        for number in range(1, 11):
            client.sendall(query(number, "small"))
        got = [answer(client)[:2] for _ in range(10)]
    assert got == [bytes([0, number]) for number in range(1, 11)]
    assert served.stop()["early"] >= 1


@needs("dnsperf", "unbound")
def test_dnsperf_without_pipelining(netlab, serve, unbound, tmp_path) -> None:
    unbound()
    serve("dns", "--listen", f"{OWN}:53", *PROXY)
    (tmp_path / "queries").write_text("small.test A\n" * 2000)
    ran = netlab["client"].run(
        ["dnsperf", "-m", "tcp", "-s", OWN, "-d", str(tmp_path / "queries"),
         "-c", "20", "-q", "20", "-n", "1"],
        check=True,
    )  # fmt: skip
    assert re.search(r"Queries completed:\s+2000 \(100.00%\)", ran.stdout), ran.stdout


@needs("dnsperf", "unbound")
def test_dnsperf_with_pipelining(netlab, serve, unbound, tmp_path) -> None:
    """Twenty queries at a time on one connection; Nagle's algorithm puts them into few segments."""
    unbound()
    served = serve("dns", "--listen", f"{OWN}:53", *PROXY)
    (tmp_path / "queries").write_text("small.test A\n" * 60)
    ran = netlab["client"].run(
        ["dnsperf", "-m", "tcp", "-s", OWN, "-d", str(tmp_path / "queries"),
         "-c", "1", "-q", "20", "-n", "1", "-t", "20"],
        check=True,
    )  # fmt: skip
    assert re.search(r"Queries completed:\s+60 \(100.00%\)", ran.stdout), ran.stdout
    assert served.stop()["request"] < 60


@needs("dig", "unbound")
def test_a_resolver_that_goes_and_comes(netlab, serve, unbound) -> None:
    served = serve("dns", "--listen", f"{OWN}:53", *PROXY, "--timeout", "1")
    assert "status: SERVFAIL" in dig(netlab, "small.test")
    first = unbound()
    assert "192.0.2.1" in dig(netlab, "small.test")
    first.terminate()
    first.wait(10)
    assert "status: SERVFAIL" in dig(netlab, "small.test")
    unbound()
    for _ in range(10):
        assert "192.0.2.1" in dig(netlab, "small.test")
    assert served.stop()["in flight"] == 0


def test_what_is_no_query_is_reset(netlab, serve) -> None:
    serve("dns", "--listen", f"{UNOWNED}:53", *PROXY)
    with netlab["client"].socket(socket.AF_INET, socket.SOCK_STREAM) as client:
        client.settimeout(10)
        client.connect((UNOWNED, 53))
        client.sendall(b"\0\x03abc")
        with pytest.raises(ConnectionResetError):
            client.recv(1)


def query(number: int, name: str) -> bytes:
    labels = b"".join(bytes([len(part)]) + part for part in (name.encode(), b"test")) + b"\0"
    message = struct.pack("!6H", number, 0x0100, 1, 0, 0, 0) + labels + b"\0\x01\0\x01"
    return len(message).to_bytes(2, "big") + message


def answer(client: socket.socket) -> bytes:
    def exactly(size: int) -> bytes:
        data = b""
        while len(data) < size:
            piece = client.recv(size - len(data))
            assert piece, "closed"
            data += piece
        return data

    return exactly(int.from_bytes(exactly(2), "big"))
