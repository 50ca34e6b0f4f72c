"""Programs in nodes: become one, start one, wait until it is ready.

A program sees its node's network, the node's files and the node's devices under /sys/class/net.
It carries the lab's mark in its environment, see ``marks``.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from netlab.errors import Diagnostic, LabError
from netlab.kernel import files, marks, namespaces

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Mapping, Sequence

    from netlab.kernel.ownership import Lab

POLL = 0.005
"""Seconds between two looks at something that cannot be waited for (a listening port, a log)."""

_LOG_TAIL = 2000


class Started(NamedTuple):
    """A program of the lab that is running, or has run."""

    node: str
    program: str
    process: subprocess.Popen[bytes]
    log: str
    """The file that holds what it printed."""


def enter(lab: Lab, node: str) -> None:
    """Make the calling thread a part of ``node``: network, files and /sys, for good."""
    if node not in lab.record.nodes:
        known = " ".join(lab.record.nodes)
        raise LabError(
            Diagnostic("E404", f"lab {lab.name} has no node {node}", hint=f"nodes: {known}")
        )
    try:
        network = namespaces.open_namespace(lab.namespace(node))
    except FileNotFoundError:
        message = f"the namespace of {node} is gone"
        raise LabError(Diagnostic("E404", message, hint=f"netlab down {lab.name}")) from None
    try:
        namespaces.unshare(namespaces.CLONE_NEWNS)
        namespaces.propagation("/", namespaces.MS_SLAVE | namespaces.MS_REC)
        namespaces.setns(network, namespaces.CLONE_NEWNET)
    finally:
        os.close(network)
    files.show(lab.files(node))
    _show_devices(f"{lab.directory}/sys")


def _show_devices(place: str) -> None:
    """Make /sys/class/net that of the current network namespace, and leave the rest of /sys."""
    try:
        namespaces.mount("netlab", place, "sysfs", namespaces.MS_NOSUID | namespaces.MS_NODEV)
        for part in ("class/net", "devices/virtual/net"):
            namespaces.bind(f"{place}/{part}", f"/sys/{part}")
    except OSError:
        pass  # a container may forbid it; then /sys shows the machine's devices, as without us


def variables(
    lab: Lab, node: str, extra: Mapping[str, str], base: Mapping[str, str] | None = None
) -> dict[str, str]:
    """The environment of a program: ``base`` (default: our own), ``extra``, and the mark."""
    return {
        **(os.environ if base is None else base),
        **extra,
        **marks.environment(lab, node),
    }


def execute(lab: Lab, node: str, argv: Sequence[str], extra: Mapping[str, str]) -> NoReturn:
    """Become ``argv`` in ``node``: terminal, signals and exit code are the command's own."""
    enter(lab, node)
    try:
        os.execvpe(argv[0], list(argv), variables(lab, node, extra))  # noqa: S606 - that is the point
    except OSError as error:
        raise _cannot_run(argv[0], node, error) from None


def spawn(
    lab: Lab,
    node: str,
    argv: Sequence[str],
    extra: Mapping[str, str] | None = None,
    **options: Any,
) -> subprocess.Popen[Any]:
    """Start ``argv`` in ``node``; ``options`` are those of ``subprocess.Popen``.

    The program gets a session of its own unless ``start_new_session=False`` is given. The
    caller's threads stay where they are: a new process inherits the namespaces of the thread
    that starts it, and that is one of our own.
    """
    import subprocess

    options.setdefault("start_new_session", True)
    options["env"] = variables(lab, node, extra or {}, options.get("env"))

    def start() -> subprocess.Popen[Any]:
        enter(lab, node)
        return subprocess.Popen(argv, **options)

    try:
        return namespaces.aside(start)
    except OSError as error:
        raise _cannot_run(argv[0], node, error) from None


def _cannot_run(program: str, node: str, error: OSError) -> LabError:
    message = f"cannot run {program} in {node}: {error.strerror or error}"
    return LabError(Diagnostic("E410", message))


def start(
    lab: Lab, node: str, program: str, argv: Sequence[str], extra: Mapping[str, str]
) -> Started:
    """Start a program of the lab, which prints to a log and reads nothing."""
    import subprocess

    path = lab.log(node, program)
    known = {**extra, "NETLAB_PROGRAM": program}
    with open(path, "wb") as log:
        process = spawn(
            lab, node, argv, known, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/"
        )
    return Started(node, program, process, path)


def wait_ready(
    lab: Lab,
    started: Started,
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
    is_ready = _CONDITIONS[kind]
    deadline = time.monotonic() + timeout
    while not stopped():
        # The exit is looked at first: what the program did before it ended still counts.
        code = started.process.poll()
        if is_ready(lab, started, detail):
            return
        if code is not None:
            raise _not_ready(started, f"ended with exit code {code} before it was ready", ready)
        if time.monotonic() >= deadline:
            raise _not_ready(started, f"was not ready after {timeout:g} s", ready)
        time.sleep(POLL)


def _not_ready(started: Started, what: str, ready: str) -> LabError:
    with open(started.log, "rb") as stream:
        text = stream.read().decode(errors="replace")[-_LOG_TAIL:].strip()
    message = f"program {started.program} in {started.node} {what} ({ready})"
    if text:
        message += "\n  it printed:\n" + "\n".join(f"    {line}" for line in text.splitlines())
    return LabError(Diagnostic("E410", message))


def _exited(_: Lab, started: Started, code: str) -> bool:
    return started.process.returncode == int(code)


def _logged(_: Lab, started: Started, pattern: str) -> bool:
    import re

    with open(started.log, encoding="utf-8", errors="replace") as stream:
        return re.search(pattern, stream.read(), re.MULTILINE) is not None


def _listening(lab: Lab, started: Started, endpoint: str) -> bool:
    protocol, port = endpoint.split()
    return namespaces.inside(lab.namespace(started.node), lambda: port_is_open(protocol, int(port)))


_CONDITIONS = {"exit": _exited, "log": _logged, "port": _listening}


def port_is_open(protocol: str, port: int) -> bool:
    """Whether a socket of the calling thread's namespace is bound to the port (TCP: listens)."""
    wanted_state = {"tcp": "0A", "udp": "07"}[protocol]  # TCP_LISTEN; TCP_CLOSE = unconnected UDP
    for table in (protocol, f"{protocol}6"):
        try:
            with open(f"/proc/thread-self/net/{table}", encoding="ascii") as stream:
                rows = [line.split() for line in stream][1:]
        except FileNotFoundError:
            continue  # a kernel without IPv6
        for row in rows:
            local, state = row[1], row[3]
            if state == wanted_state and int(local.rpartition(":")[2], 16) == port:
                return True
    return False
