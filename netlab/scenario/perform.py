"""One step in a running lab. Every wait has a limit, and what a step started ends with the run."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from netlab.errors import Diagnostic, LabError, Unavailable
from netlab.lab import patterns, to_end
from netlab.scenario import model, packets
from netlab.scenario.call import UNAVAILABLE
from netlab.scenario.judge import Observation, rows_of
from netlab.wire.view import ICMP

if TYPE_CHECKING:
    import random
    import socket
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from netlab.lab.lab import Lab, LabNode
    from netlab.scenario.matrix.options import MatrixOptions
    from netlab.scenario.matrix.perform import Found
    from netlab.trace.model import Traces

GRACE = 3.0
"""Seconds between asking a program to end and killing it."""

AGAIN = 0.05
"""Seconds between two looks at a condition."""


class Performed(NamedTuple):
    """The result of a step, and the fates of its packets if it was watched.

    ``numbers`` are those that the packets have in the step, by the id of their fate; ``cells`` are
    those of a matrix.
    """

    seen: Observation
    traces: Traces | None = None
    numbers: dict[int, int] = {}  # noqa: RUF012 - it is never written to
    cells: tuple[Found, ...] = ()


class Performer:
    """Carries out steps in one lab; a context, at whose end all programs have ended."""

    def __init__(
        self, lab: Lab, scenario: model.Scenario, seed: int, rng: random.Random, how: MatrixOptions
    ) -> None:
        self.lab = lab
        self.scenario = scenario
        self.directory = scenario.file.parent.resolve()
        self.how = how
        self.seed = seed
        self.rng = rng
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def perform(self, step: model.Step) -> Performed:
        """The observation; a step that fails for reasons of its own says so in it."""
        try:
            match step.action:
                case model.Send():
                    return self._send(step.action)
                case model.Command():
                    return self._command(step, step.action)
                case model.Start():
                    return Performed(self._start(step.action, step.timeout))
                case model.Wait():
                    return Performed(self._wait(step.action, step.timeout))
                case model.Change():
                    from netlab.lab import reconfigure

                    done = reconfigure.change(self.lab, step.action.settings)
                    return Performed(Observation(output="\n".join(done)))
                case model.Links():
                    return Performed(self._links(step.action))
                case model.Advance():
                    from netlab.lab import reconfigure

                    older = step.action
                    done = [reconfigure.age(self.lab, older.node, older.seconds, older.protocol)]
                    return Performed(Observation(output="\n".join(done)))
                case model.Forget():
                    return Performed(self._forget(step.action))
                case model.Call():
                    return Performed(self._call(step.action, step.timeout))
                case model.Matrix():
                    return self._matrix(step.action, step.timeout)
                case model.Meet():
                    return self._meet(step.action, step.timeout)
        except Unavailable:
            raise
        except LabError as error:
            return Performed(Observation(failure=str(error)))

    def words(self, argv: Sequence[str]) -> list[str]:
        """A command as it is run here, with the names in braces filled in."""
        filled = _filled(argv, self.lab.name, self.directory, self.seed)
        return [sys.executable, "-m", *filled] if filled[0] == "netlab" else filled

    def _send(self, send: model.Send) -> Performed:
        from netlab.io.probes import Probes, listener
        from netlab.trace.probe_results import probed

        address, node = self._target(send)
        probes = Probes(address, send.protocol, port=send.port, count=send.count, size=send.size)
        with contextlib.ExitStack() as stack:
            # ICMP needs no listener: the kernel answers by itself.
            if send.listen and node and send.protocol != ICMP:
                held: socket.socket = node.inside(
                    lambda: listener(probes.family, probes.proto, probes.port)
                )
                stack.enter_context(held)
            watch = stack.enter_context(self.lab.observe())
            probes.send(self.lab[send.source].inside)
            watch.settle()
        traces, outcomes = probed(watch.traces, probes, one_way=True)
        ends = [(o.number, o.decisive) for o in outcomes if o.decisive]
        seen = Observation(packets=tuple(packets.sent(outcomes)))
        return Performed(seen, traces, packets.numbered(traces, ends))

    def _target(self, send: model.Send) -> tuple[str, LabNode | None]:
        if send.target not in self.lab:
            return send.target, next((n for n in self.lab if send.target in n.addresses), None)
        node = self.lab[send.target]
        for address in node.addresses:
            if (":" in address) == (send.family == 6):
                return address, node
        raise LabError(Diagnostic("E409", f"{node.name} has no IPv{send.family} address"))

    def _command(self, step: model.Step, command: model.Command) -> Performed:
        if step.watched is None:
            return Performed(self._run(command, step.timeout, step.expected.table is not None))
        with self.lab.observe() as watch:
            seen = self._run(command, step.timeout, step.expected.table is not None)
            watch.settle()
        numbered = tuple(packets.watched(watch.traces, step.watched))
        port = step.watched.port
        traces = watch.traces.where(proto=step.watched.protocol, port=port)
        numbers = packets.numbered(traces, packets.chosen(watch.traces, step.watched))
        return Performed(seen._replace(packets=numbered), traces, numbers)

    def _run(self, command: model.Command, timeout: float, table: bool) -> Observation:  # noqa: FBT001
        output, errors, code = to_end.run(
            lambda **files: self._popen(command.argv, command.node, **files),
            command.input or "",
            timeout,
        )
        failure = f"it did not end within {timeout:g} seconds" if code is None else ""
        rows = rows_of(output) if table else None
        exit_code = -signal.SIGKILL if code is None else code
        return Observation(output, errors, exit_code, table=rows, failure=failure)

    def _popen(self, argv: Sequence[str], node: str, **options: Any) -> subprocess.Popen[str]:
        pipe = subprocess.PIPE
        options = {"stdout": pipe, "stderr": pipe, "text": True, "errors": "replace", **options}
        words = self.words(argv)
        if node:
            return self.lab[node].popen(words, **options)
        try:
            return subprocess.Popen(words, start_new_session=True, **options)
        except OSError as error:
            message = f"cannot run {words[0]}: {error.strerror}"
            raise LabError(Diagnostic("E410", message)) from None

    def _start(self, start: model.Start, timeout: float) -> Observation:
        # A file, not a pipe: no one reads it later, and a full pipe would stop the program.
        log = tempfile.TemporaryFile("w+", errors="replace")  # noqa: SIM115 - the run closes it
        self._stack.enter_context(log)
        process = self._popen(
            start.argv, start.node, stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
        self._stack.callback(_end, process)
        deadline = time.monotonic() + timeout
        while True:
            ended = process.poll() is not None
            log.seek(0)
            output = log.read()
            try:
                if patterns.found(start.ready, output, deadline - time.monotonic() + AGAIN):
                    return Observation(output)
            except patterns.TookTooLong:
                failure = f"looking for {start.ready!r} took longer than {timeout:g} seconds"
                return Observation(output, failure=failure)
            if ended:
                failure = f"it ended with {process.returncode} before it was ready"
                return Observation(output, failure=failure)
            if time.monotonic() > deadline:
                return Observation(output, failure=f"not ready within {timeout:g} seconds")
            time.sleep(AGAIN)

    def _wait(self, wait: model.Wait, timeout: float) -> Observation:
        deadline = time.monotonic() + timeout
        command = model.Command(wait.argv, wait.node)
        while True:
            seen = self._run(command, timeout, table=False)
            try:
                if seen.failure or patterns.found(
                    wait.until, seen.output, deadline - time.monotonic() + AGAIN
                ):
                    return seen
            except patterns.TookTooLong:
                failure = f"looking for {wait.until!r} took longer than {timeout:g} seconds"
                return seen._replace(failure=failure)
            if time.monotonic() > deadline:
                failure = f"condition not met within {timeout:g} seconds: {wait.until}"
                return seen._replace(failure=failure)
            time.sleep(AGAIN)

    def _links(self, links: model.Links) -> Observation:
        from netlab.lab import reconfigure

        for end, change in links.changes.items():
            node, _, interface = end.partition(":")
            if isinstance(change, str):
                reconfigure.switch(self.lab, node, interface, up=change == "up")
            else:
                reconfigure.impair(self.lab, node, interface, change)
        return Observation()

    def _forget(self, forget: model.Forget) -> Observation:
        from netlab.lab import translations

        if forget.rebind:
            return Observation(output=translations.rebind(self.lab, forget.node, self.seed))
        return Observation(output=translations.reboot(self.lab, forget.node))

    def _call(self, call: model.Call, timeout: float) -> Observation:
        seed = str(self.rng.getrandbits(64))
        with tempfile.NamedTemporaryFile("r", encoding="utf-8") as rows:
            argv = ["-m", "netlab.scenario.call", str(call.file), call.function]
            command = model.Command((sys.executable, *argv, self.lab.name, seed, rows.name))
            seen = self._run(command, timeout, table=False)
            if seen.exit == UNAVAILABLE:
                raise Unavailable(Diagnostic("E914", seen.errors.strip()))
            if seen.failure or seen.exit:
                failure = seen.failure or f"{call.function} did not finish"
                return seen._replace(exit=None, failure=failure)
            return seen._replace(exit=None, table=tuple(json.load(rows)))

    def _matrix(self, matrix: model.Matrix, timeout: float) -> Performed:
        from netlab.scenario.matrix import run

        scenario = self.scenario
        found = run.run(matrix, scenario.file, scenario.topology, self.how, timeout)
        return Performed(Observation(table=tuple(run.table(matrix, found))), cells=tuple(found))

    def _meet(self, asked: model.Meet, timeout: float) -> Performed:
        from netlab.scenario.meet.meet import meet

        commands = ([w.replace("{here}", str(self.directory)) for w in argv] for argv in
                    (asked.a, asked.b, asked.rendezvous))  # fmt: skip
        a, b, rendezvous = commands
        table = meet(
            a, b, rendezvous=rendezvous, turn=asked.turn, until=asked.until, pairs=asked.pairs,
            repeat=asked.repeat, limit=asked.limit, seed=self.seed, timeout=timeout,
            options=self.how,
        )  # fmt: skip
        rows = tuple(
            {"a": each.a, "b": each.b, "met": each.verdict, "how": each.how, "reason": why}
            for each in table.played
            for why in [each.telling.reason]
        )
        return Performed(Observation(output=table.text(), table=rows))


def _filled(argv: Sequence[str], lab: str, directory: Path, seed: int) -> list[str]:
    """``{lab}`` is the lab's name, ``{here}`` the scenario's directory, ``{seed}`` the seed."""
    values = {"{lab}": lab, "{here}": str(directory), "{seed}": str(seed)}
    found = []
    for word in argv:
        for name, value in values.items():
            word = word.replace(name, value)  # noqa: PLW2901 - one after the other
        found.append(word)
    return found


def commands(step: model.Step, lab: str, directory: Path) -> Iterator[str]:
    """What a user types to do the same in a lab that is up."""
    import shlex

    action = step.action
    if isinstance(action, model.Send):
        port = f" --dport {action.port}" if action.protocol in (6, 17) else ""
        six = " -6" if action.family == 6 else ""
        listen = " --listen" if action.listen else ""
        yield (
            f"netlab explain {lab}/{action.source} {action.target} --proto {action.protocol}"
            f" --count {action.count}{port}{six}{listen}"
        )
    elif isinstance(action, model.Change):
        for path, value in action.settings.items():
            target, _, key = path.rpartition(".")
            yield f"netlab set {lab}/{target} {key}={shlex.quote(value)}"
    elif isinstance(action, model.Links):
        for end, change in action.changes.items():
            values = [change] if isinstance(change, str) else map("=".join, change.items())
            yield shlex.join(["netlab", "link", f"{lab}/{end}", *values])
    elif isinstance(action, model.Advance):
        which = f" of protocol {action.protocol}" if action.protocol else ""
        yield f"# {action.seconds} seconds pass for the flows{which} that {action.node} knows"
    elif isinstance(action, model.Forget):
        yield f"netlab nat {'rebind' if action.rebind else 'reboot'} {lab}/{action.node}"
    elif isinstance(action, model.Call):
        yield f"# {action.file.name}: {action.function}"
    elif isinstance(action, model.Matrix):
        kind, obstacle = action.traffic[0], action.obstacles[0].name
        yield f"netlab run {lab} --only {shlex.quote(f'{kind} x {obstacle}')}"
    elif isinstance(action, model.Meet):
        typed = ["netlab", "meet", "--pairs", action.pairs, "--until", action.until]
        for name in ("a", "b", "rendezvous"):
            argv = [word.replace("{here}", str(directory)) for word in getattr(action, name)]
            typed += [f"--{name}", shlex.join(argv)] if argv else []
        yield shlex.join([*typed, *(["--turn"] if action.turn else [])])
    else:
        words = shlex.join(_filled(action.argv, lab, directory, 0))
        started = " &" if isinstance(action, model.Start) else ""
        yield (f"netlab exec {lab}/{action.node} -- " if action.node else "") + words + started


def _kill(process: subprocess.Popen[str]) -> None:
    # It leads a session of its own, so its children go with it.
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _end(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.wait(GRACE)
    except subprocess.TimeoutExpired:
        pass
    finally:
        _kill(process)
        process.wait()
