"""Labs without root. Root runs these as `nobody`, on a copy that nobody can read."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.kernel

NOBODY = 65534
HERE = Path(__file__).parent

Command = Callable[..., Any]


def is_inside_a_user_namespace() -> bool:
    return Path("/proc/self/uid_map").read_text().split() != ["0", "0", "4294967295"]


def pythons() -> Iterator[str]:
    yield getattr(sys, "_base_executable", sys.executable)
    yield from filter(None, [shutil.which("python3", path="/usr/bin:/usr/local/bin")])


def privileges() -> dict[str, Any]:
    if os.geteuid() != 0:
        return {}
    return {"user": NOBODY, "group": NOBODY, "extra_groups": []}


def readable_python(options: dict[str, Any]) -> str:
    for python in pythons():
        question = [python, "-c", "import sys; sys.exit(sys.version_info < (3, 11))"]
        try:
            if subprocess.run(question, cwd="/", check=False, **options).returncode == 0:
                return python
        except PermissionError:
            continue
    pytest.skip("no Python that an ordinary user can run")


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    if os.geteuid() == 0 and is_inside_a_user_namespace():
        pytest.skip("already in a user namespace: there is no ordinary user to be")
    with tempfile.TemporaryDirectory(prefix="netlab-user-", dir="/tmp") as directory:
        copy = Path(directory)
        copy.chmod(0o755)
        shutil.copytree(HERE.parents[1] / "netlab", copy / "netlab")
        (copy / "tests" / HERE.name).mkdir(parents=True)
        for file in ("__init__.py", "plans.py", "ordinary_user.py"):
            shutil.copy(HERE / file, copy / "tests" / HERE.name)
        (copy / "run").mkdir(mode=0o700)
        if os.geteuid() == 0:
            os.chown(copy / "run", NOBODY, NOBODY)
        yield copy


@pytest.fixture
def user(place: Path) -> Iterator[Command]:
    options = privileges()
    python = readable_python(options)
    environment = {
        "PATH": os.environ["PATH"],
        "XDG_RUNTIME_DIR": str(place / "run"),
        "PYTHONPATH": str(place),
        "PYTHONDONTWRITEBYTECODE": "1",
    }

    def command(*argv: str, exit_code: int = 0) -> Any:
        ran = subprocess.run(
            [python, "-m", "tests.lab.ordinary_user", *argv],
            env=environment,
            cwd=place,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
            **options,
        )
        assert ran.returncode == exit_code, ran.stderr
        return ran.stdout if argv[0] == "run" or exit_code else json.loads(ran.stdout)

    if command("namespaces")[0] != "":
        pytest.skip("this machine gives ordinary users no namespaces")
    yield command
    command("gc")
    assert command("status") == {"alive": [], "processes": 0, "left": False}


def test_a_lab_outlives_its_builder_and_is_found_by_others(user: Command) -> None:
    assert user("up") == "up"
    assert user("status") == {"alive": [True], "processes": 2, "left": True}
    assert "1 received" in user("run", "h0", "ping", "-c1", "-W2", "10.0.1.2")
    assert user("run", "h0", "ls", "/sys/class/net").split() == ["eth0", "lo"]
    assert user("gc") == []
    assert user("down") == 1


def test_the_exit_code_is_the_commands_own(user: Command) -> None:
    user("up")
    user("run", "h0", "sh", "-c", "exit 7", exit_code=7)
    user("down")


def test_a_lab_of_one_process(user: Command) -> None:
    assert user("library") == 0


def test_a_lab_without_its_keeper_is_a_leftover(user: Command) -> None:
    user("up")
    user("kill_keeper")
    assert user("gc") == ["lab"]


def test_a_killed_builder_leaves_nothing_that_gc_does_not_find(user: Command) -> None:
    user("up_and_die", exit_code=-9)
    assert user("gc") == ["lab"]


@pytest.mark.skipif(os.access("/dev/net/tun", os.W_OK) and os.geteuid() != 0, reason="allowed")
def test_what_the_user_may_not_do_is_said(user: Command) -> None:
    if Path("/dev/net/tun").stat().st_mode & 0o006 == 0o006:
        pytest.skip("everybody may make TUN devices here")
    code, hint = user("tun")
    assert code == "E406"
    assert "chmod 666 /dev/net/tun" in hint
