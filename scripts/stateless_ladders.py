"""Draw the packet ladders of docs/stateless-tcp.md: run each scene in a lab and watch both ends.

    python scripts/stateless_ladders.py            # rewrite the page's ladders
    python scripts/stateless_ladders.py lost slow  # only these
    python scripts/stateless_ladders.py --print    # print them

A segment that one end sent and the other never saw is drawn as dropped on the way. Times are what
this run measured.
"""

from __future__ import annotations

import contextlib
import re
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import netlab
from netlab.diagram.sequence.draw import text as draw
from netlab.diagram.sequence.model import Arrow, Column, Ladder, State
from netlab.stateless.segment import ACK, FIN, PSH, RST, SYN, Segment, encode, parse
from netlab.wire import Malformed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "stateless-tcp.md"
ADDRESS, ADDRESS_V6 = "192.0.2.80", "2001:db8:80::80"
VICTIM = "2001:db8:ffff::1"
ETH_P_ALL = 3
SO_TIMESTAMPNS = 35
SOON = 50_000_000
"""Nanoseconds within which a segment reaches the other end, if it does."""
FLAGS = ((SYN, "SYN"), (FIN, "FIN"), (RST, "RST"), (PSH, "PSH"), (ACK, "ACK"))
SLOW = """
import http.server, time
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        time.sleep(1)
        self.send_response(200); self.send_header("Content-Length", "5"); self.end_headers()
        self.wfile.write(b"late\\n")
http.server.HTTPServer(("127.0.0.1", 8080), Handler).serve_forever()
"""


class Seen(NamedTuple):
    """A segment at one end; ``out`` if this end sent it."""

    time_ns: int
    out: bool
    segment: Segment


class Tap(threading.Thread):
    """All segments on one interface of a node, read at once.

    A frame that waits in a tap is shared with the sender's retransmission queue, and Linux does
    not join segments that are shared: a slow tap would change what it watches.
    """

    def __init__(self, node: Any, interface: str = "eth0") -> None:
        super().__init__(daemon=True)
        self.seen: list[Seen] = []
        self._ended = False
        self._socket = node.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0)
        self._socket.bind((interface, ETH_P_ALL))
        self._socket.settimeout(0.05)
        self._socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self.start()

    def run(self) -> None:
        """Read until ``end``."""
        while not self._ended:
            with contextlib.suppress(TimeoutError, Malformed):
                data, control, _, where = self._socket.recvmsg(70000, 64)
                seconds, nanoseconds = struct.unpack("@qq", control[0][2])
                out = where[2] == socket.PACKET_OUTGOING
                self.seen.append(Seen(seconds * 10**9 + nanoseconds, out, parse(data)))

    def end(self) -> None:
        """Stop reading."""
        self._ended = True
        self.join()
        self._socket.close()


class Scene:
    """A lab with taps at both ends, a server and what a client does."""

    def __init__(self, lab: netlab.Lab, home: Path, stack: contextlib.ExitStack) -> None:
        self.lab, self.home, self.stack = lab, home, stack

    def serve(self, *argv: str) -> None:
        """Start a stateless server in the node ``server``."""
        process = self.lab["server"].popen(
            [sys.executable, "-m", "netlab", "stateless", *argv], stdout=subprocess.PIPE
        )
        self.stack.callback(_end, process)
        if process.stdout:
            process.stdout.readline()

    def curl(self, *argv: str) -> None:
        """Fetch the page; whether that succeeds is what the ladder shows."""
        self.lab["client"].run(["curl", "-s", "-o", "/dev/null", *argv, f"http://{ADDRESS}/"])

    def fetch(self, *pieces: bytes, window: int = 0, patience: float = 5) -> None:
        """A request in ``pieces``, by a client with a small receive buffer if ``window`` is set."""
        with self.lab["client"].socket(socket.AF_INET, socket.SOCK_STREAM) as client:
            client.settimeout(patience)
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if window:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
            client.connect((ADDRESS, 80))
            for piece in pieces:
                client.sendall(piece)
            with contextlib.suppress(TimeoutError):
                while client.recv(65536):
                    pass

    def spoof(self) -> None:
        """A SYN and a request from the client's node, under the router's address."""
        request = b"GET / HTTP/1.1\r\nHost: server\r\n\r\n"
        source, target = (socket.inet_pton(socket.AF_INET6, a) for a in (VICTIM, ADDRESS_V6))
        first = Segment(source, target, 4000, 80, 1000, 0, SYN)
        second = first._replace(seq=1001, ack=5000, flags=ACK | PSH, payload=request)
        with self.lab["client"].socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_RAW) as out:
            for segment in (first, second):
                out.sendto(encode(segment), (ADDRESS_V6, 0))
                time.sleep(0.1)  # for the answer, which nothing tells the stranger of

    def drop(self, rule: str) -> None:
        """Drop at the router."""
        chain = (
            "add table ip cut; add chain ip cut c { type filter hook prerouting priority -500; }"
        )
        self.lab["router"].run(["nft", f"{chain}; add rule ip cut c {rule} drop"], check=True)


