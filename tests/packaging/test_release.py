"""The archives of a release: complete, valid, and enough without the repository."""

import json
import subprocess
import sys
import tarfile
import zipfile

import pytest

from netlab.cli import COMMANDS
from netlab.scenario import bundled
from netlab.topology import json_schema, shipped
from tests import programs
from tests.packaging.conftest import ROOT, run


def test_both_archives_pass_twine_check(release):
    run(sys.executable, "-m", "twine", "check", "--strict", *release)


def test_the_wheel_holds_what_ships_and_no_tests(release):
    with zipfile.ZipFile(release.wheel) as wheel:
        names = set(wheel.namelist())
    for name in bundled.names():
        assert f"netlab/shipped/scenarios/{name}.yaml" in names
    for name in shipped.names():
        assert f"netlab/shipped/topologies/{name}.yaml" in names
    assert [name for name in names if name.startswith(("tests/", "scripts/", "share/"))] == []


def share(release, name: str) -> str:
    """A file that the wheel installs below ``share``."""
    with zipfile.ZipFile(release.wheel) as wheel:
        [found] = [n for n in wheel.namelist() if n.endswith(f".data/data/share/{name}")]
        return wheel.read(found).decode()


def test_the_wheel_holds_the_schema(release):
    assert json.loads(share(release, "netlab-lab/netlab.schema.json")) == json_schema()


def test_the_wheel_holds_a_manual_page_for_each_command(release):
    overview = share(release, "man/man1/netlab.1")
    for name, command in COMMANDS.items():
        assert f"netlab\\-{name} (1)" in overview
        assert share(release, f"man/man1/netlab-{name}.1").count(".SH SYNOPSIS") == 1, command


@programs.needs("man")
def test_man_shows_the_pages_without_a_complaint(release, tmp_path):
    pages = tmp_path / "man1"
    pages.mkdir()
    with zipfile.ZipFile(release.wheel) as wheel:
        for name in wheel.namelist():
            if "/man/man1/" in name:
                (pages / name.rpartition("/")[2]).write_bytes(wheel.read(name))
    for page in sorted(pages.iterdir()):
        ran = subprocess.run(
            ["man", "-M", tmp_path, "--warnings", "-E", "UTF-8", "-P", "cat", "1", page.stem],
            env={"PATH": "/usr/bin:/bin", "MANWIDTH": "80", "LC_ALL": "C.UTF-8"},
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        assert ran.stderr == "", page.name
        assert "SYNOPSIS" in ran.stdout


@pytest.mark.parametrize(
    ("shell", "file"),
    [
        ("bash", "bash-completion/completions/netlab"),
        ("bash", "bash-completion/completions/netlab-lab"),
        ("zsh", "zsh/site-functions/_netlab"),
        ("fish", "fish/vendor_completions.d/netlab.fish"),
    ],
)
def test_the_completions_are_scripts_of_their_shells(release, shell, file, tmp_path):
    script = share(release, file)
    assert [name for name in COMMANDS if name not in script] == []
    programs.find(shell)
    (tmp_path / "script").write_text(script)
    run(shell, "-n", tmp_path / "script")


def test_bash_completes_commands_and_files(release, tmp_path):
    (tmp_path / "script").write_text(share(release, "bash-completion/completions/netlab"))
    (tmp_path / "office.netlab.yaml").write_text("")
    ask = """
        source ./script
        try() { COMP_WORDS=(netlab "$@"); COMP_CWORD=$#; _shtab_netlab; echo "${COMPREPLY[@]}"; }
        try expl; try up off
    """
    assert run("bash", "-c", ask, cwd=tmp_path).stdout == "explain\noffice.netlab.yaml\n"


def test_the_sdist_has_what_a_user_needs(release):
    with tarfile.open(release.sdist) as sdist:
        names = {name.partition("/")[2] for name in sdist.getnames()}
    assert {"pyproject.toml", "share/man/man1/netlab.1", "scenarios/two-clients.yaml"} <= names


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="not a git checkout")
@programs.needs("git")
def test_the_sdist_has_every_tracked_file(release):
    with tarfile.open(release.sdist) as sdist:
        names = {name.partition("/")[2] for name in sdist.getnames()}
    tracked = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    missing = {name for name in tracked.stdout.splitlines() if name not in names}
    assert {name for name in missing if not name.endswith(".gitignore")} == set()


@pytest.mark.network
@pytest.mark.kernel
def test_an_empty_environment_has_scenarios_and_topologies(release, environment, tmp_path):
    run(environment / "pip", "install", "-q", release.wheel)
    netlab = environment / "netlab"
    listed = run(netlab, "list", cwd=tmp_path).stdout
    assert [name for name in bundled.names() if name not in listed] == []
    assert "passed" in run(netlab, "run", "two-clients", cwd=tmp_path).stdout
    name = f"shipped-{tmp_path.name}"
    run(netlab, "up", "nat", "--name", name, cwd=tmp_path)
    try:
        run(environment / "netlab-lab", "exec", f"{name}/client", "--", "ping", "-c1", "server")
    finally:
        run(netlab, "down", name)
