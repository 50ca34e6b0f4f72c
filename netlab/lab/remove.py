"""Taking labs away: all of one lab, or whatever a crash left of any.

A lab goes in steps, each of which may be the last one that we live to take: the sign that it is
complete, its programs, its names for `ip netns`, the one mount that keeps its namespaces (the
kernel then frees devices, rules and routes by itself; removing links one by one takes 15 ms
each), its directory. The directory with the record goes last and is renamed first, so what is
left is found by ``gc``.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
from typing import TYPE_CHECKING, NamedTuple

from netlab.errors import Diagnostic, LabError
from netlab.lab import netns_names, processes, record
from netlab.linux import namespaces

if TYPE_CHECKING:
    from collections.abc import Iterator

    from netlab.lab.record import Claim, Lab

_ASIDE = re.compile(r"^\.(?P<name>.+)\.(?P<pid>\d+)\.(?P<token>[0-9a-f]{32})$")
"""A directory of ours that is not a lab: being claimed, or being removed."""


class Removed(NamedTuple):
    """What became of a lab."""

    name: str
    stopped: int
    """How many of its programs were still running."""
    survivors: tuple[processes.Process, ...]
    """Processes that could not be ended; they keep its namespaces alive."""


class Leftover(NamedTuple):
    """Something that belongs to no living lab."""

    kind: str
    """``lab``, ``claim``, ``name`` or ``process``."""
    what: str
    """Its name, path or process id."""
    why: str


def down(name: str) -> Removed:
    """Remove a lab.

    Raises:
        LabError: there is none, or it belongs to a living process.
    """
    lab = record.find(name)
    claim = record.lock(lab)
    if claim is None:
        verb = "is being built by" if not lab.ready else "belongs to"
        message = f"lab {name} {verb} process {lab.record.pid}"
        raise LabError(Diagnostic("E405", message, hint="end that process and the lab goes too"))
    return remove(claim)


def remove(claim: Claim) -> Removed:
    """Remove the lab of a claim and release the claim."""
    lab = claim.lab
    with contextlib.ExitStack() as stack:
        stack.callback(claim.close)
        with contextlib.suppress(LabError):  # a change that does not end has had its time
            stack.enter_context(record.changing(lab))
        record.unmark_ready(lab)
        keeper = processes.keeper(lab)
        stopped, survivors = processes.stop(processes.Members(lab))
        if lab.record.listed:
            netns_names.hide(lab)
        _release(lab.netns_dir)
        state = os.path.dirname(lab.directory)
        aside = f"{state}/.{lab.name}.{os.getpid()}.{lab.record.token}"
        os.rename(lab.directory, aside)
        shutil.rmtree(aside)
    _leave(state)
    return Removed(lab.name, len(stopped - {keeper}), tuple(survivors))


def _release(netns_dir: str) -> None:
    """Let go of all namespaces of a lab at once."""
    try:
        while os.path.ismount(netns_dir):
            namespaces.detach(netns_dir)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise


def _leave(state: str) -> None:
    """Remove the directory of all labs with the last one, unless the user chose it."""
    if not os.environ.get("NETLAB_STATE_DIR"):
        with contextlib.suppress(OSError):  # others live there
            os.rmdir(state)


def is_dead(lab: Lab) -> str:
    """Why nobody will ever use this lab again, or an empty string."""
    seized = _seize_dead(lab)
    if seized is None:
        return ""
    claim, why = seized
    claim.close()
    return why


def _seize_dead(lab: Lab) -> tuple[Claim, str] | None:
    """The right to remove a lab that is dead, and why it is; None if somebody lives there.

    Judged while the lock is held: a moment later the name may be that of a new lab.
    """
    claim = record.lock(lab)
    if claim is None:
        return None
    why = ""
    if lab.record.library:
        why = f"process {lab.record.pid}, to which it belonged, has ended"
    elif not lab.ready:
        why = "who was building or removing it died"
    elif not is_alive(lab):
        why = "its namespaces are gone"
    if why:
        return claim, why
    claim.close()
    return None


def is_alive(lab: Lab) -> bool:
    """Whether the namespaces of a lab exist."""
    if lab.record.rootless and not os.path.ismount(lab.netns_dir):
        return processes.keeper(lab) is not None
    return len(processes.nodes_by_inode(lab)) == len(lab.record.nodes) and os.path.ismount(
        lab.netns_dir
    )


def clear_dead(name: str) -> None:
    """Remove what is left of a lab of this name whose builder or owner died."""
    lab = record.read(f"{record.state_directory()}/{name}")
    seized = _seize_dead(lab) if lab else None
    if seized:
        remove(seized[0])


def gc(*, dry_run: bool = False) -> list[Leftover]:
    """Find what crashes left behind, and remove it unless ``dry_run``.

    Only what is marked as ours in this state directory is looked at. A lab that is being built
    or used is left alone, whoever does so.
    """
    state = record.state_directory()
    found = [*_dead_labs(dry_run), *_unfinished(state, dry_run)]
    found += _stray_processes(state, dry_run)
    found += _stray_names(state, dry_run)
    if not dry_run:
        netns_names.forget_directory(state)
        _leave(state)
    return found


def _dead_labs(dry_run: bool) -> Iterator[Leftover]:  # noqa: FBT001
    for lab in list(record.labs()):
        seized = _seize_dead(lab)
        if seized is None:
            continue
        claim, why = seized
        if dry_run:
            claim.close()
        else:
            remove(claim)
        yield Leftover("lab", lab.name, why)


def _unfinished(state: str, dry_run: bool) -> Iterator[Leftover]:  # noqa: FBT001
    for name in record.directories(state):
        match = _ASIDE.match(name)
        path = f"{state}/{name}"
        lock = record.lock_directory(path) if match else None
        if match is None or lock is None:
            continue
        try:
            if not dry_run:
                _release(f"{path}/ns")
                shutil.rmtree(path)
        finally:
            os.close(lock)
        yield Leftover("claim", path, f"process {match['pid']} died while at it")


def _stray_processes(state: str, dry_run: bool) -> Iterator[Leftover]:  # noqa: FBT001
    def find() -> list[tuple[processes.Process, processes.Mark]]:
        # Processes first, labs second: a program that is seen had its lab before.
        found = processes.belonging(state)
        living = {lab.record.token for lab in record.labs()}
        return [(process, mark) for process, mark in found if mark.token not in living]

    for process, mark in find():
        yield Leftover(
            "process", str(process.pid), f"{process.command} in {mark.node or 'no node'}"
        )
    if not dry_run:
        processes.stop(lambda: [process for process, _ in find()])


def _stray_names(state: str, dry_run: bool) -> Iterator[Leftover]:  # noqa: FBT001
    try:
        names = sorted(os.listdir(netns_names.DIRECTORY))
    except OSError:
        return
    for name in names:
        path = f"{netns_names.DIRECTORY}/{name}"
        if not netns_names.is_ours(path, state):
            continue
        # STATE/LAB/ns/NODE: the lab that the link points into
        directory = os.path.dirname(os.path.dirname(os.readlink(path)))
        if not os.path.lexists(directory):
            if not dry_run:
                os.unlink(path)
            yield Leftover("name", path, "its lab is gone")