def _end(process: subprocess.Popen[Any]) -> None:
    process.terminate()
    process.communicate(timeout=10)


def transaction(scene: Scene) -> None:
    """One transaction: five segments from the client, three from the server."""
    scene.serve("http", "--listen", f"{ADDRESS}:80", "--text", "Hello")
    scene.curl()


def published(scene: Scene) -> None:
    """The first such server: the client repeats its FIN, since the ACK lies below its window."""
    scene.serve("http", "--listen", f"{ADDRESS}:80", "--text", "x" * 1000, "--as-published")
    scene.curl()
    time.sleep(1.4)


def lost(scene: Scene) -> None:
    """One lost segment: nobody sends it again, and the client gives up after two seconds."""
    scene.serve("http", "--listen", f"{ADDRESS}:80", "--text", "x" * 4000)
    scene.drop("tcp sport 80 ip length > 1000 numgen inc mod 100 == 1")
    scene.curl("--max-time", "2")


def withheld(scene: Scene) -> None:
    """The same loss with --withhold-ack: the client's own timer brings the answer again."""
    scene.serve("http", "--listen", f"{ADDRESS}:80", "--text", "x" * 4000, "--withhold-ack")
    scene.drop("tcp sport 80 ip length > 1000 numgen inc mod 100 == 1")
    scene.curl("--max-time", "2")


def slow(scene: Scene) -> None:
    """A backend that takes a second: the client repeats its request, which is asked only once."""
    (scene.home / "slow.py").write_text(SLOW)
    process = scene.lab["server"].popen(
        [sys.executable, str(scene.home / "slow.py")], stderr=subprocess.DEVNULL
    )
    scene.stack.callback(_end, process)
    while scene.lab["server"].run(["sh", "-c", "ss -ltn | grep -q :8080"]).returncode:
        time.sleep(0.01)
    scene.serve("http", "--listen", f"{ADDRESS}:80", "--backend", "127.0.0.1:8080")
    scene.curl()


def twice(scene: Scene) -> None:
    """The answer is lost whole: the client repeats its request, and that is answered again."""
    scene.serve("http", "--listen", f"{ADDRESS}:80", "--text", "Hello")
    scene.drop("tcp sport 80 ip length > 100 numgen inc mod 100 == 0")
    scene.curl("--max-time", "2")


def split(scene: Scene) -> None:
    """A request in two segments: neither is acknowledged, the client joins them and is answered."""
    scene.serve("http", "--listen", f"{ADDRESS}:80", "--text", "Hello")
    scene.fetch(b"GET / HTTP/1.1\r\n", b"Host: server\r\n\r\n")


def window(scene: Scene) -> None:
    """A client with a small window: the answer would not fit, and is replaced by one that does."""
    scene.serve("http", "--listen", f"{ADDRESS}:80", "--text", "x" * 5000)
    scene.fetch(b"GET / HTTP/1.1\r\nHost: server\r\n\r\n", window=4096)


