"""The programs of a topology: started with the lab, ready before it is.

They are started by posix_spawn, not ``subprocess``, whose import would take as long as building
a small lab.
"""

from __future__ import annotations

import errno
import os
import signal
import sys
import time
from typing import TYPE_CHECKING

from netlab.errors import Diagnostic, LabError
from netlab.lab import enter, patterns, processes
from netlab.lab.home import HOME
from netlab.linux import descriptors, namespaces, sock_diag
from netlab.plan.commands import command_line
from netlab.plan.operations import inherited_variables, own_variables

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from netlab.lab.record import Lab
    from netlab.plan.operations import StartProgram

SHORTEST_PAUSE = 0.0003
LONGEST_PAUSE = 0.02
"""Seconds between two looks at what cannot be waited for: a listening port, a log."""

_LOG_TAIL = 2000

_PART = 1 << 20
_OVERLAP = 1 << 16
"""Octets of a log that are searched at a time, and those that are searched with the next, too."""


class Program:
    """A program of the lab that runs, or has run, as a child of this process."""

    def __init__(self, node: str, name: str, log: str, pid: int) -> None:
        self.node = node
        self.name = name
        self.log = log
        """The file that holds what it printed."""
        self.pid = pid
        self.returncode: int | None = None
        """As ``subprocess`` has it: None while it runs, minus the signal that ended it."""

    def poll(self) -> int | None:
        """Look whether it has ended."""
        return self._reap(os.WNOHANG)

    def wait(self, timeout: float = processes.LAST_WAIT) -> int | None:
        """Wait for its end, for ``timeout`` seconds at most."""
        if self._reap(os.WNOHANG) is None:
            handle = os.pidfd_open(self.pid)
            try:
                processes.await_end([handle], timeout)
            finally:
                os.close(handle)
        return self._reap(os.WNOHANG)

    def _reap(self, options: int) -> int | None:
        if self.returncode is None:
            try:
                pid, status = os.waitpid(self.pid, options)
            except ChildProcessError:
                self.returncode = 0  # somebody else waited for it; the code is lost
            else:
                if pid:
                    self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode


def start(lab: Lab, operation: StartProgram) -> Program:
    """Start a program, which prints to its log and reads nothing.

    Raises:
        LabError: the program cannot be run.
    """
    node, name = operation.node, operation.program
    path = lab.log(node, name)
    argv: Sequence[str] = command_line(operation, [sys.executable])
    if operation.isolate:
        from netlab.lab import isolation

        argv = isolation.command(argv, [os.path.dirname(lab.directory)])
    own = {"NETLAB_PROGRAM": name} | ({"PYTHONPATH": HOME} if operation.module else {})
    extra = {**own_variables(operation.environment), **own}
    more = inherited_variables(operation.environment)
    environment = enter.variables(lab, node, extra, enter.inherited(os.environ, more))

    def spawn() -> int:
        enter.enter(lab, node, name)
        # Of this thread only, which has left the others' file system context.
        os.chdir("/")
        os.umask(0o022)
        pid = _spawn(argv, environment, path)
        processes.remember(lab, pid, namespaces.inode("/proc/thread-self/ns/mnt"), node, name)
        return pid

    try:
        return Program(node, name, path, namespaces.in_thread(spawn))
    except OSError as error:
        raise enter.cannot_run(argv[0], node, error) from None


def _spawn(argv: Sequence[str], environment: Mapping[str, str], log: str) -> int:
    """The process id of ``argv``, looked for along its own PATH."""
    return os.posix_spawn(
        _executable(argv[0], environment),
        list(argv),
        environment,
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
            *descriptors.closing(),
        ],
        setsid=True,
        setsigdef=[signal.SIGPIPE, signal.SIGXFSZ],  # Python ignores them
    )


