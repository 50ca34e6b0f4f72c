"""What every test gets: kernel tests see only labs of their own and must leave nothing behind."""

from collections.abc import Generator

import pytest
from hypothesis import settings

from netlab.errors import Unavailable
from netlab.lab import rootless

# How long an example takes is a matter of the machine and its load, never of right or wrong.
settings.register_profile("netlab", deadline=None)
settings.load_profile("netlab")


@pytest.fixture(autouse=True)
def _no_trace(request: pytest.FixtureRequest) -> None:
    if request.node.get_closest_marker("kernel"):
        request.getfixturevalue("netlab_leaves_no_trace")


NEEDS_ROOT = {
    "tests/io/test_flood.py": "receives floods, with buffers beyond net.core.rmem_max",
    "tests/probe/test_tables.py": "reads nft's trace of a sweep, with buffers beyond rmem_max",
    "tests/scenario/test_run.py::test_what_ships_passes_and_comes_to_the_same_again": (
        "reads nft's trace of bursts, with buffers beyond rmem_max"
    ),
    "tests/cli/test_fate.py": "expects the kernel's own reasons, which BPF sees",
    "tests/trace/test_causes.py": "expects the kernel's own reasons, which BPF sees",
    "tests/trace/test_lab.py": "expects the kernel's own reasons, which BPF sees",
    "tests/predict/test_predict.py": "expects the kernel's own reasons, which BPF sees",
    "tests/trace/test_witness.py": "expects the kernel's own reasons, which BPF sees",
}
"""Kernel tests of whole files that a user namespace is not enough for, and why."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.nodeid.startswith(tuple(NEEDS_ROOT)) and item.get_closest_marker("kernel"):
            item.add_marker(pytest.mark.root)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, None, None]:
    """An ordinary user may lack /dev/net/tun and the like; root lacks nothing here."""
    try:
        return (yield)
    except Unavailable as error:
        if item.get_closest_marker("kernel") and rootless.is_inside():
            pytest.skip(str(error))
        raise


pytest_runtest_setup = pytest_runtest_call
