"""What this machine and this user allow, found out by doing it where it hurts nobody.

Each probe runs in a process of its own, in a new network namespace (for ordinary users inside a
new user namespace), which ends with it. ``probe`` returns data; ``netlab doctor`` prints it.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import platform
import struct
import sys
from typing import TYPE_CHECKING, NamedTuple

from netlab.errors import NetlabError
from netlab.lab import permissions, rootless
from netlab.lab.enter import PACKAGES, with_system_tools
from netlab.linux import confinement, libnftables, namespaces, rtnetlink, sysctl, tun

if TYPE_CHECKING:
    from collections.abc import Callable

TIMEOUT = 20.0
"""Seconds for all probes together; they take a few milliseconds."""

RTM_NEWQDISC = 36
TCA_KIND = 1
TCA_OPTIONS = 2
TC_H_ROOT = 0xFFFFFFFF

BPF_PROG_LOAD = 5
BPF_PROG_TYPE_RAW_TRACEPOINT = 17
_BPF_SYSCALL = {"x86_64": 321, "aarch64": 280, "riscv64": 280, "ppc64le": 361, "s390x": 351}

_RULES = """\
table inet probe {
\tchain post {
\t\ttype nat hook postrouting priority srcnat
\t\tct state new counter masquerade
\t}
}
"""


class Fact(NamedTuple):
    """One ability of this machine."""

    name: str
    ok: bool
    detail: str
    """How it was found to work, or the error."""
    lost: str
    """What cannot be done without it."""
    remedy: str
    """How to get it."""


class _Refused(Exception):
    """A probe's answer is no; ``remedy`` where it depends on what was found."""

    def __init__(self, why: str, remedy: str = "") -> None:
        super().__init__(why)
        self.remedy = remedy


def _ask(*requests: rtnetlink.Request) -> None:
    route = rtnetlink.open_route_socket()
    try:
        refusal = rtnetlink.talk(route, requests)
    finally:
        route.close()
    if refusal:
        words = f" ({refusal.text})" if refusal.text else ""
        raise _Refused(os.strerror(refusal.errno) + words)


def _namespace() -> str:
    """Do what a lab begins with: a tmpfs that is shared, and on it a namespace that is entered."""
    namespaces.unshare(namespaces.CLONE_NEWNS)
    namespaces.propagation("/", namespaces.MS_SLAVE | namespaces.MS_REC)
    place = "/tmp"  # noqa: S108 - seen by this process only, and not for long: Python may be in it
    namespaces.mount_netns_dir(place)
    try:
        os.close(namespaces.in_thread(lambda: namespaces.create_network(f"{place}/probe")))
        namespaces.inside(f"{place}/probe", int)
    finally:
        namespaces.detach(place)
    if not _Outside.needed_user_namespace:
        return "as root"
    lacking = "" if _Outside.user else ": this root lacks SYS_ADMIN or NET_ADMIN"
    return f"in a user namespace{lacking}"


class _Outside:
    """Who this process was before it entered a user namespace."""

    needed_user_namespace = False
    user = 0


def _settings() -> str:
    try:
        sysctl.write("net.ipv4.ip_forward", "1")
    except OSError as error:
        if error.errno != errno.EROFS:
            raise
        why = "/proc/sys is read-only, and a /proc of our own cannot be mounted"
        raise _Refused(why, permissions.remedy(permissions.PROC)) from None
    if os.statvfs("/proc/sys").f_flag & os.ST_RDONLY:
        return "/proc/sys is read-only; a /proc of our own is not"
    return ""


def _state() -> str:
    from netlab.lab import record

    state = record.state_directory()
    place = state if os.path.isdir(state) else os.path.dirname(state)
    if not os.access(place, os.W_OK):
        raise _Refused(f"{place} is not writable", permissions.remedy(permissions.WRITABLE))
    return state


def _ordinary_users() -> str:
    """Whether a user without any privilege may make namespaces; tried as that user."""
    pid = os.fork()
    if pid == 0:
        code = 0
        try:
            if os.geteuid() == 0:
                os.setgroups([])
                os.setresgid(65534, 65534, 65534)
                os.setresuid(65534, 65534, 65534)
            namespaces.unshare(namespaces.CLONE_NEWUSER | namespaces.CLONE_NEWNS)
            # AppArmor allows the user namespace and then forbids all that it is good for.
            namespaces.unshare(namespaces.CLONE_NEWNET)
        except OSError as error:
            code = error.errno or errno.EPERM
        os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if code:
        why, remedy = permissions.of_users(OSError(code, os.strerror(code)))
        raise _Refused(f"{os.strerror(code)}{why and f': {why}'}", remedy)
    return "labs without root"


