"""Who performs the cells: processes of this machine, or the workers of a dask cluster.

Both are ``concurrent.futures.Executor``; nothing else here knows which it is.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
from concurrent.futures import ProcessPoolExecutor
from typing import TYPE_CHECKING, TypeVar

from netlab import __version__
from netlab.errors import Diagnostic, InputError, LabError, Unavailable
from netlab.lab import rootless
from netlab.linux import pdeathsig

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Executor

C = TypeVar("C")
R = TypeVar("R")

EACH = 2
"""Processes for each core: a cell waits about as long as it works."""

CONNECTING = 20
"""Seconds for a scheduler to answer."""

GATHERING = 60
"""Seconds for it to have a worker."""


def default_jobs() -> int:
    """Processes that keep this machine's cores busy."""
    return EACH * len(os.sched_getaffinity(0))


@contextlib.contextmanager
def local(jobs: int) -> Iterator[Executor]:
    """So many processes; they end with the block, and with this process, their labs first."""
    # Spawned and not forked: a fork would copy whatever threads and locks the caller has.
    context = multiprocessing.get_context("spawn")
    before = {*multiprocessing.active_children()}
    pool = ProcessPoolExecutor(jobs, context, _begin, (os.getpid(),))
    try:
        yield pool
    except BaseException:
        for process in {*multiprocessing.active_children()} - before:
            process.terminate()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


class _Worker:
    """What a worker is doing when it is asked to stop.

    An exception at an arbitrary moment could hit the removing of a lab, or the pool's own code,
    which takes any for a result and goes on. So a cell is brought to its end, and nothing else.
    """

    at_work = False
    is_to_end = False

    @classmethod
    def end(cls, *_: object) -> None:
        """Answer SIGTERM."""
        cls.is_to_end = True
        if not cls.at_work:
            os._exit(128 + signal.SIGTERM)


def _begin(owner: int) -> None:
    """A worker's first act. Ctrl-C goes to all of us; its owner says what follows from it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _Worker.end)
    if rootless.is_needed():
        rootless.enter()
    pdeathsig.set_pdeathsig(owner)


def work(perform: Callable[[C], R], cell: C) -> R:
    """Perform a cell in a process of ``local``."""
    _Worker.at_work = True
    try:
        return perform(cell)
    finally:
        _Worker.at_work = False
        if _Worker.is_to_end:
            _Worker.end()


@contextlib.contextmanager
def distributed(address: str) -> Iterator[Executor]:
    """The workers of the dask scheduler at ``address``.

    Raises:
        InputError: dask is not installed, or the address is wrong.
        LabError: no scheduler answers.
        Unavailable: no worker can build labs.
    """
    try:
        from distributed import Client
    except ImportError:
        hint = "pip install 'netlab-lab[distributed]'"
        raise Unavailable(
            Diagnostic("E916", "dask.distributed is not installed", hint=hint)
        ) from None
    try:
        client = Client(address, timeout=CONNECTING, set_as_default=False)
    except (OSError, ValueError) as error:
        message = f"no scheduler answers at {address}: {error}"
        hint = "start one: dask scheduler --port 8786; then workers: dask worker tcp://HOST:8786"
        raise InputError(Diagnostic("E916", message, hint=hint)) from None
    with client:
        try:
            client.wait_for_workers(1, timeout=GATHERING)
        except TimeoutError:
            message = f"the scheduler at {address} has no workers"
            hint = f"dask worker {address}"
            raise LabError(Diagnostic("E916", message, hint=hint)) from None
        executor = client.get_executor(pure=False)
        try:
            yield executor
        except BaseException:
            executor.shutdown(wait=False)
            raise


def work_elsewhere(perform: Callable[[C], R], cell: C, version: str) -> R:
    """Perform a cell in a worker of a cluster, which must have the same netlab.

    Raises:
        LabError: the worker has another netlab.
    """
    if version != __version__:
        message = f"this worker has netlab {__version__}, the matrix is of {version}"
        raise LabError(Diagnostic("E916", message))
    return perform(cell)
