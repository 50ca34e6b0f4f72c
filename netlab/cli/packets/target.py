"""Which lab is meant, which of its nodes, and where a pcapng of it goes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from netlab.errors import Diagnostic, InputError, LabError
from netlab.lab import lab as labs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from netlab.lab.lab import Lab, LabNode
    from netlab.plan.operations import Plan
    from netlab.trace.stream import Settled
    from netlab.trace.watch import Watch


def sender(words: str) -> tuple[Lab, LabNode]:
    """The lab and the node of ``[LAB/]NODE``, as `netlab exec` reads it."""
    from netlab.lab import record

    running = list(record.labs())
    is_lab = "/" not in words and any(lab.name == words for lab in running)
    if is_lab and not (len(running) == 1 and words in running[0].record.nodes):
        nodes = record.find(words).record.nodes
        hint = f"a node of it is written {words}/{nodes[0]}"
        raise InputError(Diagnostic("E512", f"{words} is a lab; a node is wanted", hint=hint))
    found, node = labs.find_node(words)
    lab = labs.Lab.attach(found.name)
    return lab, lab[node]


def known_as(plan: Plan, node: str, name: str) -> Iterator[str]:
    """The addresses that ``name`` has in ``node``, by its own /etc/hosts, in that order."""
    from netlab.plan.operations import WriteFile

    for file in plan.operations:
        if isinstance(file, WriteFile) and (file.node, file.path) == (node, "/etc/hosts"):
            for line in file.content.splitlines():
                address, *names = line.partition("#")[0].split() or [""]
                if name in names:
                    yield address


def write(path: str, watch: Watch) -> None:
    """One pcapng of all that was seen, with the fates as comments."""
    from netlab.diagram.pcapng import blocks

    try:
        with Path(path).open("wb") as stream:
            stream.writelines(blocks(watch.evidence, watch.traces))
    except OSError as error:
        raise unwritable(path, error) from None


class CaptureFile:
    """A pcapng that is written while packets come, and whole whenever the process ends."""

    def __init__(self, path: str) -> None:
        from netlab.diagram.pcapng import Writer

        self._path = path
        self._writer = Writer()
        self.frames = self.packets = 0
        try:
            self._stream = Path(path).open("wb", buffering=0)  # noqa: SIM115
        except OSError as error:
            raise unwritable(path, error) from None
        self._write(self._writer.begins())

    def write(self, settled: Settled) -> None:
        """The frames that left the window, with what became of their packets."""
        from netlab.diagram.pcapng import comment

        self.packets += len(settled.traces)
        blocks = [
            self._writer.packet(frame, comment(one, hop) if one else "")
            for frame, one, hop in settled.frames
        ]
        self.frames += len(blocks)
        self._write(b"".join(blocks))

    def _write(self, octets: bytes) -> None:
        left = memoryview(octets)
        try:
            while left:
                left = left[self._stream.write(left) :]
        except OSError as error:
            self._stream.close()
            raise unwritable(self._path, error) from None

    def close(self) -> None:
        """No more is written."""
        self._stream.close()


def unwritable(path: str, error: OSError) -> LabError:
    """A file that cannot be written."""
    return LabError(Diagnostic("E511", f"cannot write {path}: {error.strerror}"))