def _executable(name: str, environment: Mapping[str, str]) -> str:
    """The file that ``execvp`` would find, without a new process for each directory."""
    if "/" in name:
        return name
    files = [os.path.join(place, name) for place in os.get_exec_path(environment)]
    files = [file for file in files if os.path.isfile(file)]
    if not files:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
    return next((file for file in files if os.access(file, os.X_OK)), files[0])


def wait_ready(
    lab: Lab,
    program: Program,
    ready: str,
    timeout: float,
    stopped: Callable[[], bool] = lambda: False,
) -> None:
    """Wait until a program is ready: ``port tcp 80``, ``log REGEX``, ``exit 0`` or nothing.

    A port counts as open when the kernel lists a socket for it, so nothing is sent. Raises
    ``LabError`` with the end of the program's log if it ends before or ``timeout`` seconds pass,
    and returns early if ``stopped`` says so.
    """
    kind, _, detail = ready.partition(" ")
    if not kind:
        return
    deadline = time.monotonic() + timeout
    is_ready = _condition(kind, detail, program, deadline)
    pause = SHORTEST_PAUSE
    while not stopped():
        # The exit is looked at first: what the program did before it ended still counts.
        code = program.poll()
        try:
            if is_ready(lab):
                return
        except patterns.TookTooLong:
            what = f"was not ready after {timeout:g} s, and its log took too long to search"
            raise _not_ready(program, what, ready) from None
        if code is not None and not (code == 0 and _left_a_daemon(lab, program)):
            raise _not_ready(program, f"ended with exit code {code} before it was ready", ready)
        if time.monotonic() >= deadline:
            raise _not_ready(program, f"was not ready after {timeout:g} s", ready)
        time.sleep(pause)
        pause = min(1.25 * pause, LONGEST_PAUSE)


def _left_a_daemon(lab: Lab, program: Program) -> bool:
    """Whether what a program has forked runs on without it."""
    ours = (program.node, program.name)
    return any((p.node, p.program) == ours for p in processes.processes(lab))


def _not_ready(program: Program, what: str, ready: str) -> LabError:
    with open(program.log, "rb") as stream:
        stream.seek(max(os.fstat(stream.fileno()).st_size - 4 * _LOG_TAIL, 0))
        text = stream.read(8 * _LOG_TAIL).decode(errors="replace")[-_LOG_TAIL:].strip()
    message = f"program {program.name} in {program.node} {what} ({ready})"
    if text:
        message += "\n  it printed:\n" + "\n".join(f"    {line}" for line in text.splitlines())
    return LabError(Diagnostic("E410", message))


def _condition(kind: str, detail: str, program: Program, deadline: float) -> Callable[[Lab], bool]:
    """What is looked at, again and again, until it is true."""
    match kind:
        case "exit":
            return lambda _: program.returncode == int(detail)
        case "log":
            searched = _Log(program.log, detail, deadline)
            return lambda _: searched.matches()
        case "port":
            protocol, port = detail.split()
            return lambda lab: namespaces.inside(
                lab.namespace(program.node), lambda: sock_diag.is_open(protocol, int(port))
            )
    raise AssertionError(kind)


class _Log:
    """A log in which a pattern is looked for; each part of it is read once.

    A match may span lines, of ``_OVERLAP`` octets together.
    """

    def __init__(self, path: str, pattern: str, deadline: float) -> None:
        self._path = path
        self._pattern = pattern
        self._deadline = deadline
        self._read = 0
        self._tail = b""

    def matches(self) -> bool:
        """Whether it is there by now."""
        while True:
            with open(self._path, "rb") as stream:
                stream.seek(self._read)
                more = stream.read(_PART)
            if not more and self._read:
                return False
            self._read += len(more)
            text = self._tail + more
            # From the start of a line on, or `^` would match where there is none.
            start = max(len(text) - _OVERLAP, 0)
            self._tail = text[text.find(b"\n", start) + 1 if start else 0 :]
            left = self._deadline - time.monotonic() + LONGEST_PAUSE
            if patterns.found(self._pattern, text.decode(errors="replace"), left):
                return True
            if len(more) < _PART:
                return False
