from multiprocessing import resource_tracker

import pytest


@pytest.fixture(scope="session", autouse=True)
def _resource_tracker():
    """Processes that are spawned share one, with a pipe, for as long as this process lives."""
    resource_tracker.ensure_running()
