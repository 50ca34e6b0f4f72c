"""The names under which `ip netns` shows the nodes of a lab: ``LAB.NODE``.

A name is a symbolic link to the node's namespace. So it says by itself whose it is, even after a
crash, and `ip netns` takes it for one of its own.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from netlab.errors import Diagnostic, LabError

if TYPE_CHECKING:
    from netlab.lab.record import Lab

DIRECTORY = "/run/netns"
"""Where `ip netns` looks for names."""

_MADE = ".made-run-netns"
"""A note in the state directory that we made ``DIRECTORY``."""


def path_of(lab: Lab, node: str) -> str:
    """The link under which `ip netns` shows ``node``."""
    return f"{DIRECTORY}/{lab.name}.{node}"


def is_possible() -> bool:
    """Whether we may write where `ip netns` looks; root of a mere user namespace may not."""
    place = DIRECTORY if os.path.isdir(DIRECTORY) else os.path.dirname(DIRECTORY)
    return os.access(place, os.W_OK)


def refuse_taken(lab: Lab) -> None:
    """Raise ``LabError`` if one of the names is taken by something that is not of this lab.

    Raises:
        LabError: a name is taken by something that is not of this lab.
    """
    for node in lab.record.nodes:
        path = path_of(lab, node)
        if os.path.lexists(path) and not is_ours(path, lab.directory):
            raise LabError(
                Diagnostic(
                    "E402",
                    f"`ip netns` already has a namespace {lab.name}.{node}, and it is not ours",
                    hint="choose another name for the lab",
                )
            )


def is_ours(path: str, directory: str) -> bool:
    """Whether ``path`` is a link into ``directory``, which is how our names are recognised."""
    try:
        return os.readlink(path).startswith(f"{directory}/")
    except OSError:
        return False


def show(lab: Lab) -> None:
    """Show the nodes to `ip netns` as ``LAB.NODE``."""
    for node in lab.record.nodes:
        try:
            _link(lab, node)
        except FileExistsError:
            refuse_taken(lab)


def _link(lab: Lab, node: str) -> None:
    while True:
        try:
            os.symlink(lab.namespace(node), path_of(lab, node))
        except FileNotFoundError:
            # The directory was never made, or went away with the last name in it. The note comes
            # first: a directory without it would never be removed again.
            open(f"{os.path.dirname(lab.directory)}/{_MADE}", "w").close()
            os.makedirs(DIRECTORY, 0o755, exist_ok=True)
        else:
            return


def hide(lab: Lab) -> None:
    """Take the names away again, and nothing else."""
    for node in lab.record.nodes:
        path = path_of(lab, node)
        if is_ours(path, lab.directory):
            os.unlink(path)
    forget_directory(os.path.dirname(lab.directory))


def forget_directory(state: str) -> None:
    """Remove /run/netns if netlab made it and nobody uses it."""
    note = f"{state}/{_MADE}"
    if os.path.exists(note):
        try:
            os.rmdir(DIRECTORY)
        except FileNotFoundError:
            pass
        except OSError:
            return
        os.unlink(note)
