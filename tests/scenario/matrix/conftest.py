import pytest

from netlab.scenario import bundled
from netlab.scenario.matrix.cells import cells
from netlab.scenario.read import read


@pytest.fixture(scope="session")
def scenario():
    return read(bundled.find("matrix"))


@pytest.fixture(scope="session")
def every_cell(scenario):
    return list(cells(scenario.steps[0].action, scenario.file, scenario.topology))


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
