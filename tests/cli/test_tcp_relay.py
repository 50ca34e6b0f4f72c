"""``netlab tcp relay``, and several programs on one stack: real programs speak through our TCP."""

import contextlib
import hashlib
import json
import random
import subprocess
import sys
from pathlib import Path

import pytest

from netlab.wire import socks5
from tests.cli.test_tcp import ADDRESS, ROOT, argv, running, tcp, where
from tests.programs import needs

pytestmark = [pytest.mark.kernel, pytest.mark.netlab(topology="topologies/stack.yaml")]

SERVER = "198.51.100.2"


@pytest.fixture(autouse=True)
def _own_place(tmp_path, monkeypatch):
    monkeypatch.setenv("NETLAB_TCP_DIR", str(tmp_path / "stacks"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))


@contextlib.contextmanager
def relay(netlab, *words: str):
    with running("relay", "--node", where(netlab), *words) as process:
        yield process


@contextlib.contextmanager
def serving(node, directory: Path, port: int = 8000):
    """A web server of Python's own, which is ready when it says so."""
    command = [sys.executable, "-u", "-m", "http.server", str(port), "--directory", str(directory)]
    with node.popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as server:
        assert b"Serving" in server.stdout.readline()
        try:
            yield
        finally:
            server.terminate()


@needs("curl")
def test_curl_by_socks_with_names_and_by_a_forwarded_port(netlab, tmp_path):
    page = random.Random(1).randbytes(2_000_000)
    (tmp_path / "page").write_bytes(page)
    socks = ["curl", "-sS", "--proxy", "socks5h://127.0.0.1:1080", "http://server:8000/page"]
    plain = ["curl", "-sS", "http://127.0.0.1:8080/page"]
    with (
        serving(netlab["server"], tmp_path),
        relay(netlab, "--socks", "--forward", "8080:server:8000"),
    ):
        for command in (socks, plain):
            ran = netlab["probe"].popen(command, stdout=subprocess.PIPE)
            fetched, _ = ran.communicate(timeout=60)
            assert hashlib.sha256(fetched).digest() == hashlib.sha256(page).digest()
        refused = [*socks[:-1], "http://server:9/"]
        ran = netlab["probe"].run(refused, check=False)
        assert ran.returncode == 97  # CURLE_PROXY: the reply says that the connection was refused
        unknown = netlab["probe"].run([*socks[:-1], "http://nobody/"], check=False)
        assert unknown.returncode == 97


@needs("git")
def test_git_clones_by_socks(netlab, tmp_path):
    source = tmp_path / "source"
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@example.net", "-C", str(source)]
    subprocess.run(["git", "init", "-q", str(source)], check=True)
    (source / "text").write_text("of the far end\n")
    subprocess.run([*git, "add", "."], check=True)
    subprocess.run([*git, "commit", "-qm", "one"], check=True)
    subprocess.run([*git, "update-server-info"], check=True)
    clone = ["git", "-c", "http.proxy=socks5h://127.0.0.1:1080", "clone", "-q"]
    with serving(netlab["server"], source), relay(netlab, "--socks"):
        netlab["probe"].run(
            [*clone, "http://server:8000/.git", str(tmp_path / "clone")], check=True, timeout=60
        )
    assert (tmp_path / "clone" / "text").read_text() == "of the far end\n"


@needs("iperf3")
@pytest.mark.parametrize("way", [[], ["--reverse"]])
def test_iperf3_through_a_forwarded_port(netlab, way):
    with netlab["server"].popen(
        ["iperf3", "--server", "--one-off", "--forceflush"], stdout=subprocess.PIPE
    ) as server:
        while b"listening" not in server.stdout.readline():
            assert server.poll() is None
        with relay(netlab, "--forward", f"5201:{SERVER}:5201"):
            command = ["iperf3", "--client", "127.0.0.1", "--bytes", "8M", "--json", *way]
            ran = netlab["probe"].run(command, check=True, timeout=60)
            end = json.loads(ran.stdout)["end"]
            assert end["sum_sent"]["bytes"] >= 8_000_000
            assert end["sum_received"]["bytes"] > 1_000_000  # the rest is still on its way
        server.wait(30)


