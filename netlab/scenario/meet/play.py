"""Play one pair: build its lab, start the programs, wait for the condition, read the packets."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from functools import partial
from typing import TYPE_CHECKING, Any, Self

from netlab.diagram import trace_text
from netlab.errors import Diagnostic, LabError
from netlab.io.meet.server import EXCHANGE_PORT
from netlab.lab.lab import Lab
from netlab.linux import sock_diag
from netlab.scenario.meet import pairs, read
from netlab.scenario.meet.condition import Side, holds, is_hopeless
from netlab.scenario.meet.pairs import ANNA, BORIS, SERVER, SERVER_ADDRESSES
from netlab.scenario.meet.played import Attempt, Played
from netlab.wire import address, stun
from netlab.wire.stun import Endpoint
from netlab.wire.view import view

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from types import TracebackType
    from typing import IO

    from netlab.lab.lab import LabNode
    from netlab.scenario.meet.played import Cell
    from netlab.trace.watch import Watch

AGAIN = 0.01
"""Seconds between two looks at a condition."""

STARTING = 15.0
"""Seconds for the programs at the server to be ready."""

GRACE = 0.5
"""Seconds that a program has to end by itself when all is over."""

MOST_OUTPUT = 20_000
"""Characters of a program's output that are kept."""

ETHERNET = 14
USER, PASSWORD, REALM = "netlab", "netlab", "netlab"
"""What coturn asks for."""


def play(cell: Cell) -> Played:
    """All runs of a pair, each in a lab of its own that is removed.

    Raises:
        LabError: a program cannot be started, or the server's is not ready in time.
    """
    attempts = tuple(_attempt(cell, number) for number in range(cell.repeat))
    return Played(cell.a, cell.b, attempts)


def _attempt(cell: Cell, number: int) -> Attempt:
    with (
        Lab(cell.plan, name=f"meet-{secrets.token_hex(6)}") as lab,
        contextlib.ExitStack() as stack,
    ):
        await_server = _start_server(lab, cell, stack)
        with lab.observe() as watch:
            await_server()  # collectors start while it does
            folder = stack.enter_context(
                tempfile.TemporaryDirectory(prefix="netlab-meet-", ignore_cleanup_errors=True)
            )
            given = {
                host: _environment(cell, host, number) | {"MEET_TMP": f"{folder}/{host}"}
                for host in read.HOSTS
            }
            commands = [_command(cell, host, given[host]) for host in read.HOSTS]
            for host in read.HOSTS:
                os.mkdir(given[host]["MEET_TMP"])  # noqa: PTH102
            began = time.monotonic()
            peers = [
                stack.enter_context(_Program(lab[host], argv, given[host]))
                for host, argv in zip(read.HOSTS, commands, strict=True)
            ]
            met, seconds = _wait(cell, watch, peers, began)
            watch.settle()
        ran = {
            host: {"command": list(argv), "exit": peer.exit, "output": peer.output[-MOST_OUTPUT:]}
            for host, argv, peer in zip(read.HOSTS, commands, peers, strict=True)
        }
    traces = watch.traces.of_interest
    reason = ""
    if not met:
        ends = {host: _ended(each) for host, each in ran.items()}
        late = f" within {cell.limit:g} seconds" if seconds >= cell.limit else ""
        reason = read.reason(traces, cell.filtering, ends, how_long=late)
    return Attempt(
        met,
        read.how(traces, met=met),
        round(seconds, 3),
        sum(len(read.own(traces, host)) for host in read.HOSTS),
        reason,
        ran,
        traces.to_json(),
        trace_text.text(traces),
    )


def _ended(ran: Mapping[str, Any]) -> str:
    """``exited with 1, saying "…"``: how a program ended."""
    lines = ran["output"].strip().splitlines()
    said = f', saying "{lines[-1][:200]}"' if lines else ""
    return ("was still running" if ran["exit"] is None else f"exited with {ran['exit']}") + said


