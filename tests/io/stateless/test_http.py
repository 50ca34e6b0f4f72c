"""Clients that others wrote, through NAT and router, against the stateless HTTP server."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from netlab.lab.lab import Lab
from tests.helpers.commands import NETLAB
from tests.helpers.waiting import wait_for
from tests.io.stateless.conftest import (
    OWN,
    OWN_6,
    UNOWNED,
    UNOWNED_6,
    finish_on_the_wire,
)
from tests.programs import needs

pytestmark = [pytest.mark.kernel, pytest.mark.netlab(topology="topologies/stateless.yaml")]

CURL = ["curl", "-sS", "--max-time", "20"]


def url(address: str, port: int, path: str = "/") -> str:
    return (
        f"http://[{address}]:{port}{path}" if ":" in address else f"http://{address}:{port}{path}"
    )


def fetched(netlab, address: str, port: int, path: str = "/", node: str = "client") -> str:
    return str(netlab[node].run([*CURL, url(address, port, path)], check=True).stdout)


def listen(address: str, port: int) -> list[str]:
    return ["--listen", f"[{address}]:{port}" if ":" in address else f"{address}:{port}"]


@needs("curl")
@pytest.mark.parametrize("address", [OWN, OWN_6, UNOWNED, UNOWNED_6])
@pytest.mark.parametrize("mode", [[], ["--no-offload"], ["--as-published"], ["--withhold-ack"]])
def test_curl_gets_a_page(netlab, serve, address: str, mode: list[str]) -> None:
    served = serve("http", *listen(address, 80), "--text", "Hello", *mode)
    assert fetched(netlab, address, 80) == "Hello\n"
    statistics = served.stop()
    kinds = (
        "express",
        "syn",
        "request",
        "fin",
        "flags",
        "ack",
        "refused",
        "early",
        "late",
        "cookie",
    )
    assert statistics["received"] == sum(statistics.get(kind, 0) for kind in kinds)
    assert (statistics["in flight"], statistics["outbox"]) == (0, 0)


# What tshark says of a frame; a status of 0 is a wrong checksum.
FIELDS = (
    "tcp.srcport", "tcp.flags", "tcp.len", "_ws.malformed", "tcp.checksum.status",
    "ip.checksum.status", "tcp.analysis.flags",
)  # fmt: skip


@pytest.mark.root
@needs("curl", "tcpdump", "tshark", "ethtool")
@pytest.mark.parametrize("size", [100, 60_000])
def test_a_clean_path_looks_clean(netlab, serve, capture, tmp_path, size: int) -> None:
    finish_on_the_wire(netlab["server"])
    finish_on_the_wire(netlab["client"])
    (tmp_path / "page").write_bytes(bytes(i % 251 for i in range(size)))
    serve("http", *listen(UNOWNED, 80), "--file", str(tmp_path))
    seen = capture("server")
    netlab["client"].run([*CURL, "-o", "/dev/null", url(UNOWNED, 80, "/page")], check=True)

    def whole() -> bool:
        """Whether the last segment, the server's ACK of the client's FIN, was seen."""
        frames[:] = [line.split("\t") for line in seen.read("tcp", *FIELDS)]
        return frames[-1:] != [] and frames[-1][:2] == ["80", "0x0010"]

    frames: list[list[str]] = []
    wait_for(whole)
    assert [f for f in frames if f[3] or "0" in f[4:6] or f[6]] == []
    fins = [source == "80" for source, flags, *_ in frames if int(flags, 16) & 1]
    assert sorted(fins) == [False, True]
    lengths = [int(length) for source, _, length, *_ in frames if source == "80" and length != "0"]
    assert max(lengths) <= 1460
    assert sum(lengths) > size
    assert [n for n in lengths[:-1] if n != max(lengths)] == [], "all are full but the last"


@pytest.mark.root
@needs("curl", "tcpdump", "tshark")
def test_the_published_server_makes_the_client_repeat_its_fin(netlab, serve, capture) -> None:
    serve("http", *listen(UNOWNED, 80), "--text", "Hello", "--as-published")
    seen = capture("server")
    fetched(netlab, UNOWNED, 80)
    wait_for(lambda: len(seen.read("tcp.flags.fin == 1 && tcp.dstport == 80")) >= 2)


@needs("wget")
def test_wget_gets_a_page(netlab, serve) -> None:
    serve("http", *listen(OWN, 80), "--text", "Hello")
    got = netlab["client"].run(["wget", "-q", "-T", "10", "-O", "-", url(OWN, 80)], check=True)
    assert got.stdout == "Hello\n"


@needs("ab")
@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_thousand_requests_at_fifty_at_a_time(netlab, serve, workers: str) -> None:
    served = serve("http", *listen(OWN, 80), "--text", "x" * 3000, "--workers", workers)
    ran = netlab["client"].run(
        ["ab", "-n", "1000", "-c", "50", "-s", "20", url(OWN, 80)], check=True
    )
    assert "Complete requests:      1000" in ran.stdout
    assert "Failed requests:        0" in ran.stdout
    first = served.stop()["request"]
    assert first >= 1000 if workers == "1" else 200 < first < 800


@needs("wrk")
def test_wrk_sees_no_error(netlab, serve) -> None:
    serve("http", *listen(UNOWNED, 80), "--text", "Hello")
    ran = netlab["client"].run(["wrk", "-t1", "-c50", "-d1", url(UNOWNED, 80)], check=True)
    assert "requests in" in ran.stdout
    assert "Socket errors" not in ran.stdout
    assert "Non-2xx" not in ran.stdout


@needs("curl")
@pytest.mark.parametrize("mode", [[], ["--no-offload"]])
def test_a_body_of_many_windows_arrives_whole(netlab, serve, tmp_path, mode: list[str]) -> None:
    body = b"".join(hashlib.sha256(b"%d" % i).digest() for i in range(100_000))
    (tmp_path / "body").write_bytes(body)
    served = serve("http", *listen(UNOWNED, 80), "--file", str(tmp_path), *mode)
    netlab["client"].run(
        [*CURL, "-o", str(tmp_path / "got"), url(UNOWNED, 80, "/body")], check=True, timeout=30
    )
    assert (tmp_path / "got").read_bytes() == body
    assert served.stop()["burst"] >= len(body) // 32768


@needs("curl")
def test_bad_paths_are_404(netlab, serve, tmp_path) -> None:
    (tmp_path / "www").mkdir()
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "www" / "index.html").write_text("index")
    serve("http", *listen(UNOWNED, 80), "--file", str(tmp_path / "www"))
    assert fetched(netlab, UNOWNED, 80) == "index"
    for path in ("/../secret", "/%2e%2e/secret", "//", "/index.html/"):
        ran = netlab["client"].run([*CURL, "-i", "--path-as-is", url(UNOWNED, 80, path)])
        assert ran.stdout.startswith("HTTP/1.1 404 "), path


class TestProxy:
    @needs("curl", "nginx")
    def test_nginx_behind(self, netlab, serve, backend, tmp_path) -> None:
        tmp_path.chmod(0o755)
        (tmp_path / "index.html").write_text("from nginx")
        paths = "".join(
            f"{name}_temp_path {tmp_path}/{name};"
            for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        (tmp_path / "nginx.conf").write_text(
            f"daemon off; user root; worker_processes 1; pid {tmp_path}/pid; error_log stderr;"
            f"events {{}} http {{ access_log off; {paths}"
            f"server {{ listen 127.0.0.1:8080; root {tmp_path}; }} }}"
        )
        backend("nginx", "-c", str(tmp_path / "nginx.conf"), port=8080)
        serve("http", *listen(OWN, 80), "--backend", "127.0.0.1:8080")
        assert fetched(netlab, OWN, 80, "/index.html") == "from nginx"

    @needs("curl")
    def test_a_backend_that_goes_and_comes(self, netlab, serve, backend, tmp_path) -> None:
        (tmp_path / "page").write_text("from python")
        argv = [sys.executable, "-m", "http.server", "8080", "--directory", str(tmp_path)]
        served = serve("http", *listen(OWN, 80), "--backend", "127.0.0.1:8080")
        assert "cannot be reached" in fetched(netlab, OWN, 80, "/page")
        process = backend(*argv, port=8080)
        assert fetched(netlab, OWN, 80, "/page") == "from python"
        process.terminate()
        process.wait(10)
        assert "cannot be reached" in fetched(netlab, OWN, 80, "/page")
        backend(*argv, port=8080)
        for _ in range(20):
            assert fetched(netlab, OWN, 80, "/page") == "from python"
        assert served.stop()["in flight"] == 0

    @needs("curl")
    def test_a_slow_backend_blocks_nobody(self, netlab, serve, backend, tmp_path) -> None:
        (tmp_path / "slow.py").write_text(SLOW)
        backend(sys.executable, str(tmp_path / "slow.py"), port=8080)
        served = serve("http", *listen(OWN, 80), "--backend", "127.0.0.1:8080", "--timeout", "2")
        slow = netlab["client"].popen(
            [*CURL, url(OWN, 80, "/slow")], stdout=subprocess.PIPE, text=True
        )
        for _ in range(5):
            assert fetched(netlab, OWN, 80, "/quick") == "quick"
        assert slow.poll() is None
        assert "does not answer" in slow.communicate(timeout=20)[0]
        # The client repeated its request meanwhile; the backend was asked once.
        statistics = served.stop()
        assert statistics["repeated"] >= 1
        assert statistics["request"] == 6 + statistics["repeated"]


SLOW = """
import http.server, time
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/slow":
            time.sleep(30)
        self.send_response(200); self.send_header("Content-Length", "5"); self.end_headers()
        self.wfile.write(b"quick")
