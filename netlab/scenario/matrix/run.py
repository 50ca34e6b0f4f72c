"""All cells of a matrix, to the rows of a table."""

from __future__ import annotations

import os
from concurrent.futures import as_completed
from concurrent.futures.process import BrokenProcessPool
from typing import TYPE_CHECKING, Any, TypeVar

from netlab import __version__
from netlab.errors import Diagnostic, LabError
from netlab.scenario.matrix import journal, workers
from netlab.scenario.matrix.cells import cells
from netlab.scenario.matrix.perform import Found, perform
from netlab.scenario.matrix.select import OBSTACLE, select, without
from netlab.scenario.matrix.traffic import with_tun

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from concurrent.futures import Executor, Future
    from contextlib import AbstractContextManager
    from pathlib import Path

    from netlab.scenario.matrix.options import MatrixOptions
    from netlab.scenario.model import Matrix

C = TypeVar("C", bound=journal.Cell)
R = TypeVar("R", bound=journal.Result)


def part(matrix: Matrix, options: MatrixOptions) -> Matrix:
    """The selected part that this machine can do; what is left out is reported."""
    chosen = select(matrix, options.only) if options.only else matrix
    if options.scheduler or not (kinds := with_tun(chosen.traffic)):
        return chosen
    try:
        os.close(os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC))
    except OSError as error:
        options.report(f"left out: {', '.join(kinds)} (/dev/net/tun: {error.strerror})")
        return without(chosen, kinds)
    return chosen


def run(
    matrix: Matrix, scenario: Path, topology: Path, options: MatrixOptions, timeout: float
) -> list[Found]:
    """The result of each cell, row by row.

    ``LabError`` if they take longer than ``timeout`` seconds, or if a worker dies.
    """
    return results(
        list(cells(matrix, scenario, topology)), perform, Found.from_json, options, timeout
    )


def results(
    wanted: Sequence[C],
    perform: Callable[[C], R],
    read: Callable[[dict[str, Any]], R],
    options: MatrixOptions,
    timeout: float,
) -> list[R]:
    """What ``perform`` returns for each cell, in their order; what was interrupted is resumed.

    ``perform`` is a function of a module, since workers look it up there; ``read`` makes a result
    of its JSON again.

    Raises:
        LabError: they take longer than ``timeout`` seconds, or a worker dies.
    """
    keys = [journal.key(cell) for cell in wanted]
    with journal.Journal(keys, read, fresh=options.fresh) as kept:
        missing = [(k, c) for k, c in zip(keys, wanted, strict=True) if k not in kept.done]
        if len(missing) < len(wanted):
            before = len(wanted) - len(missing)
            options.report(f"{before} of {len(wanted)} cells were done before the interruption")
        done = len(wanted) - len(missing)
        options.progress(done, len(wanted))
        for key, found in _perform(missing, perform, options, timeout):
            kept.note(key, found)
            done += 1
            options.progress(done, len(wanted))
        return [kept.done[key] for key in keys]


def _perform(
    missing: list[tuple[str, C]], perform: Callable[[C], R], options: MatrixOptions, timeout: float
) -> Iterator[tuple[str, R]]:
    if not missing:
        return
    try:
        with _executor(options, len(missing)) as executor:
            keys: dict[Future[R], str] = {}
            for key, cell in missing:
                if options.scheduler:
                    future = executor.submit(workers.work_elsewhere, perform, cell, __version__)
                else:
                    future = executor.submit(workers.work, perform, cell)
                keys[future] = key
            for future in as_completed(keys, timeout):
                yield keys[future], future.result()
    except BrokenProcessPool:
        hint = "run it again: it goes on where it stopped; netlab gc removes what is left"
        raise LabError(Diagnostic("E917", "a worker was killed", hint=hint)) from None
    except TimeoutError:
        message = f"the cells took longer than {timeout:g} seconds"
        hint = "run it again: it goes on where it stopped"
        raise LabError(Diagnostic("E917", message, hint=hint)) from None


def _executor(options: MatrixOptions, cells: int) -> AbstractContextManager[Executor]:
    if options.scheduler:
        return workers.distributed(options.scheduler)
    return workers.local(min(options.jobs or workers.default_jobs(), cells))


def table(matrix: Matrix, found: Iterable[Found]) -> list[dict[str, str]]:
    """A row for each obstacle, a column for each kind of traffic."""
    by_cell = {(each.obstacle, each.traffic): each.text for each in found}
    return [
        {OBSTACLE: obstacle.name, **{kind: by_cell[obstacle.name, kind] for kind in matrix.traffic}}
        for obstacle in matrix.obstacles
    ]
