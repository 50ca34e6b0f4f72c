"""What every test gets: kernel tests see only labs of their own and must leave nothing behind."""

import pytest
from hypothesis import settings

# How long an example takes is a matter of the machine and its load, never of right or wrong.
settings.register_profile("netlab", deadline=None)
settings.load_profile("netlab")


@pytest.fixture(autouse=True)
def _no_trace(request: pytest.FixtureRequest) -> None:
    if request.node.get_closest_marker("kernel"):
        request.getfixturevalue("netlab_leaves_no_trace")
