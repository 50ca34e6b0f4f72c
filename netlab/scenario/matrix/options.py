"""What a user decides about a matrix."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable


class MatrixOptions(NamedTuple):
    """What a user decides about a matrix.

    ``only`` names a part of it, see ``select``. ``jobs`` processes work at once (0: as the cores
    allow), or with ``scheduler`` (``tcp://HOST:PORT``) those of a dask cluster. ``fresh`` forgets
    what an interrupted run has done. ``progress`` is called with the numbers of cells that are
    done and of all, ``report`` with a line for the user.
    """

    only: str = ""
    scheduler: str = ""
    jobs: int = 0
    fresh: bool = False
    progress: Callable[[int, int], None] = lambda *_: None
    report: Callable[[str], None] = lambda _: None
