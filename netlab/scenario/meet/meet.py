"""From what a user asks for to a table of pairs: ``netlab.meet(...)`` and ``netlab meet``."""

from __future__ import annotations

import os
import platform
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from netlab import __version__
from netlab.errors import Diagnostic, InputError
from netlab.plan.build import build
from netlab.scenario.matrix import run
from netlab.scenario.matrix.options import MatrixOptions
from netlab.scenario.meet import condition
from netlab.scenario.meet import pairs as of_pairs
from netlab.scenario.meet.play import play
from netlab.scenario.meet.played import LIMIT, Cell, Played, Programs
from netlab.scenario.meet.table import Table, default_folder, save
from netlab.topology import loads
from netlab.topology.nat import Translator

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from netlab.scenario.meet.pairs import Pair
    from netlab.topology.model import Topology

EXIT_0 = "exit:0"
"""The condition where none is given."""

SLACK = 60.0
"""Seconds more than their limits that all pairs together may take."""


def meet(
    a: str | Sequence[str] = (),
    b: str | Sequence[str] = (),
    *,
    rendezvous: str | Sequence[str] = (),
    until: str = EXIT_0,
    pairs: str = "classic",
    repeat: int = 1,
    limit: float = LIMIT,
    seed: int = 0,
    turn: bool = False,
    fates: str | os.PathLike[str] = "",
    timeout: float = 0.0,
    options: MatrixOptions | None = None,
) -> Table:
    """Let two programs look for each other through pairs of NATs, each in a lab of its own.

    ``a`` and ``b`` are commands, as one line or as words; without them our own UDP program plays.
    ``rendezvous`` is a program at the public server in place of our exchange of lines, and
    ``turn`` starts coturn in place of our STUN server. ``until`` says what is true when they have
    met (``condition.parse``), ``pairs`` which are played (``pairs.pairs``), ``limit`` how many
    seconds a run may take. The fates of all packets are written into the folder ``fates``, or
    into one below the user's cache. After ``timeout`` seconds in all (0: long enough) it gives up.
    ``options`` is about how many are played at once.

    Raises:
        InputError: a pair, the condition, or a command cannot be read.
        LabError: a program cannot be started, or a lab cannot be built.
    """
    programs = Programs(_words("a", a), _words("b", b), _words("rendezvous", rendezvous), turn)
    if bool(programs.a) != bool(programs.b):
        one, other = ("a", "b") if programs.a else ("b", "a")
        message = f"there is a program {one} and no program {other}"
        raise InputError(Diagnostic("E934", message, hint=f"--{other} CMD, or neither of the two"))
    wanted = list(cells(pairs, programs, until, repeat=repeat, limit=limit, seed=seed))
    timeout = timeout or SLACK + len(wanted) * repeat * (limit + SLACK / 10)
    found = run.results(wanted, play, Played.from_json, options or MatrixOptions(), timeout)
    about = environment(programs, until, pairs)
    table = Table(tuple(found), seed, about, Path(fates or default_folder(seed, about)).absolute())
    save(table)
    return table


def cells(
    which: str, programs: Programs, until: str, *, repeat: int, limit: float, seed: int
) -> Iterator[Cell]:
    """A cell for each pair that ``which`` names."""
    holds = condition.parse(until)
    stamps = tuple(_stamps([*programs.a, *programs.b, *programs.rendezvous]))
    for pair in of_pairs.pairs(which):
        topology = topology_of(pair)
        yield Cell(
            pair.a,
            pair.b,
            build(topology),
            programs,
            holds,
            limit,
            repeat,
            seed,
            _filtering(topology),
            stamps,
        )


def topology_of(pair: Pair) -> Topology:
    """The lab of a pair."""
    text = yaml.safe_dump(of_pairs.topology(pair), sort_keys=False)
    return loads(text, f"{pair.a}~{pair.b}.yaml")


def _filtering(topology: Topology) -> dict[str, str]:
    return {
        node.name: nat.filtering
        for node in topology.nodes
        for nat in node.nat
        if isinstance(nat, Translator)
    }


def _words(which: str, command: str | Sequence[str]) -> tuple[str, ...]:
    """The words of a command, which is never given to a shell."""
    if not isinstance(command, str):
        return tuple(command)
    try:
        return tuple(shlex.split(command))
    except ValueError as error:
        message = f"--{which}: {command!r} is not a command: {error}"
        raise InputError(Diagnostic("E934", message, hint="close the quotes")) from None


def _stamps(words: Sequence[str]) -> Iterator[tuple[str, int]]:
    for word in dict.fromkeys(words):
        path = Path(word)
        if path.is_file():
            yield word, path.stat().st_mtime_ns


def environment(programs: Programs, until: str, which: str) -> dict[str, Any]:
    """What a table can be made again from, and where it was made."""
    return {
        "netlab": __version__,
        "kernel": platform.release(),
        "python": platform.python_version(),
        "machine": platform.machine(),
        "user": "root" if os.geteuid() == 0 else "ordinary",
        "pairs": which,
        "a": shlex.join(programs.a),
        "b": shlex.join(programs.b),
        "rendezvous": shlex.join(programs.rendezvous),
        "until": until,
        "turn": programs.turn,
    }
