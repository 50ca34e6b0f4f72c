"""Labs side by side, builders in each other's way, and builders that are interrupted."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from netlab.errors import LabError
from netlab.lab import build, enter, record, remove, rootless

from .conftest import traces
from .plans import star

pytestmark = [
    pytest.mark.kernel,
    pytest.mark.skipif(rootless.is_needed(), reason="each builder would need its own keeper"),
]

ROOT = Path(__file__).parents[2]

BUILDER = """
import sys
from netlab.errors import LabError
from netlab.lab import build as apply
from tests.lab.plans import star
a_plan = star(sys.argv[1], 3)
print("begin", flush=True)
sys.stdin.readline()
try:
    claim = apply.claim(a_plan, listed=False)
    apply.build(a_plan, claim, lambda done, total: print(done, flush=True))
except LabError as error:
    print(error.diagnostics[0].code)
except KeyboardInterrupt:
    print("interrupted")
else:
    print("built")
"""


def builder(name: str) -> subprocess.Popen[str]:
    child = subprocess.Popen(
        [sys.executable, "-c", BUILDER, name],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout
    assert child.stdout.readline() == "begin\n"
    return child


@pytest.mark.usefixtures("state")
def test_eight_labs_of_one_plan_live_side_by_side() -> None:
    claims = [build.claim(star(f"side{i}", 2), listed=False, library=True) for i in range(8)]
    for claim in claims:
        build.build(star(claim.lab.name, 2), claim)
    pings = [
        enter.spawn(claim.lab, "h0", ["ping", "-c1", "-W2", "10.0.1.2"], stdout=-3)
        for claim in claims
    ]
    assert [ping.wait(10) for ping in pings] == [0] * 8
    for claim in claims:
        remove.remove(claim)


@pytest.mark.usefixtures("state")
def test_two_builders_of_one_name_give_one_lab_and_one_clear_error() -> None:
    children = [builder("race"), builder("race")]
    for child in children:
        assert child.stdin
        child.stdin.write("go\n")
        child.stdin.flush()
    ends = sorted(child.communicate(timeout=20)[0].split()[-1] for child in children)
    assert ends == ["E401", "built"]
    assert record.find("race").ready


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 0), (signal.SIGTERM, -signal.SIGTERM)]
)
def test_a_signal_takes_everything_back(state: str, number: signal.Signals, code: int) -> None:
    """SIGINT ends in KeyboardInterrupt, SIGTERM ends the process: as always, but afterwards."""
    child = builder("signalled")
    assert child.stdin
    assert child.stdout
    child.stdin.write("go\n")
    child.stdin.flush()
    assert child.stdout.readline()  # the first visit has been made
    child.send_signal(number)
    output, _ = child.communicate(timeout=20)
    if "built" not in output:  # it may have been faster than the signal
        assert child.returncode == code
        assert traces(state) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_in_the_middle_is_answered_after_the_undoing(
    state: str, number: signal.Signals
) -> None:
    seen: list[list[str]] = []
    before = signal.signal(number, lambda *_: seen.append(traces(state)))
    try:
        a_plan = star("middle", 3)

        def interrupt(done: int, _: int) -> None:
            if done == 3:
                os.kill(os.getpid(), number)

        with pytest.raises(LabError, match=f"{number.name} arrived"):
            build.build(a_plan, build.claim(a_plan, listed=False), interrupt)
    finally:
        signal.signal(number, before)
    assert seen == [[]]


@pytest.mark.usefixtures("state")
def test_a_library_lab_belongs_to_its_process() -> None:
    a_plan = star("owned", 1)
    claim = build.claim(a_plan, listed=False, library=True)
    build.build(a_plan, claim)
    with pytest.raises(LabError, match="lab owned belongs to process"):
        remove.down("owned")
    assert remove.gc() == []
    claim.close()  # as the end of the process would
    assert [left.why for left in remove.gc(dry_run=True)] == [
        f"process {os.getpid()}, to which it belonged, has ended"
    ]
    assert [left.kind for left in remove.gc()] == ["lab"]