def bursts(scene: Scene) -> None:
    """A body of 100,000 octets in bursts: each is asked for by the ACK of the last one's end."""
    (scene.home / "www").mkdir()
    (scene.home / "www" / "index.html").write_bytes(bytes(100_000))
    scene.serve("http", "--listen", f"{ADDRESS}:80", "--file", str(scene.home / "www"))
    scene.curl()


def strict(scene: Scene) -> None:
    """As published: what exceeds the client's window dies at a firewall that keeps count of it."""
    scene.serve("http", "--listen", f"{ADDRESS}:80", "--text", "x" * 3500, "--as-published")
    scene.fetch(b"GET / HTTP/1.1\r\nHost: server\r\n\r\n", window=2048, patience=0.5)


def proxied(scene: Scene) -> None:
    """A SYN proxy: the box answers with its own cookie, and the server gets the SYN after it."""
    scene.serve("http", "--listen", f"{ADDRESS}:80", "--text", "Hello")
    scene.curl("--max-time", "3")


def reflected(scene: Scene) -> None:
    """A stranger speaks in the client's name; with a cookie he gets nothing for his request."""
    scene.serve("http", "--listen", f"[{ADDRESS_V6}]:80", "--text", "x" * 4000)
    scene.spoof()


def mirrored(scene: Scene) -> None:
    """The same with --no-cookie: one small segment, and a whole answer goes to the client."""
    scene.serve("http", "--listen", f"[{ADDRESS_V6}]:80", "--text", "x" * 4000, "--no-cookie")
    scene.spoof()


SCENES: dict[str, Callable[[Scene], None]] = {
    function.__name__: function
    for function in (
        transaction, published, lost, withheld, slow, twice, split, window, bursts, strict, proxied,
        reflected, mirrored,
    )
}  # fmt: skip
BOXES = {"strict": "strict-window", "proxied": "syn-proxy"}
"""Scenes with a middlebox at the router, which then has a column of its own."""
WHOLE_SEGMENTS = {"transaction", "published", "slow", "split", "window", "bursts", "proxied",
    "reflected", "mirrored",
}  # fmt: skip
"""Scenes where the server's offload may stay: a long answer is then drawn as one arrow."""


SPOOFED = {"reflected", "mirrored"}


def play(name: str) -> str:
    """The ladder of one scene, as text."""
    scene = SCENES[name]
    with contextlib.ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        topology = (ROOT / "topologies" / "stateless.yaml").read_text(encoding="utf-8")
        if name in BOXES:
            router = "kind: router\n"
            topology = topology.replace(router, f"{router}    middleboxes: [{BOXES[name]}]\n")
            # Far enough away that an answer is on its way whole before its first ACK comes.
            topology = topology.replace("client:eth0]\n", "client:eth0]\n    delay: 5ms\n")
        (home / "lab.yaml").write_text(topology, encoding="utf-8")
        lab = stack.enter_context(netlab.Lab(home / "lab.yaml", name=name))
        if name not in WHOLE_SEGMENTS:
            off = ["ethtool", "-K", "eth0", "tx", "off", "tso", "off", "gso", "off"]
            lab["server"].run(off, check=True)
        ends = [("client", "eth0"), ("router", "west"), ("router", "east"), ("server", "eth0")]
        taps = [Tap(lab[node], interface) for node, interface in ends]
        for tap in taps:
            stack.callback(tap.end)
        scene(Scene(lab, home, stack))
        time.sleep(0.6)  # for the last ACKs; what comes later belongs to no story
        client, west, east, server = (list(tap.seen) for tap in taps)
        if name in BOXES:
            box = BOXES[name]
            columns = [Column("client"), Column(box)]
            arrows = [*_leg(_at("client", client), _at(box, west))]
            # A filter drops what does not come out again; a proxy may have meant it for itself.
            passed = {_key(seen.segment) for seen in west if seen.out}
            arrows += _leg(
                _at(box, east),
                _at("server", server),
                passed if box == "strict-window" else None,
            )
        elif name in SPOOFED:
            columns = [Column("victim"), Column("stranger")]
            theirs = {_key(seen.segment) for seen in client}
            own = [seen for seen in east if _key(seen.segment) not in theirs]
            left = _at("stranger", client) + _at("victim", own)
            arrows = [*_leg(left, _at("server", server))]
        else:
            columns = [Column("client")]
            arrows = [*_leg(_at("client", client), _at("server", server))]
        assert scene.__doc__
        drawn = Ladder(
            scene.__doc__,
            (*columns, Column("server", subtitle="keeps nothing")),
            tuple(sorted(arrows, key=lambda arrow: arrow.time_ns)),
        )
        lines = draw(drawn, width=92).splitlines()[2:]
        # On a page of many ladders the rows stand close.
        close = [
            line for line in lines if not re.fullmatch(r"\s*(│\s+)+│\s*|.*✗ (lost|dropped).*", line)
        ]
        return "\n".join(close) + "\n"


