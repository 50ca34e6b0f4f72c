"""``netlab tcp`` in a lab: what a user types, and what comes of it."""

import contextlib
import hashlib
import json
import random
import signal
import subprocess
import warnings
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.commands import NETLAB
from tests.programs import needs

ROOT = Path(__file__).parents[2]
ADDRESS = "192.168.1.100"

pytestmark = [pytest.mark.kernel, pytest.mark.netlab(topology="topologies/stack.yaml")]


@pytest.fixture(autouse=True)
def _own_place(tmp_path, monkeypatch):
    monkeypatch.setenv("NETLAB_TCP_DIR", str(tmp_path / "stacks"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))


def argv(*words: str) -> list[str]:
    return [*NETLAB, "tcp", *words]


def tcp(*words: str, code: int = 0, **options) -> subprocess.CompletedProcess[bytes]:
    ran = subprocess.run(
        argv(*words), cwd=ROOT, capture_output=True, check=False, timeout=60, **options
    )
    assert ran.returncode == code, ran.stderr.decode()
    assert b"Traceback" not in ran.stderr
    return ran


@contextlib.contextmanager
def running(*words: str):
    """A server that says when it listens, and ends at SIGTERM."""
    with subprocess.Popen(argv(*words), cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr
        line = process.stderr.readline()
        try:
            assert line.startswith("listening"), line + process.stderr.read()
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            rest = process.stderr.read()
    assert "Traceback" not in rest
    assert process.returncode == 128 + signal.SIGTERM


def where(netlab) -> str:
    return f"{netlab.name}/probe"


def test_status_shows_the_stacks_own_address(netlab):
    command = [*NETLAB, "status", netlab.name]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert f"tun0 stack {ADDRESS}" in said
    said = subprocess.run(
        [*command, "--json"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    [probe] = [n for n in json.loads(said)[0]["nodes"] if n["name"] == "probe"]
    # No program holds the device yet.
    without = {"name": "tun0", "addresses": [], "stack": [ADDRESS], "state": "no carrier"}
    assert probe["interfaces"][1] == without


@needs("curl", "nc")
def test_files_by_http_and_the_live_states(netlab, tmp_path):
    (tmp_path / "page").write_text("a page\n")
    with running("http", "--node", where(netlab), str(tmp_path)):
        url = f"http://{ADDRESS}/page"
        assert netlab["nat"].run(["curl", "-sS", url], check=True).stdout == "a page\n"
        holder = netlab["nat"].popen(["nc", "-N", ADDRESS, "80"], stdin=subprocess.PIPE)
        with holder:
            found: list[dict[str, Any]] = []
            while not any(one["state"] == "ESTABLISHED" for one in found):
                found = json.loads(tcp("states", "--json").stdout)
            one = next(one for one in found if one["state"] == "ESTABLISHED")
            assert one["local"] == f"{ADDRESS}:80"
            assert one["remote"].startswith("192.168.1.1:")
            assert one["mss"] == 1448
            table = tcp("states").stdout.decode()
            assert "cubic rto:" in table
            assert "ESTABLISHED" in table
            holder.stdin.close()
    assert json.loads(tcp("states", "--json").stdout) == []


def test_listen_takes_what_netcat_sends(netlab, tmp_path):
    data = random.Random(1).randbytes(2_000_000)
    received = tmp_path / "received"
    with (
        received.open("wb") as file,
        subprocess.Popen(
            argv("listen", "--node", where(netlab), "4000"),
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=file,
            stderr=subprocess.PIPE,
        ) as process,
    ):
        assert process.stdin
        assert process.stderr
        assert process.stderr.readline().startswith(b"listening")
        process.stdin.write(b"welcome")
        process.stdin.close()
        source = tmp_path / "source"
        source.write_bytes(data)
        said = netlab["nat"].run(["sh", "-c", f"nc -N {ADDRESS} 4000 < {source}"], check=True)
        assert said.stdout == "welcome"
        assert process.wait(30) == 0
    assert hashlib.sha256(received.read_bytes()).digest() == hashlib.sha256(data).digest()


def test_connect_asks_through_the_nat_and_shows_each_segment(netlab, tmp_path):
    trace = tmp_path / "trace.pcapng"
    words = ["connect", "--node", where(netlab), "198.51.100.2", "80"]
    ran = tcp(*words, "--verbose", "--trace", str(trace), input=b"GET / HTTP/1.0\r\n\r\n")
    assert ran.stdout.startswith(b"HTTP/1.0 200")
    told = ran.stderr.decode()
    for state in ("SYN-SENT", "ESTABLISHED", "CLOSED"):
        assert state in told
    lines = [line for line in told.splitlines() if line.startswith(("->", "<-"))]
    assert lines[0].startswith("-> 192.168.1.100.")
    assert " S win " in lines[0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from scapy.utils import RawPcapNgReader
    with RawPcapNgReader(str(trace)) as packets:
        assert len(list(packets)) == len(lines)


@needs("nc")
def test_inside_a_node_it_finds_its_address_itself(netlab):
    command = [*NETLAB, "tcp", "echo", "--count", "1", "--plain"]
    with netlab["probe"].popen(
        command, env={"PYTHONPATH": str(ROOT)}, stderr=subprocess.PIPE, text=True
    ) as server:
        assert server.stderr.readline() == f"listening: port 7, {ADDRESS}\n"
        said = netlab["nat"].run(["nc", "-N", ADDRESS, "7"], input="hello", check=True)
        assert said.stdout == "hello"
        assert server.wait(30) == 0


@pytest.mark.parametrize(
    ("words", "error", "code"),
    [
        (["connect", "198.51.100.2", "81"], "E706", 1),
        (["connect", "server", "80"], "E704", 2),
        (["echo", "--address", "10.0.0"], "E704", 2),
        (["http", "/nowhere"], "E703", 2),
        (["connect", "198.51.100.2", "80", "--trace", "/no/where"], "E703", 2),
    ],
)
def test_mistakes_are_named(netlab, words, error, code):
    ran = tcp(*words, "--node", where(netlab), code=code, stdin=subprocess.DEVNULL)
    assert error in ran.stderr.decode()


def test_a_port_is_a_number():
    assert b"is not a port" in tcp("listen", "0", code=2).stderr


def test_an_ordinary_namespace_has_no_address_for_it(netlab):
    ran = subprocess.run(
        argv("echo", "--node", f"{netlab.name}/server"),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 1
    assert "E705" in ran.stderr
    assert "ip route add" in ran.stderr
