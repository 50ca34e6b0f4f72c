"""Programs that try to get out of a node with ``isolate: true``, and what they still can do."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from netlab.lab import rootless
from netlab.lab.lab import Lab
from netlab.linux import seccomp
from netlab.topology import loads

if TYPE_CHECKING:
    from collections.abc import Iterator

PYTHON = shutil.which("python3", path="/usr/bin:/bin") or ""
TOPOLOGY = """
nodes:
  cell:
    isolate: true
    files: {/etc/motd: "its own"}
    programs:
      web: {run: [busybox, httpd, -f, -p, "80", -h, /srv], ready: {port: 80}}
  other:
links: [[cell:eth0, other:eth0]]
"""

TRIES = r"""
import ctypes, errno, json, os, platform, socket, stat, sys
given = json.loads(sys.argv[1])
libc = ctypes.CDLL(None, use_errno=True)
seen = {}

def attempt(name, action):
    try:
        seen[name] = f"done: {action()!r}"
    except OSError as error:
        seen[name] = errno.errorcode.get(error.errno, str(error))

def call(number, *arguments):
    result = libc.syscall(ctypes.c_long(number), *map(ctypes.c_long, arguments))
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result

for name, number in given["calls"].items():
    attempt(f"call {name}", lambda: call(number, 0, 0, 0, 0, 0))
NEWUSER = 0x10000000
attempt("clone user namespace", lambda: call(given["clone"], NEWUSER | 17, 0, 0, 0, 0))
attempt("clone3", lambda: call(435, 0, 0))
for place in ("/etc/netlab-x", "/usr/netlab-x", "/var/lib/netlab-x", "/root/netlab-x",
              "/etc/hosts", "/dev/netlab-x", "/sys/netlab-x",
              "/proc/sys/kernel/core_pattern", "/proc/sysrq-trigger",
              "/sys/kernel/mm/transparent_hugepage/enabled"):
    attempt(f"write {place}", lambda: open(place, "a").write("x"))
for place in ("/etc/shadow", "/proc/kcore", "/dev/mem", "/dev/sda", "/dev/vda", "/dev/kmsg"):
    attempt(f"read {place}", lambda: open(place, "rb").read(1))
for place in given["hidden"]:
    attempt(f"see {place}", lambda: os.stat(place))
attempt("connect", lambda: socket.socket(socket.AF_UNIX).connect(given["socket"]))
attempt("connect abstract", lambda: socket.socket(socket.AF_UNIX).connect("\0" + given["abstract"]))
attempt("vsock", lambda: socket.socket(40, socket.SOCK_STREAM))
attempt("alg", lambda: socket.socket(38, socket.SOCK_SEQPACKET))
attempt("mknod", lambda: os.mknod("/tmp/disk", stat.S_IFBLK | 0o666, os.makedev(8, 0)))
attempt("kill", lambda: os.kill(given["pid"], 0))
attempt("renice", lambda: os.setpriority(os.PRIO_PROCESS, 0, -10))
if os.getuid():
    attempt("setuid", lambda: os.setuid(0))
    attempt("chown", lambda: (open("/tmp/mine", "w").close(), os.chown("/tmp/mine", 0, 0)))
facts = {
    "pids": sorted(int(p) for p in os.listdir("/proc") if p.isdigit()),
    "shared memory": open("/proc/sysvipc/shm").read().count("\n"),
    "uid": os.getuid(),
    "motd": open("/etc/motd").read(),
    "tmp": os.listdir("/tmp"),
    "network": os.readlink("/proc/self/ns/net"),
}

able = {}
with socket.socket() as listening:
    listening.bind(("", 81))
    able["port"] = listening.getsockname()[1]
socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 3).close()
socket.socket(socket.AF_INET, socket.SOCK_RAW, 255).close()
able["ping"] = os.system("ping -c1 -W2 other >/dev/null")
able["link"] = os.system("ip link add dummy9 type dummy || ip link add br9 type bridge")
able["sysctl"] = open("/proc/sys/net/ipv4/ip_default_ttl", "w").write("99")
able["files"] = [open(f"{d}/x", "w").write("x") for d in ("/tmp", "/var/tmp", "/run", "/dev/shm")]
able["null"] = os.system("echo x > /dev/null")
print(json.dumps({"seen": seen, "facts": facts, "able": able}))
"""

pytestmark = [pytest.mark.kernel, pytest.mark.usefixtures("netlab_state")]


@pytest.fixture
def lab() -> Iterator[Lab]:
    with Lab(loads(TOPOLOGY), name="cells") as running:
        yield running


@pytest.fixture
def tried(lab: Lab, tmp_path: Path) -> Iterator[dict[str, Any]]:
    """What a program found that tried everything."""
    machine = seccomp._MACHINES[os.uname().machine]
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(tmp_path / "docker.sock"))
    server.listen()
    abstract = socket.socket(socket.AF_UNIX)
    abstract.bind("\0netlab-outside")
    abstract.listen()
    with server, abstract:
        given = {
            "calls": {**machine.refused, **seccomp._SINCE_5_1},
            "clone": machine.clone,
            "hidden": [str(tmp_path), lab.running.directory],
            "socket": str(tmp_path / "docker.sock"),
            "abstract": "netlab-outside",
            "pid": os.getpid(),
        }
        ran = lab["cell"].run([PYTHON, "-c", TRIES, json.dumps(given)])
        assert ran.returncode == 0, ran.stderr
        yield json.loads(ran.stdout)


@pytest.mark.skipif(not PYTHON, reason="apt install python3")
def test_no_way_out(tried: dict[str, Any]) -> None:
    done = {name: how for name, how in tried["seen"].items() if how.startswith("done")}
    assert not done
    calls = {name: how for name, how in tried["seen"].items() if name.startswith("call ")}
    assert set(calls.values()) == {"EPERM"}
    assert len(calls) > 40
    assert tried["seen"]["clone user namespace"] == "EPERM"
    assert tried["seen"]["clone3"] == "ENOSYS"
    assert tried["seen"]["kill"] == "ESRCH"
    assert not Path("/etc/netlab-x").exists()


@pytest.mark.skipif(not PYTHON, reason="apt install python3")
def test_only_its_own_is_there(tried: dict[str, Any], lab: Lab) -> None:
    facts = tried["facts"]
    assert facts["pids"][0] == 1
    assert len(facts["pids"]) <= 3
    assert facts["shared memory"] == 1  # the heading
    assert facts["motd"] == "its own"
    assert "mine" in facts["tmp"] or facts["tmp"] == []
    assert facts["uid"] == (0 if rootless.is_inside() else 61_184)
    assert facts["network"] == lab["cell"].inside(
        lambda: str(Path("/proc/thread-self/ns/net").readlink())
    )


@pytest.mark.skipif(not PYTHON, reason="apt install python3")
def test_the_network_is_all_its(tried: dict[str, Any], lab: Lab) -> None:
    able = tried["able"]
    assert able == {
        "port": 81, "ping": 0, "link": 0, "sysctl": 2, "files": [1, 1, 1, 1], "null": 0,
    }  # fmt: skip
    names = lab["cell"].inside(lambda: {name for _, name in socket.if_nameindex()})
    assert names & {"dummy9", "br9"}


def test_exit_codes_signals_and_leftovers(lab: Lab) -> None:
    cell = lab["cell"]
    assert cell.run(["sh", "-c", "exit 7"]).returncode == 7
    assert cell.run(["sh", "-c", "kill -9 $$"]).returncode == 128 + signal.SIGKILL
    gone = cell.run(["/no/such/program"])
    assert (gone.returncode, gone.stderr) == (
        127, "cannot run /no/such/program: No such file or directory\n"
    )  # fmt: skip
    # What a command leaves behind ends with it: it is process 1's namespace.
    left = cell.run(["sh", "-c", "setsid sleep 93 & echo left"])
    assert left.stdout == "left\n"
    waits = cell.popen(["sh", "-c", "trap 'exit 5' TERM; echo on; sleep 92 & wait"], stdout=-1)
    assert waits.stdout
    assert waits.stdout.readline() == b"on\n"
    waits.terminate()
    assert waits.wait(20) == 5
    waits.stdout.close()


def test_other_nodes_are_as_ever(lab: Lab) -> None:
    assert lab["other"].run(["busybox", "wget", "-qO-", "http://cell/x"]).stderr.count("404") == 1
    assert lab["other"].run(["id", "-u"]).stdout == "0\n"


def test_the_filter_ends_every_program_of_another_architecture() -> None:
    """Its numbers would mean other calls."""
    for machine in seccomp._MACHINES.values():
        code = seccomp.program(machine)
        steps = [code[at : at + 8] for at in range(0, len(code), 8)]
        assert len(steps) * 8 == len(code)
        assert run(steps, machine.audit ^ 1, 0) == seccomp._KILL
        assert run(steps, machine.audit, 0x40000000 | 1) & 0xFFFF == 1
        assert run(steps, machine.audit, machine.clone, 0x01000000 | 17) == seccomp._ALLOW
        assert run(steps, machine.audit, machine.clone, 0x40000000) & 0xFFFF == 1
        assert run(steps, machine.audit, machine.socket, 2) == seccomp._ALLOW
        assert run(steps, machine.audit, machine.socket, 40) & 0xFFFF == 1
        assert run(steps, machine.audit, machine.socket, 38) & 0xFFFF == 1
        for number in machine.refused.values():
            assert run(steps, machine.audit, number) & 0xFFFF == 1
        assert run(steps, machine.audit, 0) == seccomp._ALLOW


def run(steps: list[bytes], audit: int, number: int, argument: int = 0) -> int:
    """What the filter says: the few instructions of classic BPF that it has."""
    data = {
        seccomp._NUMBER: number,
        seccomp._ARCHITECTURE: audit,
        seccomp._FIRST_ARGUMENT: argument,
    }
    at = value = 0
    while True:
        code = int.from_bytes(steps[at][:2], "little")
        if_true, if_false, constant = (
            steps[at][2],
            steps[at][3],
            int.from_bytes(steps[at][4:], "little"),
        )
        at += 1
        match code:
            case seccomp._LOAD:
                value = data[constant]
            case seccomp._AND:
                value &= constant
            case seccomp._EQUAL:
                at += if_true if value == constant else if_false
            case seccomp._AT_LEAST:
                at += if_true if value >= constant else if_false
            case seccomp._RETURN:
                return constant