def _veth() -> str:
    here = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    near = rtnetlink.End("probe0", 10, "02:00:00:00:00:01", 1500)
    far = rtnetlink.End("probe1", 11, "02:00:00:00:00:02", 1500)
    _ask(rtnetlink.new_veth(near, far, here))
    return ""


def _bridge() -> str:
    _ask(rtnetlink.new_bridge("probe2", 12, "02:00:00:00:00:03", 1500))
    return ""


def _tun() -> str:
    tun.create("probe3")
    return f"/dev/net/tun has mode {os.stat('/dev/net/tun').st_mode & 0o777:04o}"


def _raw() -> str:
    import socket

    try:
        socket.socket(socket.AF_PACKET, socket.SOCK_RAW).close()
    except PermissionError as error:
        raise _Refused(
            f"{error.strerror}: the capability NET_RAW",
            permissions.remedy(permissions.CAPABILITIES),
        ) from None
    return ""


def _nftables() -> str:
    complaints = libnftables.load(_RULES)
    if complaints:
        raise _Refused(complaints[0].text)
    return "NAT and connection tracking"


def _netem() -> str:
    head = struct.pack("=BxxxiIII", 0, 1, 0, TC_H_ROOT, 0)
    options = struct.pack("=6I", 0, 1000, 0, 0, 0, 0)  # latency, limit, loss, gap, dup, jitter
    kind = rtnetlink.attribute(TCA_KIND, b"netem\0")
    flags = rtnetlink.NLM_F_CREATE | rtnetlink.NLM_F_EXCL
    body = head + kind + rtnetlink.attribute(TCA_OPTIONS, options)
    _ask(rtnetlink.Request(RTM_NEWQDISC, flags, body))
    return ""


def _bpf() -> str:
    """Load ``return 0`` as a raw tracepoint program (bpf(2))."""
    if not os.path.exists("/sys/kernel/btf/vmlinux"):
        raise _Refused("the kernel has no BTF (/sys/kernel/btf/vmlinux)")
    number = _BPF_SYSCALL.get(platform.machine())
    if number is None:
        raise _Refused(f"unknown machine {platform.machine()}")
    instructions = ctypes.create_string_buffer(
        struct.pack("=BBhi", 0xB7, 0, 0, 0) + struct.pack("=BBhi", 0x95, 0, 0, 0)
    )
    licence = ctypes.create_string_buffer(b"GPL")
    attributes = struct.pack(
        "=IIQQ",
        BPF_PROG_TYPE_RAW_TRACEPOINT,
        2,
        ctypes.addressof(instructions),
        ctypes.addressof(licence),
    ).ljust(128, b"\0")
    libc = ctypes.CDLL(None, use_errno=True)
    fd = libc.syscall(number, BPF_PROG_LOAD, attributes, len(attributes))
    if fd < 0:
        number = ctypes.get_errno()
        lacks = _Outside.user == 0 and _Outside.needed_user_namespace
        remedy = permissions.remedy(permissions.CAPABILITIES) if lacks else ""
        raise _Refused(os.strerror(number), remedy)
    os.close(fd)
    if confinement.hides_functions():
        why = "the kernel hides its functions' names: the capability SYSLOG"
        raise _Refused(why, permissions.remedy(permissions.NAMES))
    from netlab.capture import drops

    known = set(drops.reasons().values())
    lacking = [name for name in REASONS if name not in known]
    older = f", but not {', '.join(lacking)}" if lacking else ""
    return f"raw tracepoints, BTF: {len(known)} reasons{older}"


REASONS = (
    "IP_LOCAL_SOURCE", "QDISC_OVERLIMIT", "QUEUE_PURGE", "SOCKET_CLOSE", "TCP_LISTEN_OVERFLOW",
    "TCP_OLD_SEQUENCE",
)  # fmt: skip
"""Reasons that some kernels since 6.1 do not have: they give a more general one, or none."""


def why_no_bpf() -> str:
    """Why the kernel does not tell us its reasons for dropping packets; empty if it does."""
    try:
        _bpf()
    except _Refused as refused:
        return str(refused)
    return ""


def _descriptors() -> str:
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY:
        return "no limit"
    if hard < 1024:
        raise _Refused(f"at most {hard} open files")
    return f"about {hard - 100} nodes in a lab"


