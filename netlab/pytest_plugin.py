"""Labs in tests: the ``netlab`` fixture and its marker.

    @pytest.mark.netlab(topology="topologies/nat.yaml")
    def test_a_ping_passes(netlab):
        netlab["client"].run(["ping", "-c1", "server"], check=True)

The topology is a file beside the test or in the root of the project, or a ``Topology`` that a
program made (``netlab.topology.loads``), which is how one test meets forty labs.

Each test gets a lab of its own under a name of its own, so tests may run side by side
(pytest-xdist). A test is skipped, with the reason, where the machine does not allow labs; with
``--netlab-require``, or ``netlab_require = true`` in the configuration, it fails. When it
fails, what the lab's programs printed is shown, and of each ``with netlab.observe()`` the fate of
every packet, with a pcapng file. A test that leaves something behind fails.

Ordinary users: labs then live in a user namespace, which a process can only enter before it has
threads. With ``netlab_rootless = true`` in the pytest configuration that happens at the start, and
pytest-xdist works too; without it the first lab does it, and xdist's workers cannot.
"""

from __future__ import annotations

import gc
import os
from typing import TYPE_CHECKING, NoReturn

import pytest

from netlab.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from pathlib import Path

    from netlab.lab.lab import Lab
    from netlab.scenario.outcome import Outcome
    from netlab.topology.model import Topology

_MARKER = "netlab(topology, name=None): the lab that the netlab fixture builds"
_SCENARIO = (
    "netlab_scenario(name, repeat=1, seed=0): the scenario that the netlab_scenario fixture plays"
)
_PROPERTY = "netlab_lab"
"""Of a test's report: whether its lab was built."""
_LAB = pytest.StashKey["Lab"]()
_OUTCOME = pytest.StashKey["Outcome"]()
_KEPT = pytest.StashKey[pytest.TempPathFactory]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the plugin's settings."""
    parser.getgroup("netlab").addoption(
        "--netlab-report", metavar="DIR", help="write a page for each scenario that is played"
    )
    parser.getgroup("netlab").addoption(
        "--netlab-require",
        action="store_true",
        help="fail a test whose lab cannot be built here, instead of skipping it",
    )
    parser.addini(
        "netlab_require", "as --netlab-require, for every run", type="bool", default=False
    )
    parser.addini(
        "netlab_rootless",
        "enter a user namespace at the start if the user is not root (for pytest-xdist)",
        type="bool",
        default=False,
    )


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known; become rootless while there is only one thread."""
    config.addinivalue_line("markers", _MARKER)
    config.addinivalue_line("markers", _SCENARIO)
    from netlab.lab import rootless

    if config.getini("netlab_rootless") and rootless.is_needed():
        import getpass

        # pytest names its temporary directory for the user, who looks like root from here on.
        os.environ.setdefault("LOGNAME", getpass.getuser())
        try:
            rootless.enter()
        except Unavailable as error:
            config.issue_config_time_warning(pytest.PytestConfigWarning(str(error)), stacklevel=2)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write the index of the report: pytest-xdist's workers have written at the same time."""
    directory = session.config.getoption("--netlab-report")
    if directory and os.path.isdir(directory):  # noqa: PTH112 - no test may have written
        from netlab.scenario import pages

        pages.index(directory)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Count the labs that were built and those that could not be: a skip is not a pass."""
    # A test has a report for each of its phases, of which the last knows all.
    every = (r for each in terminalreporter.stats.values() for r in each)
    reports = [r for r in every if getattr(r, "when", "") == "teardown"]
    found = [dict(getattr(r, "user_properties", ())).get(_PROPERTY) for r in reports]
    if any(found):
        built, skipped = found.count("built"), found.count("unavailable")
        terminalreporter.write_line(f"netlab: {built} labs built, {skipped} not possible here")


def _unavailable(request: pytest.FixtureRequest, error: Unavailable) -> NoReturn:
    request.node.user_properties.append((_PROPERTY, "unavailable"))
    config = request.config
    if config.getoption("--netlab-require") or config.getini("netlab_require"):
        pytest.fail(f"{error}\n(--netlab-require)", pytrace=False)
    pytest.skip(str(error))


@pytest.fixture(scope="session")
def netlab_state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The directory of this worker's labs: no other labs are in it."""
    state = tmp_path_factory.mktemp("netlab")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NETLAB_STATE_DIR", str(state))
        yield state


