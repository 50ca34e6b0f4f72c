"""Programs that nobody here wrote: an ICE library, a browser, a relay."""

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import netlab
from netlab.scenario.meet.played import Played
from tests.programs import needs

pytestmark = pytest.mark.kernel

EXAMPLES = Path(__file__).parents[3] / "docs" / "examples" / "meet"
ICE = [sys.executable, str(EXAMPLES / "ice_peer.py"), "{name}", "{stun}", "{exchange}"]
APART = {"home-router:symmetric", "symmetric:symmetric"}


needs_aioice = pytest.mark.skipif(
    importlib.util.find_spec("aioice") is None and not os.environ.get("CI"),
    reason="needs aioice: pip install -e '.[dev]'",
)


@needs_aioice
def test_ice_meets_through_a_strict_nat(tmp_path):
    [played] = netlab.meet(ICE, ICE, pairs="home-router", fates=tmp_path).played
    assert (played.met, played.how) == (True, "reflexive"), played.telling.programs
    assert played.telling.programs["anna"]["output"] == "hello from b\n"


@needs_aioice
@needs("turnserver")
def test_ice_is_relayed_where_nothing_else_is_left(tmp_path):
    command = [*ICE, "{user}:{password}"]
    [played] = netlab.meet(command, command, turn=True, pairs="symmetric", fates=tmp_path).played
    assert (played.met, played.how) == (True, "relayed"), played.telling.programs
    kept = json.loads((tmp_path / "symmetric~symmetric.json").read_text())
    assert Played.from_json(kept) == played


@pytest.mark.soak
@pytest.mark.timeout(600)
@needs_aioice
def test_ice_has_the_classic_result(tmp_path):
    table = netlab.meet(ICE, ICE, pairs="classic", limit=40, fates=tmp_path)
    assert {f"{p.a}:{p.b}" for p in table.played if not p.met} == APART, list(table.reasons())


@pytest.mark.soak
@pytest.mark.network
@pytest.mark.timeout(900)
@pytest.mark.skipif(shutil.which("go") is None, reason="needs a Go compiler")
def test_pion_has_the_classic_result(tmp_path):
    program = str(tmp_path / "pion")
    build = ["go", "build", "-o", program, "."]
    made = subprocess.run(
        build, cwd=EXAMPLES / "pion", capture_output=True, text=True, check=False, timeout=600
    )
    if made.returncode and "dial tcp" in made.stderr:
        pytest.skip(f"no module proxy answers: {made.stderr[-200:]}")
    assert made.returncode == 0, made.stderr
    command = [program, "{name}", "{stun}", "{exchange}"]
    table = netlab.meet(command, command, pairs="classic", limit=40, fates=tmp_path / "fates")
    assert {f"{p.a}:{p.b}" for p in table.played if not p.met} == APART, list(table.reasons())


def browsers(pairs, tmp_path, *more, **options):
    command = ["sh", str(EXAMPLES / "browser.sh"), "{name}", "{stun}", "{server}", "{tmp}", *more]
    server = [sys.executable, str(EXAMPLES / "signalling.py"), "8080"]
    return netlab.meet(
        command, command, rendezvous=server, until="output:met: hello", pairs=pairs,
        limit=40, fates=tmp_path, **options,
    )  # fmt: skip


@pytest.mark.soak
@pytest.mark.timeout(600)
@needs("chromium", "turnserver")
def test_two_browsers_meet_as_the_classic_result_has_it(tmp_path):
    table = browsers(
        "full-cone,restricted-cone:symmetric,home-router,home-router:symmetric", tmp_path
    )
    assert {f"{p.a}:{p.b}" for p in table.played if not p.met} == {"home-router:symmetric"}
    assert {p.how for p in table.played if p.met} == {"reflexive"}
    relayed = browsers("symmetric", tmp_path, "{user}", "{password}", turn=True)
    assert [(p.met, p.how) for p in relayed.played] == [(True, "relayed")]


@needs_aioice
def test_the_page_s_pytest_example_passes(tmp_path, monkeypatch):
    text = (EXAMPLES.parents[1] / "meet.md").read_text()
    [example] = [b for b in re.findall(r"```python\n(.*?)```", text, re.DOTALL) if "meet(" in b]
    monkeypatch.chdir(EXAMPLES)
    scope: dict[str, Any] = {}
    exec(compile(example, "meet.md", "exec"), scope)
    scope["test_hole_punching_works_where_it_can"](tmp_path)
