"""Which program the command ``netlab`` starts: another package installs one of that name, too.

PyPI's networklab (the tool netlab of netsim-tools) and this package both have a command ``netlab``.
In one environment the package that is installed last overwrites the other's command, and removing
either deletes it. ``netlab-lab`` is a second name of this program that nothing else has.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import NamedTuple

OURS = "netlab.cli"
"""What the start scripts of this package import."""
OTHERS = {"netsim": "networklab (netsim-tools)"}
"""Modules that start scripts of other packages import, and the package."""

LARGEST = 1 << 16
"""Octets of a start script that are read."""


class Command(NamedTuple):
    """The command ``netlab`` that a shell would start."""

    path: str | None
    owner: str
    """In words; empty if it starts this very installation."""

    @property
    def is_ours(self) -> bool:
        """Whether it starts the program that is running now."""
        return self.path is not None and not self.owner

    def __str__(self) -> str:
        if self.path is None:
            return f"`netlab` is not in PATH; this one is in {Path(sys.executable).parent}"
        if not self.owner:
            return f"`netlab` in PATH is this one: {self.path}"
        return f"`netlab` in PATH belongs to {self.owner}: {self.path}; this one is `netlab-lab`"


def first_in_path() -> Command:
    """The first ``netlab`` in PATH, and whose it is."""
    path = shutil.which("netlab")
    return Command(path, _owner(path) if path else "")


def _owner(path: str) -> str:
    try:
        with Path(path).open("rb") as stream:
            text = stream.read(LARGEST).decode("utf-8", "replace")
    except OSError as error:
        return f"no one we can name ({error.strerror})"
    here = f"{Path(sys.executable).parent}/"
    if here in text and not any(module in text for module in OTHERS):
        return ""
    if OURS in text:
        return "another installation of netlab-lab"
    return next((owner for module, owner in OTHERS.items() if module in text), "another program")
