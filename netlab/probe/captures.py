"""Who saw a probe die: the trace of the rules, and the kernel's own drop reasons."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from netlab.capture.evidence import NodeInfo
from netlab.capture.session import Observation
from netlab.hdp import sweep

if TYPE_CHECKING:
    from collections.abc import Iterator

    from netlab.capture.evidence import Evidence, RuleVerdict
    from netlab.io.hdp.sweep import RunInNetns, Task


class Capture:
    """Filled when the block of ``watching`` ends."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._evidence: Evidence | None = None

    def hear(self, evidence: Evidence) -> None:
        """Take what was observed."""
        self._evidence = evidence

    def drops(self) -> tuple[sweep.Drop, ...]:
        """Every probe that a rule or the kernel was seen to drop."""
        if self._evidence is None:
            return ()
        return (*self._by_rule(self._evidence), *self._by_kernel(self._evidence))

    def _by_rule(self, evidence: Evidence) -> Iterator[sweep.Drop]:
        # Only the first message of each run through a chain shows the packet.
        probes: dict[tuple[str, int], sweep.Probe] = {}
        for step in evidence.verdicts:
            packet = (step.node, step.trace_id)
            if step.headers and (probe := sweep.glimpse(step.headers, self._task.run)):
                probes[packet] = probe
            if step.verdict == "drop" and packet in probes:
                yield sweep.Drop(probes[packet], step.node, _label(step))

    def _by_kernel(self, evidence: Evidence) -> Iterator[sweep.Drop]:
        for drop in evidence.drops:
            if probe := sweep.glimpse(drop.data, self._task.run):
                yield sweep.Drop(probe, drop.node, reason=drop.reason)


def _label(step: RuleVerdict) -> str:
    if step.kind == "policy":
        return f"policy of {step.chain}"
    return f"rule {step.comment or step.rule}"


@contextlib.contextmanager
def watching(task: Task, inside: RunInNetns) -> Iterator[Capture]:
    """Watch the nodes of ``task`` while the block lasts.

    Where the machine or the user allows one of the two witnesses only, the other goes without.
    """
    witness = Capture(task)
    places = {node: NodeInfo("", ()) for node in task.watched}
    observation = Observation(places, inside, ("nft", "drops"))
    with observation:
        yield witness
    witness.hear(observation.evidence)