@needs("nc")
def test_callers_of_the_stack_reach_a_local_port(netlab):
    local = netlab["probe"].popen(
        ["nc", "-l", "127.0.0.1", "7000"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with local, relay(netlab, "--reverse", "70:127.0.0.1:7000"):
        call = f"exec 3<>/dev/tcp/{ADDRESS}/70; echo hello >&3; head -n1 <&3"
        caller = netlab["nat"].popen(["bash", "-c", call], stdout=subprocess.PIPE)
        assert local.stdout.readline() == b"hello\n"
        local.stdin.write(b"welcome\n")
        local.stdin.close()
        assert caller.communicate(timeout=30)[0] == b"welcome\n"


BIND = """
import socket, struct, sys
s = socket.create_connection(("127.0.0.1", 1080))
s.settimeout(30)
f = s.makefile("rwb", buffering=0)
f.write(bytes([5, 1, 0])); assert f.read(2) == bytes([5, 0])
f.write(bytes([5, 2, 0, 1]) + socket.inet_aton(sys.argv[1]) + struct.pack("!H", 0))
first = f.read(10)
print(first.hex(), flush=True)
second = f.read(10)
print(second.hex(), flush=True)
print(f.readline().decode(), end="", flush=True)
f.write(b"and back\\n")
"""


@needs("nc")
def test_bind_takes_one_connection_of_the_host_that_was_named(netlab):
    with relay(netlab, "--socks"):
        client = netlab["probe"].popen(
            [sys.executable, "-c", BIND, "192.168.1.1"], stdout=subprocess.PIPE, text=True
        )
        with client:
            first = bytes.fromhex(client.stdout.readline())
            assert first[:4] == b"\x05\x00\x00\x01"
            assert ".".join(map(str, first[4:8])) == ADDRESS
            port = int.from_bytes(first[8:], "big")
            # Another host is turned away, and the one that was named still gets in.
            stranger = ["nc", "-w", "5", "-s", "203.0.113.2", ADDRESS, str(port)]
            assert netlab["nat"].run(stranger, input="", check=False).stdout == ""
            ran = netlab["nat"].run(
                ["nc", "-N", "-w", "20", ADDRESS, str(port)], input="there\n", check=True
            )
            second = bytes.fromhex(client.stdout.readline())
            assert second[:8] == b"\x05\x00\x00\x01" + bytes([192, 168, 1, 1])
            assert client.stdout.readline() == "there\n"
            assert ran.stdout == "and back\n"


def ask(netlab, octets: bytes) -> bytes:
    """What the relay says to these octets, until it hangs up."""
    script = (
        "import socket, sys\n"
        "s = socket.create_connection(('127.0.0.1', 1080)); s.settimeout(20)\n"
        "s.sendall(bytes.fromhex(sys.argv[1]))\n"
        "print(b''.join(iter(lambda: s.recv(100), b'')).hex())\n"
    )
    ran = netlab["probe"].run([sys.executable, "-c", script, octets.hex()], check=True)
    return bytes.fromhex(ran.stdout)


def test_what_is_not_understood_is_refused_as_the_rfc_says(netlab):
    greeting = bytes([5, 1, 0])
    with relay(netlab, "--socks"):
        assert ask(netlab, bytes([5, 1, 2])) == bytes([5, 0xFF])
        assert ask(netlab, b"GET / HTTP/1.0\r\n\r\n") == b""
        for request, code in (
            (bytes([5, 3, 0, 1, 1, 2, 3, 4, 0, 9]), socks5.Reply.COMMAND_NOT_SUPPORTED),
            (bytes([5, 1, 0, 7, 1, 2, 3, 4, 0, 9]), socks5.Reply.ADDRESS_TYPE_NOT_SUPPORTED),
            (bytes([5, 1, 0, 1, 198, 51, 100, 2, 0, 9]), socks5.Reply.CONNECTION_REFUSED),
            (bytes([5, 1, 0, 4, *bytes(15), 9, 0, 9]), socks5.Reply.NETWORK_UNREACHABLE),
        ):
            answer = ask(netlab, greeting + request)
            assert answer[:2] == bytes([5, 0])
            assert answer[2:4] == bytes([5, code])


@needs("curl")
def test_several_programs_share_one_stack(netlab, tmp_path):
    (tmp_path / "page").write_text("of a guest\n")
    node = ["--node", where(netlab)]
    with (
        running("echo", *node),
        running("http", *node, str(tmp_path)),
        running("discard", *node),
    ):
        for _ in range(3):
            ran = netlab["nat"].run(["curl", "-sS", f"http://{ADDRESS}/page"], check=True)
            assert ran.stdout == "of a guest\n"
        said = tcp("connect", *node, SERVER, "80", input=b"GET / HTTP/1.0\r\n\r\n")
        assert said.stdout.startswith(b"HTTP/1.0 200")
        assert b"E706" in tcp("connect", *node, SERVER, "9", code=1, input=b"").stderr
        assert b"E706" in tcp("echo", *node, code=1).stderr  # the port is taken
        for option in (["--plain"], ["--verbose"], ["--address", "10.0.0.1"]):
            assert b"E709" in tcp("echo", *node, *option, code=1).stderr
    assert json.loads(tcp("states", "--json").stdout) == []


def test_the_first_program_stays_while_others_need_its_stack(netlab):
    node = ["--node", where(netlab)]
    first = subprocess.Popen(
        argv("listen", *node, "4000"),
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    with first:
        assert first.stdin
        assert first.stderr
        assert first.stderr.readline().startswith(b"listening")
        with running("echo", *node):
            call = f"exec 3<>/dev/tcp/{ADDRESS}/4000; cat <&3"
            caller = netlab["nat"].popen(["bash", "-c", call], stdout=subprocess.PIPE)
            first.stdin.write(b"bye\n")
            first.stdin.close()
            assert caller.stdout.readline() == b"bye\n"
            caller.terminate()
            caller.communicate()
            assert b"go on in this one's stack" in first.stderr.readline()
            talk = f"exec 3<>/dev/tcp/{ADDRESS}/7; echo still here >&3; head -n1 <&3"
            ran = netlab["nat"].run(["bash", "-c", talk], check=True, timeout=30)
            assert ran.stdout == "still here\n"
        assert first.wait(30) == 0


def test_wrong_words_are_named(netlab):
    node = ["--node", where(netlab)]
    assert b"E707" in tcp("relay", *node, code=2).stderr
    for option, value in (("socks", "x"), ("socks", "host:1"), ("forward", "1:2")):
        said = tcp("relay", *node, f"--{option}", value, code=2).stderr
        assert f"argument --{option}".encode() in said
    with relay(netlab, "--socks"):
        assert b"E708" in tcp("relay", *node, "--socks", code=1).stderr
