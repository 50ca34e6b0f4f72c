"""What every test gets: kernel tests see only labs of their own and must leave nothing behind."""

import pytest


@pytest.fixture(autouse=True)
def _no_trace(request: pytest.FixtureRequest) -> None:
    if request.node.get_closest_marker("kernel"):
        request.getfixturevalue("netlab_leaves_no_trace")
