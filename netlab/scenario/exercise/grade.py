"""A folder of submissions, graded: in parallel, each in a sandbox, with a limit of time.

Nothing of a submission is believed but what the program that checks it prints, and of that only the
form that is expected.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, TYPE_CHECKING

from netlab.errors import Diagnostic, InputError, LabError
from netlab.lab import sandbox
from netlab.scenario.exercise import work
from netlab.topology.shipped import SUFFIXES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from netlab.scenario.exercise.work import Work
    from netlab.scenario.model import Scenario

MOST_SUBMISSIONS = 2000
LARGEST = 1 << 20
"""Octets of a submission: the most that a topology file may have."""
MOST_PRINTED = 4 << 20
"""Octets that are read of what a check prints."""
INSIDE = "/work/submission.yaml"


def submissions(directory: Path) -> list[Path]:
    """The topology files below a directory, sorted; neither symbolic links nor hidden files.

    Raises:
        InputError: E925 if it is not a directory, has none, or more than can be meant.
    """
    if not directory.is_dir():
        raise InputError(Diagnostic("E925", f"{directory} is not a directory"))
    found = []
    for where, folders, files in os.walk(directory):
        folders[:] = sorted(folder for folder in folders if not folder.startswith("."))
        found += [
            Path(where) / name
            for name in files
            if name.endswith(SUFFIXES) and not name.startswith(".")
        ]
    files_only = sorted(path for path in found if not path.is_symlink() and path.is_file())
    if not files_only:
        message = f"no topology file is in {directory}"
        raise InputError(Diagnostic("E925", message, hint="files that end with .yaml"))
    if len(files_only) > MOST_SUBMISSIONS:
        message = f"{len(files_only)} files: at most {MOST_SUBMISSIONS} are graded"
        raise InputError(Diagnostic("E925", message))
    return files_only


def grade(
    directory: Path,
    chosen: Sequence[tuple[Path, Scenario]],
    *,
    jobs: int,
    seconds: float,
    after: Callable[[int, int], None] = lambda *_: None,
) -> list[Work]:
    """The work of each file, in their order; ``seconds`` is the most that one may take."""
    done = 0
    found: dict[int, Work] = {}
    with ThreadPoolExecutor(jobs) as workers:
        running = [
            workers.submit(_one, directory, file, scenario, number, seconds)
            for number, (file, scenario) in enumerate(chosen)
        ]
        try:
            for number, future in enumerate(running):
                found[number] = future.result()
                done += 1
                after(done, len(running))
        except BaseException:
            for future in running:
                future.cancel()
            raise
    return [found[number] for number in range(len(chosen))]


def _one(directory: Path, file: Path, scenario: Scenario, number: int, seconds: float) -> Work:
    name = os.path.relpath(file, directory)
    if file.stat().st_size > LARGEST:
        return work.unreachable(scenario, name, f"it has more than {LARGEST} octets")
    given = scenario.file.resolve()
    if given.is_relative_to(directory.resolve()):
        message = f"{given} is among the submissions, which must not see each other"
        raise InputError(Diagnostic("E925", message, hint="keep it in another folder"))
    hidden = [str(directory.resolve())]
    if scenario.exercise and scenario.exercise.solution:
        hidden.append(str(scenario.exercise.solution))
    shown = [*sandbox.of_python(), str(given.parent), str(scenario.topology.parent)]
    with tempfile.TemporaryDirectory(prefix="netlab-grade.") as place:
        spec = sandbox.Spec(
            place, tuple(shown), ((str(file.resolve()), INSIDE),), tuple(hidden), number
        )
        command = [sys.executable, "-m", "netlab", "check-work", INSIDE, "--json"]
        command += ["--exercise", str(given)]
        argv = [sys.executable, "-m", "netlab.lab.sandbox", json.dumps(spec._asdict()), *command]
        output, errors, code = _run(argv, seconds)
    if code is None:
        return work.unreachable(scenario, name, f"not done within {seconds:g} seconds")
    if code == sandbox.FAILED:
        raise LabError(Diagnostic("E926", errors.strip(), hint="netlab doctor"))
    try:
        made = work.from_json(json.loads(output), scenario.title)
    except (ValueError, KeyError, TypeError):
        said = errors.strip()[-work.MOST_OBSERVED :] or f"the check ended with {code}"
        return work.unreachable(scenario, name, said.replace(INSIDE, name))
    said = made.error.replace(INSIDE, name)
    return _as_asked(made._replace(submission=name, exercise=scenario.name, error=said), scenario)


def _as_asked(made: Work, scenario: Scenario) -> Work:
    """The same, if its parts are those of the exercise, and worth what it says."""
    worth = {step.name: step.points for step in scenario.steps if work.is_graded(step)}
    parts = [part for part in made.parts if part.of]
    if {part.name: part.of for part in parts} != worth or len(parts) != len(worth):
        return work.unreachable(scenario, made.submission, "the check printed another exercise")
    return made


def _run(argv: Sequence[str], seconds: float) -> tuple[str, str, int | None]:
    """What a command printed, and its exit code; ``None`` if it was killed for taking too long."""
    with (
        tempfile.TemporaryFile() as output,
        tempfile.TemporaryFile() as errors,
        subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=output, stderr=errors, start_new_session=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        ) as process,
    ):  # fmt: skip
        code: int | None = None
        try:
            code = process.wait(seconds)
        except subprocess.TimeoutExpired:
            pass
        finally:
            if code is None:
                os.killpg(process.pid, signal.SIGKILL)  # all that is inside goes with it
                process.wait()
        return _read(output), _read(errors), code


def _read(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read(MOST_PRINTED).decode(errors="replace")


COLUMNS = ("submission", "exercise", "points", "of", "passed", "missing")


def rows(works: Sequence[Work]) -> Iterator[tuple[str, ...]]:
    """A row of ``COLUMNS`` for each."""
    for each in works:
        missing = "; ".join(each.missing)
        passed = "yes" if each.passed else "no"
        yield (each.submission, each.exercise, str(each.points), str(each.of), passed, missing)


def csv_text(works: Sequence[Work]) -> str:
    """The table as CSV (RFC 4180); no cell is a formula to a spreadsheet."""
    import csv
    import io

    stream = io.StringIO()
    writer = csv.writer(stream)
    writer.writerow(COLUMNS)
    writer.writerows(tuple(map(_plain, row)) for row in rows(works))
    return stream.getvalue()


def _plain(cell: str) -> str:
    return f"'{cell}" if cell.startswith(("=", "+", "-", "@", "\t", "\r")) else cell