@pytest.fixture
def netlab_leaves_no_trace(
    netlab_state: Path,  # noqa: ARG001 - what is left is looked for there
) -> Iterator[None]:
    """Fail the test if it leaves a lab, link, process, mount, table or descriptor behind."""
    from netlab.lab import leaks

    gc.collect()
    before = leaks.take()
    yield
    gc.collect()  # what a test dropped without closing is not what it left
    left = leaks.take().left_since(before)
    if left:
        pytest.fail("the test left behind:\n  " + "\n  ".join(left), pytrace=False)


@pytest.fixture
def netlab(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    netlab_leaves_no_trace: None,  # noqa: ARG001 - set up before the lab, so checked after it
) -> Iterator[Lab]:
    """The running lab that the test's ``netlab`` marker describes."""
    marker = request.node.get_closest_marker("netlab")
    if marker is None:
        pytest.fail("say which lab: @pytest.mark.netlab(topology='topologies/nat.yaml')")
    from netlab.lab.lab import Lab

    lab = Lab(_lab(request, *marker.args, **marker.kwargs), name=marker.kwargs.get("name"))
    try:
        lab.start()
    except Unavailable as error:
        _unavailable(request, error)
    request.node.user_properties.append((_PROPERTY, "built"))
    request.node.stash[_LAB] = lab
    request.node.stash[_KEPT] = tmp_path_factory
    try:
        yield lab
    finally:
        lab.stop()


@pytest.fixture
def netlab_scenario(
    request: pytest.FixtureRequest,
    netlab_leaves_no_trace: None,  # noqa: ARG001 - set up before the labs, so checked after them
) -> Outcome:
    """The outcome of the scenario that the test's ``netlab_scenario`` marker names."""
    marker = request.node.get_closest_marker("netlab_scenario")
    if marker is None:
        pytest.fail("say which scenario: @pytest.mark.netlab_scenario('one-packet-offload')")
    return _play(request, *marker.args, **marker.kwargs)


def _play(request: pytest.FixtureRequest, name: str, *, repeat: int = 1, seed: int = 0) -> Outcome:
    from netlab.scenario import bundled, read, run

    path = bundled.find(name) if name in bundled.names() else _find(request, name)
    try:
        outcome = run.repeat(read.read(path), repeat, seed=seed)
    except Unavailable as error:
        _unavailable(request, error)
    directory = request.config.getoption("--netlab-report")
    if directory:
        from netlab.scenario import pages

        pages.write(outcome, directory)
    request.node.stash[_OUTCOME] = outcome
    request.node.user_properties.append((_PROPERTY, "built"))
    request.node.user_properties.append(("netlab_digest", outcome.telling.digest))
    return outcome


def _lab(request: pytest.FixtureRequest, topology: str | Topology, **_: object) -> Path | Topology:
    return _find(request, topology) if isinstance(topology, str) else topology


def _find(request: pytest.FixtureRequest, topology: str) -> Path:
    """The file beside the test's, or in the root of the project."""
    beside = request.path.parent / topology
    return beside if beside.exists() else request.config.rootpath / topology


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show what the programs printed, what was observed, what a scenario missed on failure."""
    report = yield
    lab = item.stash.get(_LAB, None)
    if lab and report.failed and call.when == "call":
        report.sections += [(f"netlab log of {who}", text) for who, text in lab.logs() if text]
        report.sections += list(_packets(lab, item.stash[_KEPT]))
    outcome = item.stash.get(_OUTCOME, None)
    if outcome and report.failed and call.when == "call":
        from netlab.scenario import pages

        missed = [
            f"{v.text}\n  seen: {v.observed}" for v in outcome.telling.verdicts if not v.passed
        ]
        missed += filter(None, map(pages.journeys, outcome.telling.done))
        if not outcome.digests_equal:
            missed.append("its runs differ")
        section = f"netlab scenario {outcome.scenario.name}", "\n".join(missed)
        # JUnit XML has what belongs to the failure itself, and no other sections.
        add = getattr(report.longrepr, "addsection", None)
        if add:
            add(*section)
        else:
            report.sections.append(section)
    return report


def _packets(lab: Lab, factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """The fates of each observation, as text and as a pcapng file among pytest's own."""
    for number, watch in enumerate(lab.watches, 1):
        if not watch.is_over:
            continue
        from netlab.diagram import pcapng, trace_text

        file = factory.mktemp("packets") / f"{lab.name}.{number}.pcapng"
        with file.open("wb") as stream:
            stream.writelines(pcapng.blocks(watch.evidence, watch.traces))
        yield f"netlab packets, {file}", trace_text.text(watch.traces)