http.server.ThreadingHTTPServer(("127.0.0.1", 8080), Handler).serve_forever()
"""


class TestTheKernelsResets:
    def rules(self, netlab) -> str:
        listed = netlab["server"].run(["nft", "list", "ruleset"], check=True).stdout
        return "".join(line for line in listed.splitlines() if "tcp" in line)

    def test_they_are_held_back_while_the_server_lives(self, netlab, serve) -> None:
        assert self.rules(netlab) == ""
        served = serve("http", *listen(OWN, 80), "--text", "Hello")
        assert "tcp sport 80 tcp flags & rst == rst" in self.rules(netlab)
        served.stop()
        assert self.rules(netlab) == ""

    def test_control_c_ends_it_in_order(self, netlab, serve) -> None:
        served = serve("http", *listen(OWN, 80), "--text", "Hello")
        served.process.send_signal(signal.SIGINT)
        output, errors = served.process.communicate(timeout=10)
        assert (served.process.returncode, errors) == (0, "")
        assert '"in flight": 0' in output
        assert self.rules(netlab) == ""

    def test_a_kill_restores_them_too(self, netlab, serve) -> None:
        served = serve("http", *listen(OWN, 80), "--text", "Hello")
        served.process.send_signal(signal.SIGKILL)
        served.process.communicate(timeout=10)
        wait_for(lambda: self.rules(netlab) == "")

    def test_an_address_that_nobody_owns_needs_no_rule(self, netlab, serve) -> None:
        serve("http", *listen(UNOWNED, 80), "--text", "Hello")
        assert self.rules(netlab) == ""

    def test_a_node_that_forwards_is_refused(self, netlab) -> None:
        argv = [*NETLAB, "stateless", "echo", "--interface", "east"]
        ran = netlab["router"].run([*argv, *listen(UNOWNED, 7)])
        assert ran.returncode == 1
        assert "E802" in ran.stderr


@needs("curl")
@pytest.mark.parametrize("box", ["syn-proxy", "strict-window"])
def test_boxes_that_follow_the_numbers_pass_it_on(netlab_state, tmp_path, box: str) -> None:
    file = tmp_path / "lab.yaml"
    text = Path("topologies/stateless.yaml").read_text(encoding="utf-8")
    file.write_text(text.replace("kind: router\n", f"kind: router\n    middleboxes: [{box}]\n"))
    argv = [*NETLAB, "stateless", "http", "--text", "x" * 5000]
    with Lab(file, name="boxed") as lab:
        server = lab["server"].popen([*argv, *listen(UNOWNED, 80)], stdout=subprocess.PIPE)
        assert server.stdout
        assert server.stdout.readline()
        for _ in range(3):
            assert fetched(lab, UNOWNED, 80) == "x" * 5000 + "\n"
        server.terminate()
        server.communicate(timeout=10)


@needs("chromium")
def test_chromium_shows_a_page(netlab, serve, tmp_path) -> None:
    (tmp_path / "index.html").write_text(
        "<!doctype html><title>t</title><p id=p>before</p><script src=/s.js></script>"
    )
    (tmp_path / "s.js").write_text("document.getElementById('p').textContent = 'after';")
    serve("http", *listen(UNOWNED, 80), "--file", str(tmp_path))
    ran = netlab["client"].run(
        ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
         f"--user-data-dir={tmp_path}/profile", "--dump-dom", url(UNOWNED, 80)],
        timeout=60,
    )  # fmt: skip
    assert "after" in ran.stdout, ran.stderr


def test_echo_answers_a_pipeline_by_and_by(netlab, serve) -> None:
    serve("echo", *listen(UNOWNED, 7))
    with netlab["client"].socket(2, 1) as client:
        client.settimeout(20)
        client.setsockopt(6, 1, 1)  # TCP_NODELAY: each write is a segment
        client.connect((UNOWNED, 7))
        for number in range(5):
            client.sendall(b"line %d\n" % number)
        got = b""
        while got.count(b"\n") < 5:
            got += client.recv(1000)
        assert got == b"".join(b"line %d\n" % number for number in range(5))
        client.shutdown(1)
        assert client.recv(1) == b""


@needs("curl")
def test_a_topology_starts_the_server(netlab_state, tmp_path) -> None:
    """As a program of a node, which counts as started once it says that it listens."""
    file = tmp_path / "lab.yaml"
    file.write_text(
        f"""
nodes:
  client: {{routes: [192.0.2.80/32 via server]}}
  server:
    programs:
      front:
        run: [{sys.executable}, -m, netlab, stateless, http, --listen, "192.0.2.80:80",
              --text, Hello]
        environment: {{PYTHONPATH: "{os.environ.get("PYTHONPATH", "")}"}}
        ready: {{log: listening}}
links:
  - {{ends: [client:eth0, server:eth0], subnet: 198.51.100.0/24}}
"""
    )
    with Lab(file, name="front") as lab:
        assert fetched(lab, UNOWNED, 80) == "Hello\n"