def _wait(cell: Cell, watch: Watch, peers: Sequence[_Program], began: float) -> tuple[bool, float]:
    """Whether the condition came true, and after how many seconds that was settled."""
    arrived: tuple[list[tuple[int, int, int]], ...] = ([], [])
    while True:
        sides = []
        ended = [peer.exit for peer in peers]
        if cell.until.kind == "packet":
            for side, packet in _arrivals(watch):
                arrived[side].append(packet)
        for peer, code, packets in zip(peers, ended, arrived, strict=True):
            output = peer.output if cell.until.kind == "output" else ""
            sides.append(Side(code, output, packets))
        seconds = time.monotonic() - began
        if holds(cell.until, sides):
            return True, seconds
        if seconds > cell.limit or is_hopeless(cell.until, sides):
            return False, seconds
        time.sleep(AGAIN)


def _arrivals(watch: Watch) -> Iterator[tuple[int, tuple[int, int, int]]]:
    """Packets that came in at a host since the last time, and not from the server."""
    for frame in watch.new_frames():
        if frame.direction == "in" and frame.node in read.HOSTS:
            packet = view(frame.data[ETHERNET if frame.ethernet else 0 :])
            if packet and packet.source not in read.SERVERS and packet.protocol in (6, 17):
                what = packet.protocol, packet.source_port, packet.destination_port
                yield read.HOSTS.index(frame.node), what


def _start_server(lab: Lab, cell: Cell, stack: contextlib.ExitStack) -> Callable[[], None]:
    """Start STUN or coturn, the exchange or the user's own; what is returned waits for them."""
    server, programs = lab[SERVER], cell.programs
    waits: list[Callable[[], None]] = []
    own = [] if programs.turn else list(SERVER_ADDRESSES)
    exchange = [] if programs.rendezvous else ["--exchange", str(EXCHANGE_PORT)]
    if own or exchange:
        argv = [sys.executable, "-m", "netlab.io.meet.server", *own, *exchange]
        ours = stack.enter_context(_Program(server, argv))
        waits.append(partial(_await, ours, lambda: "ready" in ours.output))
    if programs.turn:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="netlab-coturn-"))
        coturn = stack.enter_context(_Program(server, _coturn(folder)))
        waits.append(partial(_await, coturn, lambda: stun.PORT in server.inside(_ports)))

    def wait() -> None:
        for each in waits:
            each()
        if programs.rendezvous:
            before = server.inside(_ports)
            variables = _environment(cell, "", 0)
            theirs = _Program(server, _filled(programs.rendezvous, variables), variables)
            stack.enter_context(theirs)
            _await(theirs, lambda: server.inside(_ports) > before)

    return wait


def _ports() -> set[int]:
    return sock_diag.open_ports("udp") | sock_diag.open_ports("tcp")


def _await(program: _Program, is_ready: Callable[[], bool]) -> None:
    """Wait for a program at the server to listen.

    Raises:
        LabError: it ends before, or takes too long (E933).
    """
    deadline = time.monotonic() + STARTING
    while not is_ready():
        code = program.exit
        if code is not None or time.monotonic() > deadline:
            said = program.output.strip()[-500:]
            what = f"does not listen after {STARTING:g} s"
            if code is not None:
                what = f"ended with {code} and did not listen"
            message = f"{program.argv[0]} at the server {what}" + (f": {said}" if said else "")
            hint = "--rendezvous is a program that opens a port at the server and stays"
            raise LabError(Diagnostic("E933", message, hint=hint))
        time.sleep(AGAIN)


def _coturn(folder: str) -> list[str]:
    """TURN and STUN on both IPv4 addresses; what it writes is in ``folder``."""
    four = [each for each in SERVER_ADDRESSES if ":" not in each]
    return [
        "turnserver", "-n", "--no-tls", "--no-dtls", "--no-cli", "--lt-cred-mech",
        f"--user={USER}:{PASSWORD}", f"--realm={REALM}", "--allow-loopback-peers",
        "--log-file=stdout", f"--userdb={folder}/db", f"--pidfile={folder}/pid",
        "--min-port=50000", "--max-port=50999",
        *(f"--listening-ip={each}" for each in four), f"--relay-ip={four[0]}",
    ]  # fmt: skip


