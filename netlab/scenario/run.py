"""From a scenario to its outcome: a lab of its own for each run, and nothing left of it."""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import random
import secrets
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

from netlab import __version__
from netlab.errors import Diagnostic, Unavailable
from netlab.lab import rootless
from netlab.lab.enter import PACKAGES, with_system_tools
from netlab.lab.lab import Lab
from netlab.lab.plan_cache import plan_of
from netlab.lab.reaper import Undertaker
from netlab.plan.operations import CreateTun
from netlab.scenario.judge import judge
from netlab.scenario.matrix.options import MatrixOptions
from netlab.scenario.model import Call, Matrix, Meet
from netlab.scenario.outcome import Done, Outcome, Run
from netlab.scenario.perform import Performer, commands

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from netlab.scenario.model import Scenario, Step

BPF = "bpf"
"""Among a scenario's needs: the kernel's own reasons for drops."""


def play(
    scenario: Scenario,
    *,
    seed: int = 0,
    keep: bool = False,
    inside: Lab | None = None,
    to_the_end: bool = False,
    how: MatrixOptions | None = None,
    before: Callable[[Step], None] = lambda _: None,
    after: Callable[[Done], None] = lambda _: None,
) -> Run:
    """One run. A step that cannot be carried out is the last one, unless ``to_the_end``.

    It has a lab of its own, or takes place in the running lab ``inside``, which stays.
    ``before`` and ``after`` are called around each step. With ``keep`` the lab stays up, named
    after the scenario; otherwise it gets a unique name, so that runs do not clash. ``how`` is
    about the scenario's matrix.
    """
    check_needs(scenario)
    scenario = _part(scenario, how or MatrixOptions())
    name = scenario.name if keep else f"{scenario.name[:32]}-{secrets.token_hex(4)}"
    lab = inside or Lab(scenario.topology, name=name)
    rng = random.Random(seed)  # noqa: S311 - it is to be repeated, not to be secret
    done: list[Done] = []
    with contextlib.ExitStack() as stack:
        if inside is None:
            if not keep:
                stack.enter_context(Undertaker(name))
            if keep or _has_lab(scenario):
                lab.start(keep=keep)
            if not keep:
                stack.callback(lab.stop)
        performer = stack.enter_context(Performer(lab, scenario, seed, rng, how or MatrixOptions()))
        for step in scenario.steps:
            before(step)
            made = performer.perform(step)
            verdicts = tuple(judge(step, made.seen))
            named = inside.name if inside else scenario.name
            typed = tuple(commands(step, named, performer.directory))
            done.append(Done(step, made.seen, verdicts, typed, *made[1:]))
            after(done[-1])
            if made.seen.failure and not to_the_end:
                break
    return Run(tuple(done))


def repeat(
    scenario: Scenario,
    times: int,
    *,
    seed: int = 0,
    how: MatrixOptions | None = None,
    after: Callable[[Run], None] = lambda _: None,
) -> Outcome:
    """So many runs, each in a lab of its own."""
    runs = []
    for _ in range(times):
        runs.append(play(scenario, seed=seed, how=how))
        after(runs[-1])
    return Outcome(scenario, tuple(runs), seed, environment(scenario, how))


def _part(scenario: Scenario, how: MatrixOptions) -> Scenario:
    """The scenario with the selected part of its matrix that can run here."""
    from netlab.scenario.matrix.run import part
    from netlab.scenario.matrix.select import narrow

    return replace(
        scenario,
        steps=tuple(
            narrow(step, part(step.action, how)) if isinstance(step.action, Matrix) else step
            for step in scenario.steps
        ),
    )


def check_needs(scenario: Scenario) -> None:
    """Raise ``Unavailable`` if this machine lacks what the scenario needs, before anything is made.

    A need is a program, or ``bpf``: the kernel's own reasons for drops. Whether a TUN device is
    needed the topology says.

    Raises:
        Unavailable: this machine lacks what the scenario needs.
    """
    from netlab.lab import doctor

    path = with_system_tools(os.environ.get("PATH", os.defpath))
    programs = [need for need in scenario.needs if need != BPF]
    missing = [program for program in programs if not shutil.which(program, path=path)]
    packages = sorted({PACKAGES[need] for need in missing if need in PACKAGES})
    hint = (
        f"apt install {' '.join(packages)}" if packages else "install it, or run another scenario"
    )
    if not missing and BPF in scenario.needs and (reason := doctor.why_no_bpf()):
        missing = [f"the kernel's reasons for drops (BPF: {reason})"]
        hint = "run it as root"
    if not missing and _has_lab(scenario) and _has_tun(scenario.topology):
        try:
            os.close(os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC))
        except OSError as error:
            missing = [f"a TUN device (/dev/net/tun: {error.strerror})"]
            hint = "run it as root, or chmod 666 /dev/net/tun"
    if missing:
        message = f"{scenario.name} needs {', '.join(missing)}"
        raise Unavailable(Diagnostic("E911", message, hint=hint))


def _has_lab(scenario: Scenario) -> bool:
    """Whether a step takes place in a lab of the scenario's: a matrix's cells have their own."""
    return not all(isinstance(step.action, Matrix | Meet) for step in scenario.steps)


def _has_tun(topology: Path) -> bool:
    return any(isinstance(made, CreateTun) for made in plan_of(os.fspath(topology)).operations)


def environment(scenario: Scenario, how: MatrixOptions | None = None) -> dict[str, str]:
    """What a run can be replayed from, and where it was made."""
    called = {step.action.file for step in scenario.steps if isinstance(step.action, Call)}
    return {
        "netlab": __version__,
        "kernel": platform.release(),
        "python": platform.python_version(),
        "machine": platform.machine(),
        "user": "ordinary" if rootless.is_needed() else "root",
        "scenario_sha256": _hash(scenario.file, *sorted(called)),
        "topology_sha256": _hash(scenario.topology),
        **({"only": how.only} if how and how.only else {}),
    }


def _hash(*files: Path) -> str:
    """SHA-256 of the files one after the other: of a single one what ``sha256sum`` prints."""
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()
