"""Directories that the programs of one node have to themselves.

They are kept beside the lab's namespaces and bound over their paths in the private mount namespace
of each program: all programs of the node see one, no other node and not the machine.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat

from netlab.errors import Diagnostic, LabError
from netlab.lab import files
from netlab.linux import namespaces

MOST = 10_000
"""Files of a copy: a lab is not the place for a copy of /usr."""

_LIST = ".paths"


def make(tree: str, path: str, *, is_copy: bool) -> None:
    """Make the directory of a node, with the mode and owner of the machine's if it has it.

    Raises:
        LabError: E411 if there can be none at this path, or nothing to copy.
    """
    _check(path, tree, is_copy=is_copy)
    kept = tree + path
    os.makedirs(os.path.dirname(kept), 0o755, exist_ok=True)
    if is_copy:
        shutil.copytree(path, kept, symlinks=True)
    else:
        os.mkdir(kept, 0o755)
    if os.path.isdir(path):
        os.chmod(kept, stat.S_IMODE(os.stat(path).st_mode))
        _give_owners(path, kept)
    with open(f"{tree}/{_LIST}", "a", encoding="utf-8") as stream:
        stream.write(f"{path}\n")


def _give_owners(path: str, kept: str) -> None:
    """Let what was made belong to whom the originals belong to; only root can do that."""
    if os.geteuid() != 0:
        return
    for directory, inside, names in os.walk(kept):
        for made in (directory, *(f"{directory}/{name}" for name in (*inside, *names))):
            own = os.lstat(path + made[len(kept) :])
            # In a user namespace of ours there may be no such user.
            with contextlib.suppress(OSError):
                os.chown(made, own.st_uid, own.st_gid, follow_symlinks=False)


def _check(path: str, tree: str, *, is_copy: bool) -> None:
    problem = ""
    if tree.startswith(f"{os.path.realpath(path)}/"):
        problem = "holds what netlab keeps of the lab"
    elif is_copy and not os.path.isdir(path):
        problem = "is no directory of this machine that could be copied"
    elif os.path.exists(path) and not os.path.isdir(path):
        problem = "is a file on this machine"
    elif is_copy and _is_large(path):
        problem = f"holds more than {MOST} files"
    if problem:
        hint = (
            "leave out `copy: true`, or choose another path" if is_copy else "choose another path"
        )
        raise LabError(Diagnostic("E411", f"{path} {problem}", hint=hint))


def _is_large(path: str) -> bool:
    count = 0
    for _, inside, names in os.walk(path):
        count += len(inside) + len(names)
        if count > MOST:
            return True
    return False


def show(tree: str) -> list[str]:
    """Bind every directory of ``tree`` over its path, in the calling thread's mount namespace.

    Returns their real paths.
    """
    shown = []
    try:
        with open(f"{tree}/{_LIST}", encoding="utf-8") as stream:
            paths = stream.read().splitlines()
    except FileNotFoundError:
        return []
    for path in paths:
        target = os.path.realpath(path)
        files.make_room(target)
        namespaces.bind(tree + path, target)
        shown.append(target)
    return shown