def _command(cell: Cell, host: str, variables: Mapping[str, str]) -> list[str]:
    """What a host runs; our own program where nothing else is asked for."""
    given = cell.programs.a if host == ANNA else cell.programs.b
    if given:
        return _filled(given, variables)
    argv = [sys.executable, "-m", "netlab.io.meet.peer"]
    for each in variables["MEET_STUN_ALL"].split():
        argv += ["--stun", each]
    argv += ["--exchange", variables["MEET_EXCHANGE"], "--name", variables["MEET_NAME"]]
    argv += ["--seed", variables["MEET_SEED"]]
    nat64 = variables["MEET_NAT64"]
    return [*argv, "--nat64", nat64] if nat64 else argv


def _filled(argv: Sequence[str], variables: Mapping[str, str]) -> list[str]:
    """The words of a command with ``{stun}`` and its like filled in."""
    found = []
    for word in argv:
        for name, value in variables.items():
            word = word.replace(f"{{{name.removeprefix('MEET_').lower()}}}", value)  # noqa: PLW2901
        found.append(word)
    return found


def _environment(cell: Cell, host: str, number: int) -> dict[str, str]:
    """What programs get as variables; the same names in braces are filled in in commands."""
    letter, name = ("b", cell.b) if host == BORIS else ("a", cell.a)
    side = pairs.side(name, host, letter, 1) if host else None
    families = side.families if side else (4, 6)
    nat64 = side.nat64 if side else ""
    servers = [each for each in SERVER_ADDRESSES if (6 if ":" in each else 4) in families]
    if nat64:
        base = address.packed(nat64.partition("/")[0])[:12]
        four = [address.packed(each) for each in SERVER_ADDRESSES if ":" not in each]
        servers = [*(address.text(base + each) for each in four), *servers]
    endpoints = [str(Endpoint(each, stun.PORT)) for each in servers]
    return {
        "MEET_NAME": letter,
        "MEET_HOST": host,
        "MEET_PEER": BORIS if host == ANNA else ANNA,
        "MEET_SERVER": servers[0],
        "MEET_SERVER2": servers[1],
        "MEET_STUN": endpoints[0],
        "MEET_STUN2": endpoints[1],
        "MEET_STUN_ALL": " ".join(endpoints[::2]),
        "MEET_EXCHANGE": str(Endpoint(servers[0], EXCHANGE_PORT)),
        "MEET_NAT64": nat64,
        "MEET_USER": USER,
        "MEET_PASSWORD": PASSWORD,
        "MEET_SEED": str(cell.seed + number),
    }


class _Program:
    """A program in a node, with its output in a file; it ends with the block."""

    def __init__(
        self, node: LabNode, argv: Sequence[str], environment: Mapping[str, str] | None = None
    ) -> None:
        self.argv = list(argv)
        self._node = node
        self._environment = environment

    def __enter__(self) -> Self:
        # A file, not a pipe: a full pipe would stop the program.
        self._log: IO[bytes] = tempfile.TemporaryFile()
        home = os.path.dirname(os.path.dirname(sys.modules["netlab"].__file__ or ""))  # noqa: PTH120
        path = os.pathsep.join(filter(None, (os.environ.get("PYTHONPATH", ""), home)))
        try:
            self._process = self._node.popen(
                self.argv,
                env={**(self._environment or {}), "PYTHONPATH": path},
                stdin=subprocess.DEVNULL,
                stdout=self._log,
                stderr=self._log,
            )
        except BaseException:
            self._log.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._process.poll() is None:
            self._process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(GRACE)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)  # with what it started
        self._process.wait()
        self._log.close()

    @property
    def exit(self) -> int | None:
        """Its exit code, 128 and the signal's number for one that was killed, or ``None``."""
        code = self._process.poll()
        return 128 - code if code is not None and code < 0 else code

    @property
    def output(self) -> str:
        """What it has printed so far."""
        size = os.fstat(self._log.fileno()).st_size
        return os.pread(self._log.fileno(), min(size, 1 << 20), 0).decode(errors="replace")
