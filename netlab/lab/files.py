"""Files that only the programs of one node see.

They are kept in the lab's directory and bound over their paths in the private mount namespace
of each program; the machine's own files are never written. A path that the machine does not have
is made by mirroring the nearest directory that exists: a tmpfs takes its place in which every
entry is bound back, so there is room for one more. What a program itself creates in a mirrored
directory it alone sees.
"""

from __future__ import annotations

import fcntl
import os
from typing import TYPE_CHECKING

from netlab.errors import Diagnostic, LabError
from netlab.linux import namespaces

if TYPE_CHECKING:
    from collections.abc import Sequence

_REFUSED = ("/proc", "/sys", "/dev")
_READABLE = 0o644


def check(path: str) -> None:
    """Raise ``LabError`` if no file can be shown at ``path``.

    Raises:
        LabError: no file can be shown at ``path``.
    """
    real = os.path.realpath(path)
    problem = ""
    if not os.path.isabs(path) or os.path.normpath(path) != path:
        problem = "is not an absolute, normal path"
    elif real.startswith(tuple(f"{root}/" for root in _REFUSED)):
        problem = "lies where the kernel's own files are"
    elif os.path.isdir(real):
        problem = "is a directory on this machine"
    elif not os.path.exists(real) and _existing_parent(real) == "/":
        problem = "lies in a directory that this machine does not have"
    if problem:
        hint = "choose a file below /etc, /srv, /opt, /usr or /var"
        raise LabError(Diagnostic("E411", f"{path} {problem}", hint=hint))


def store(tree: str, path: str, content: str, same: str = "") -> str:
    """Keep ``content`` for ``path`` in the tree of a node; returns the file that holds it.

    ``same`` is a file that holds this content already: a thousand nodes have one /etc/hosts until
    a program of a node is to see it, see ``show``.
    """
    check(path)
    kept = tree + path
    _make_directories(os.path.dirname(kept))
    if same:
        os.link(same, kept)
    else:
        with open(kept, "x", encoding="utf-8") as stream:
            os.fchmod(stream.fileno(), _READABLE)
            stream.write(content)
    return kept


def _make_directories(path: str) -> None:
    """As ``os.makedirs``, with a mode that the umask has no part in."""
    missing = []
    while not os.path.isdir(path):
        missing.append(path)
        path = os.path.dirname(path)
    for directory in reversed(missing):
        os.mkdir(directory)
        os.chmod(directory, 0o755)  # noqa: S103 - programs of any user read there


def _make_own(kept: str, tree: str) -> None:
    """Give a node a file of its own where it still shares one, so that it may write to it."""
    directory = os.open(tree, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(directory, fcntl.LOCK_EX)  # another program of the node may start, too
        if os.stat(kept).st_nlink == 1:
            return
        part = f"{tree}.part"
        with open(kept, "rb") as shared, open(part, "wb") as own:
            os.fchmod(own.fileno(), _READABLE)
            own.write(shared.read())
        os.replace(part, kept)
    finally:
        os.close(directory)


def show(tree: str, own: Sequence[str] = ()) -> None:
    """Bind every file of ``tree`` over its path, in the calling thread's own mount namespace.

    ``own`` are directories that the node has to itself: what lies there is written there.
    """
    mirrored: set[str] = set()
    for directory, _, names in os.walk(tree):
        for name in names:
            kept = f"{directory}/{name}"
            target = os.path.realpath(kept[len(tree) :])
            if not os.path.exists(target) and any(target.startswith(f"{o}/") for o in own):
                _make_directories(os.path.dirname(target))
                open(target, "x").close()
            elif not os.path.exists(target):
                parent = _existing_parent(target)
                if parent not in mirrored:
                    _mirror(parent)
                    mirrored.add(parent)
                _make_directories(os.path.dirname(target))
                mirrored.add(os.path.dirname(target))
                open(target, "x").close()
            _make_own(kept, tree)
            namespaces.bind(kept, target)


def make_room(directory: str) -> None:
    """Let there be a directory, in the calling thread's own mount namespace only."""
    if not os.path.isdir(directory):
        _mirror(_existing_parent(directory))
        _make_directories(directory)


def _existing_parent(path: str) -> str:
    parent = os.path.dirname(path)
    while not os.path.isdir(parent):
        parent = os.path.dirname(parent)
    return parent


def _mirror(directory: str) -> None:
    """Put a tmpfs in the place of ``directory`` that holds the same entries."""
    mode = os.stat(directory).st_mode & 0o7777
    original = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        namespaces.mount("netlab", directory, "tmpfs", 0, f"mode={mode:o}")
        behind = f"/proc/thread-self/fd/{original}"
        with os.scandir(original) as entries:
            for entry in entries:
                place = f"{directory}/{entry.name}"
                if entry.is_symlink():
                    os.symlink(os.readlink(entry.name, dir_fd=original), place)
                    continue
                is_directory = entry.is_dir(follow_symlinks=False)
                if is_directory:
                    os.mkdir(place)
                else:
                    open(place, "x").close()
                namespaces.bind(f"{behind}/{entry.name}", place, recursive=is_directory)
    finally:
        os.close(original)
