"""What this process has on the machine right now, to compare before and after.

A test that leaves a namespace, link, process, mount, nft table or file descriptor behind is found
by the difference of two footprints. Labs and their processes are those of the state directory
that is in force, so what other users and test workers do is not counted.
"""

from __future__ import annotations

import os
from typing import NamedTuple

from netlab.lab import netns_names, processes, record

_ONE_OF = ("lab", "link", "process", "mount", "table", "file descriptor")
"""What one thing of each field of ``Footprint`` is called."""


class Footprint(NamedTuple):
    """Names of things, each a sentence's worth; equal footprints mean nothing was left."""

    labs: frozenset[str]
    links: frozenset[str]
    processes: frozenset[str]
    mounts: frozenset[str]
    tables: frozenset[str]
    descriptors: frozenset[str]

    def left_since(self, before: Footprint) -> list[str]:
        """What is there now and was not before."""
        return [
            f"{kind}: {what}"
            for kind, now, then in zip(_ONE_OF, self, before, strict=True)
            for what in sorted(now - then)
        ]


def take() -> Footprint:
    """The footprint of now."""
    state = record.state_directory()
    return Footprint(
        labs=frozenset(record.directories(state)) | _names(state),
        links=_links(),
        processes=_processes(state),
        mounts=_mounts(state),
        tables=_tables(),
        descriptors=_descriptors(),
    )


def _names(state: str) -> frozenset[str]:
    try:
        names = os.listdir(netns_names.DIRECTORY)
    except OSError:
        return frozenset()
    paths = (f"{netns_names.DIRECTORY}/{name}" for name in names)
    return frozenset(path for path in paths if netns_names.is_ours(path, state))


def _links() -> frozenset[str]:
    import socket

    return frozenset(name for _, name in socket.if_nameindex())


def _processes(state: str) -> frozenset[str]:
    return frozenset(f"{p.pid} {p.command} in {p.node}" for p, _ in processes.belonging(state))


def _mounts(state: str) -> frozenset[str]:
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as stream:
        points = (line.split(" ", 5)[4] for line in stream)
        return frozenset(point for point in points if point.startswith(f"{state}/"))


def _tables() -> frozenset[str]:
    from netlab.lab import rootless
    from netlab.linux import libnftables

    if rootless.is_inside():
        return frozenset()  # the machine's tables are out of our reach, to see and to make
    return frozenset(libnftables.tables())


def _descriptors() -> frozenset[str]:
    found = set()
    for fd in os.listdir("/proc/self/fd"):
        try:
            found.add(f"{fd} -> {os.readlink(f'/proc/self/fd/{fd}')}")
        except OSError:
            continue  # the one that listed the directory
    return frozenset(found)