def _at(name: str, seen: list[Seen]) -> list[tuple[str, Seen]]:
    return [(name, one) for one in seen]


def _leg(
    left: list[tuple[str, Seen]],
    right: list[tuple[str, Seen]],
    passed: set[tuple[int, ...]] | None = None,
) -> Iterator[Arrow]:
    """What each side of a wire sent, lost where the other side did not get it.

    A side may have several names; what nobody got was meant for the last of them. With ``passed``
    the left side drops what is not among these.
    """
    starts: dict[bool, int] = {}
    for _, seen in right:
        if seen.segment.flags & SYN:
            starts.setdefault(seen.out, seen.segment.seq)
    for here, there, from_right in ((left, right, False), (right, left, True)):
        came = [(_key(s.segment), s.time_ns, name) for name, s in there if not s.out]
        for source, seen in here:
            if not seen.out:
                continue
            key = _key(seen.segment)
            got = [c for c in came if c[0] == key and 0 <= c[1] - seen.time_ns < SOON]
            target = there[-1][0] if there else source
            if got:
                came.remove(got[0])
                target = got[0][2]
            label, detail = _words(seen.segment, starts, from_server=from_right)
            state: State = "delivered" if got else "lost"
            if from_right and passed is not None and key not in passed:
                state = "dropped"
            yield Arrow(seen.time_ns, source, target, f"{label}  {detail}", state=state)


def _key(segment: Segment) -> tuple[int, ...]:
    return segment.seq, segment.ack, segment.flags, len(segment.payload)


def _words(segment: Segment, starts: dict[bool, int], *, from_server: bool) -> tuple[str, str]:
    names = [name for bit, name in FLAGS if segment.flags & bit and name != "PSH"]
    length = len(segment.payload)
    if length:
        names.append(f"{length} octets")
    seq = segment.seq - starts.get(from_server, segment.seq) & 0xFFFFFFFF
    ack = segment.ack - starts.get(not from_server, 0) & 0xFFFFFFFF
    detail = f"Seq={seq}" + (
        f" Ack={ack}" if segment.flags & ACK and not segment.flags & RST else ""
    )
    return " ".join(names), detail


def _between(ladder: str, marks: re.Match[str]) -> str:
    return marks[1] + ladder + marks[2]


def main() -> int:
    """Play every scene and put its ladder where the page names it."""
    page = PAGE.read_text(encoding="utf-8")
    for name in [name for name in SCENES if name in sys.argv] or SCENES:
        ladder = play(name)
        if "--print" in sys.argv:
            print(ladder)
        page = re.sub(
            rf"(<!-- ladder: {name} -->\n```text\n).*?(```\n)",
            partial(_between, ladder),
            page,
            flags=re.DOTALL,
        )
    if "--print" not in sys.argv:
        PAGE.write_text(page, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