PROGRAMS = ("busybox", "curl", "dig", "ip", "nft", "ping", "ss")
"""What shipped topologies and scenarios run, besides netlab's own."""


def _programs() -> str:
    import shutil

    path = with_system_tools(os.environ.get("PATH", os.defpath))
    missing = [name for name in PROGRAMS if not shutil.which(name, path=path)]
    if missing:
        packages = sorted({PACKAGES[name] for name in missing})
        raise _Refused(f"not installed: {', '.join(missing)}", f"apt install {' '.join(packages)}")
    return ", ".join(PROGRAMS)


class _Probe(NamedTuple):
    name: str
    attempt: Callable[[], str]
    lost: str
    remedy: str
    inside: bool = True
    """Whether it would change this machine if it were tried outside of a new namespace."""


PROBES = (
    _Probe(
        "namespaces",
        _namespace,
        "labs: nothing works without them",
        "use sudo",
    ),
    _Probe(
        "user namespaces",
        _ordinary_users,
        "labs of ordinary users; root is not concerned",
        "use sudo",
    ),
    _Probe("settings", _settings, "forwarding, and every other setting of a node", "use sudo"),
    _Probe(
        "state",
        _state,
        "labs: there is no place for what is known of them",
        "name a directory in NETLAB_STATE_DIR",
        inside=False,
    ),
    _Probe("veth", _veth, "wires between nodes", "modprobe veth"),
    _Probe("bridge", _bridge, "LANs", "modprobe bridge"),
    _Probe(
        "TUN",
        _tun,
        "userspace TCP/IP stacks in a node",
        "modprobe tun; for ordinary users chmod 666 /dev/net/tun",
    ),
    _Probe("raw sockets", _raw, "ping, captures, HDP: explain and trace see nothing", "use sudo"),
    _Probe(
        "nftables",
        _nftables,
        "NAT and firewalls",
        "modprobe nf_tables nft_chain_nat nft_masq; apt install libnftables1",
    ),
    _Probe(
        "netem",
        _netem,
        "nothing: delay, loss and rate are made by netlab's own wire, a program, on every machine",
        "not needed; for use of your own modprobe sch_netem (Debian's cloud kernels lack it)",
    ),
    _Probe(
        "BPF",
        _bpf,
        "the kernel's own reason for each dropped packet",
        "run as root on a kernel with CONFIG_DEBUG_INFO_BTF",
    ),
    _Probe(
        "programs",
        _programs,
        "topologies and scenarios that run them; each says which",
        "apt install the packages of those that are missing",
        inside=False,
    ),
    _Probe(
        "open files", _descriptors, "labs of more than some 900 nodes", "raise `ulimit -Hn`", False
    ),
)


def probe() -> list[Fact]:
    """Try everything, in a process of its own, and say what came of it."""
    import subprocess

    ran = subprocess.run(
        [sys.executable, "-m", "netlab.lab.doctor"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        stdout=subprocess.PIPE,
        timeout=TIMEOUT,
        check=True,
    )
    return [Fact(*fields) for fields in json.loads(ran.stdout)]


def _try(probe: _Probe) -> Fact:
    remedy = probe.remedy
    try:
        detail, ok = probe.attempt(), True
    except _Refused as refused:
        detail, ok = str(refused), False
        remedy = refused.remedy or remedy
    except NetlabError as error:
        detail, ok = error.diagnostics[0].message, False
        remedy = error.diagnostics[0].hint or remedy
    except OSError as error:
        why, what = permissions.of_namespaces(error)
        detail, ok = f"{os.strerror(error.errno or 0)}{why and f': {why}'}", False
        remedy = what if why else remedy
    return Fact(probe.name, ok, detail, probe.lost, remedy)


def _try_all() -> list[Fact]:
    users = _try(PROBES[1])  # before this process becomes another user itself
    _Outside.user = os.geteuid()
    _Outside.needed_user_namespace = rootless.is_needed()
    first = _try(PROBES[0]._replace(attempt=_enter))
    facts = [_try(p) if first.ok or not p.inside else _not_tried(p) for p in PROBES]
    facts[:2] = [facts[0] if first.ok else first, users]
    return facts


def _enter() -> str:
    """Move this process to where the other probes hurt nobody."""
    if _Outside.needed_user_namespace:
        rootless.enter()
    namespaces.unshare(namespaces.CLONE_NEWNET)
    return ""


def _not_tried(probe: _Probe) -> Fact:
    return Fact(probe.name, False, "not tried without namespaces", probe.lost, probe.remedy)


if __name__ == "__main__":
    print(json.dumps(_try_all()))
