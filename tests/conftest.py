"""What every test gets: kernel tests see only labs of their own and must leave nothing behind."""

from collections.abc import Generator

import pytest
from hypothesis import settings

from netlab.errors import Unavailable
from netlab.lab import rootless
from tests import programs

# How long an example takes is a matter of the machine and its load, never of right or wrong.
settings.register_profile("netlab", deadline=None)
settings.load_profile("netlab")


@pytest.fixture(autouse=True)
def _no_trace(request: pytest.FixtureRequest) -> None:
    if request.node.get_closest_marker("kernel"):
        request.getfixturevalue("netlab_leaves_no_trace")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, None, None]:
    """An ordinary user may lack /dev/net/tun and the like; root lacks nothing here."""
    try:
        return (yield)
    except Unavailable as error:
        if item.get_closest_marker("kernel") and rootless.is_inside():
            pytest.skip(str(error))
        raise


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, None, None]:
    """The same while fixtures are made; before that, the test's programs are looked for."""
    for mark in item.iter_markers("needs"):
        for program in mark.args:
            programs.find(program)
    return (yield from pytest_runtest_call(item))
