from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from netlab.cli import main
from netlab.errors import LabError
from netlab.io.hdp import latency
from netlab.linux import namespaces
from netlab.probe.latency import measure

if TYPE_CHECKING:
    from pathlib import Path

    from netlab.lab.lab import Lab

pytestmark = [pytest.mark.kernel, pytest.mark.netlab(topology="topologies/hdp/site.yaml")]


def test_each_kind_is_measured_in_each_round(netlab: Lab) -> None:
    found = measure(netlab, "client", "server", 20)
    assert list(found) == [kind.name for kind in latency.KINDS]
    for values in found.values():
        assert len(values) == 20
        assert all(0 < value < 5e9 for value in values)


def test_the_command_prints_and_draws(
    netlab: Lab, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picture = tmp_path / "latency.svg"
    arguments = ["--lab", netlab.name, "--from", "client", "--to", "server", "--rounds", "5"]
    assert main(["hdp", "latency", *arguments, "--svg", str(picture)]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert len(printed) == 1 + len(latency.KINDS)
    assert picture.read_text().startswith("<svg")


def test_a_listener_that_hears_nothing_is_told(
    netlab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(latency, "_WAIT", 0.05)
    told, teller = os.pipe()
    os.write(teller, bytes(8))  # it says that it listens, and nothing more
    try:
        with pytest.raises(LabError, match="E615"):
            namespaces.inside(
                netlab["client"].namespace,
                lambda: latency.measure(4, netlab["server"].address, told, 1),
            )
    finally:
        os.close(told)
        os.close(teller)
