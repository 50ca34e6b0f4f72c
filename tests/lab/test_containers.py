"""In containers labs work, or what is missing is named together with what gives it."""

import json
import os
from pathlib import Path

import pytest

from netlab.lab import permissions
from tests.lab.containers import (
    DOCKER,
    NET_ADMIN,
    NET_RAW,
    NO_MOUNTS,
    NO_NAMESPACES,
    NO_NETWORK_NAMESPACES,
    SYS_ADMIN,
    SYSLOG,
    run,
)

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "containers.md").read_text()
ADMINISTRATOR = DOCKER | {SYS_ADMIN, NET_ADMIN}
QUIET = dict.fromkeys(("KUBERNETES_SERVICE_HOST", "GITLAB_CI", "GITHUB_ACTIONS"), "")


@pytest.fixture
def lab(netlab_state):
    """A function that builds a lab in a container, asks it, removes it: what all of it printed."""

    def lab(**confinement):
        name = f"box-{os.getpid()}"
        script = f"""
            netlab up nat --name {name}
            netlab exec {name}/client -- ping -c1 -W5 server
            netlab down {name}
        """
        return run(script, environment=QUIET, **confinement)

    return lab


def facts(**confinement):
    ran = run("netlab doctor --json", environment=QUIET, **confinement)
    return ran.returncode, {fact["name"]: fact for fact in json.loads(ran.stdout)}


WORKS = {
    "SYS_ADMIN and NET_ADMIN, a read-only /proc/sys": {
        "keep": ADMINISTRATOR, "read_only": ["/proc/sys"],
    },
    "a read-only /run": {"keep": ADMINISTRATOR, "read_only": ["/run"]},
    "no capability, but user namespaces": {"keep": DOCKER},
}  # fmt: skip


@pytest.mark.kernel
@pytest.mark.root
@pytest.mark.parametrize("confinement", WORKS.values(), ids=WORKS)
def test_a_lab_works_in_it(lab, monkeypatch, confinement):
    if confinement.get("read_only") == ["/run"]:
        monkeypatch.delenv("NETLAB_STATE_DIR")  # the default is what is asked for
    ran = lab(**confinement)
    assert ran.returncode == 0, ran.stderr
    assert "1 received" in ran.stdout
    code, found = facts(**confinement)
    assert code == 0
    assert all(found[name]["ok"] for name in ("namespaces", "settings", "state", "veth"))


REFUSES = {
    "docker's defaults": (
        {"keep": DOCKER, "refuse": NO_NAMESPACES, "read_only": ["/proc/sys"]},
        "E413",
        "lacks the capabilities NET_ADMIN and SYS_ADMIN",
        "--cap-add SYS_ADMIN --cap-add NET_ADMIN --cap-add NET_RAW",
        "namespaces",
    ),
    "AppArmor's rule against mounting": (
        {"keep": ADMINISTRATOR, "refuse": NO_MOUNTS, "read_only": ["/proc/sys"]},
        "E413",
        "a security module (AppArmor, SELinux) refuses it",
        "--security-opt apparmor=unconfined",
        "namespaces",
    ),
    "a user namespace that is good for nothing": (
        {"keep": DOCKER, "refuse": NO_NETWORK_NAMESPACES},
        "E406",
        "cannot create the namespace",
        "--security-opt seccomp=unconfined",
        "namespaces",
    ),
    "user namespaces beside a read-only /proc/sys": (
        {"keep": DOCKER, "read_only": ["/proc/sys"]},
        "E406",
        "Read-only file system",
        "--security-opt systempaths=unconfined",
        "settings",
    ),
}


@pytest.mark.kernel
@pytest.mark.root
@pytest.mark.parametrize("case", REFUSES.values(), ids=REFUSES)
def test_what_it_lacks_is_named_with_its_flag(lab, case):
    confinement, code, why, flag, fact = case
    ran = lab(**confinement)
    assert ran.returncode == 1
    assert f"error[{code}]" in ran.stderr
    assert why in ran.stderr
    assert flag in ran.stderr
    assert "Traceback" not in ran.stderr
    status, found = facts(**confinement)
    assert status == 1
    assert not found[fact]["ok"]
    assert flag in found[fact]["remedy"]


@pytest.mark.kernel
@pytest.mark.root
def test_what_is_less_than_a_lab_is_named_too(netlab_state):
    _, found = facts(keep=ADMINISTRATOR - {NET_RAW})
    assert found["namespaces"]["ok"]
    assert not found["raw sockets"]["ok"]
    assert "--cap-add NET_RAW" in found["raw sockets"]["remedy"]
    assert not found["BPF"]["ok"]
    assert "--cap-add SYSLOG" in found["BPF"]["remedy"]
    _, found = facts(keep=ADMINISTRATOR | {SYSLOG})
    assert found["raw sockets"]["ok"]
    assert found["BPF"]["ok"]


SIGNS = {
    "Kubernetes": {"KUBERNETES_SERVICE_HOST": "10.0.0.1"},
    "GitLab": {"container": "docker", "GITLAB_CI": "true"},
    "GitHub Actions": {"container": "docker", "GITHUB_ACTIONS": "true"},
    "podman": {"container": "podman"},
}


@pytest.mark.parametrize("tool", SIGNS)
def test_a_tool_is_known_by_its_signs_and_spoken_to_in_its_words(tool, monkeypatch):
    for name in (*QUIET, "container"):
        monkeypatch.delenv(name, raising=False)
    for name, value in SIGNS[tool].items():
        monkeypatch.setenv(name, value)
    assert permissions.tool() == tool
    assert permissions.FLAGS[permissions.CAPABILITIES][tool] in permissions.remedy(
        permissions.CAPABILITIES
    )


def test_the_page_has_every_flag_of_every_tool():
    for piece, flags in permissions.FLAGS.items():
        assert flags.keys() == set(permissions.TOOLS)
        for tool, flag in flags.items():
            assert flag in PAGE, f"{piece}, {tool}: {flag}"


def test_the_development_container_asks_for_what_a_lab_needs():
    asked = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text())
    docker = permissions.FLAGS
    flags = [f"--cap-add {name}" for name in asked["capAdd"]]
    for piece in (permissions.CAPABILITIES, permissions.NAMES):
        assert docker[piece]["docker"] in " ".join(flags)
    options = [f"--security-opt {name}" for name in asked["securityOpt"]]
    assert docker[permissions.APPARMOR]["docker"] in options
    assert [flag.replace("=", " ") for flag in asked["runArgs"]] == [
        docker[permissions.TUN]["docker"]
    ]
