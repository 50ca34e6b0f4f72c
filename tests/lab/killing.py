"""Kill builders and removers at a hundred moments; after gc nothing may be left.

Run as a program by test_kill.py, so that it may fork without threads about:
``python -m tests.lab.killing STATE_DIRECTORY``. It prints one JSON object.
"""

import json
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path

from netlab.lab import build as apply
from netlab.lab import netns_names, processes, record, remove
from netlab.plan.operations import LoadRules, Plan, StartProgram, WriteFile

from .conftest import traces
from .plans import star

NAME = f"kill{os.getpid()}"
PATIENCE = 5.0
"""Seconds for a new process to become the program that it was made for."""
RULES = "table inet t {\n chain c {\n type filter hook input priority 0\n }\n}\n"


def the_plan() -> Plan:
    plan = star(NAME, 6)
    more = (
        WriteFile("h0", "/etc/hosts", "127.0.0.1 localhost\n"),
        LoadRules("hub", RULES),
        StartProgram("h1", "nap", ("sleep", "60"), ready=""),
        StartProgram("h2", "naps", ("sh", "-c", "sleep 60 & echo up; wait"), ready="log up"),
    )
    return plan._replace(operations=plan.operations + more)


def die_at(step: int, done: int, _: int) -> None:
    if done == step:
        os.kill(os.getpid(), signal.SIGKILL)


def build(progress: Callable[[int, int], None] | None = None) -> None:
    plan = the_plan()
    apply.build(plan, apply.claim(plan, listed=netns_names.is_possible()), progress)


def child(action: Callable[[], object], delay: float | None) -> None:
    """Run ``action`` in a child; kill it after ``delay`` seconds unless it kills itself."""
    pid = os.fork()
    if pid == 0:
        try:
            action()
        finally:
            os._exit(0)
    if delay is not None:
        time.sleep(delay)
        os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def stage(state: str) -> str:
    """How far the victim had come."""
    lab = record.read(f"{state}/{NAME}")
    if lab is None:
        return "aside" if any(Path(state).glob("[.]*.*.*")) else "nothing"
    if lab.ready:
        return "complete"
    made = len(processes.nodes_by_inode(lab))
    return "claimed" if not made else "wires" if made == len(lab.record.nodes) else "namespaces"


def clean(state: str) -> list[str]:
    """What is left after gc, or after the removal of a lab that was complete.

    A program that was being started when its builder died carries its mark only at the end of
    execve, which one gc can miss and a later one finds.
    """
    lab = record.read(f"{state}/{NAME}")
    inodes = processes.nodes_by_inode(lab) if lab else {}
    if lab and lab.ready:
        remove.down(NAME)
    deadline = time.monotonic() + PATIENCE
    while True:
        remove.gc()
        left = traces(state)
        left += [
            f"in a namespace: {p}"
            for p in processes.pids()
            if processes.namespace(p, "net") in inodes
        ]
        if not left or time.monotonic() > deadline:
            return left


def main(state: str) -> None:
    os.environ["NETLAB_STATE_DIR"] = state
    steps: list[int] = []
    began = time.monotonic()
    build(lambda done, _: steps.append(done))
    duration = time.monotonic() - began
    began = time.monotonic()
    remove.down(NAME)
    removal = time.monotonic() - began

    left: dict[str, list[str]] = {}
    stages: Counter[str] = Counter()

    def judge(moment: str) -> None:
        stages[stage(state)] += 1
        if not_gone := clean(state):
            left[moment] = not_gone

    # Between any two visits of the builder...
    for step in steps:
        child(partial(build, partial(die_at, step)), None)
        judge(f"after operation {step}")
    # ...and at any time within them,
    for i in range(60):
        delay = duration * i / 50
        child(build, delay)
        judge(f"{delay * 1000:.1f} ms after the start")
    # and while a complete lab is being removed.
    for i in range(30):
        build()
        delay = removal * i / 25
        child(lambda: remove.down(NAME), delay)
        judge(f"{delay * 1000:.1f} ms after the removal began")
    print(json.dumps({"kills": len(steps) + 90, "stages": stages, "left": left}))


if __name__ == "__main__":
    main(sys.argv[1])
