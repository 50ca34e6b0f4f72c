"""Commands in nodes: become one, or start one.

A command sees its node's network, the node's name as that of the host, the node's files, and the
node's devices under /sys/class/net.
Its mount namespace says which lab it belongs to, see ``processes``.
"""

from __future__ import annotations

import contextlib
import os
from _socket import sethostname  # importing `socket` itself would take 3 ms
from typing import TYPE_CHECKING, Any, NoReturn

from netlab.errors import Diagnostic, LabError
from netlab.lab import directories, files, processes
from netlab.linux import namespaces

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Collection, Mapping, Sequence

    from netlab.lab.record import Lab


def enter(lab: Lab, node: str, program: str = "") -> None:
    """Make the calling thread a part of ``node``: network, host name, files and /sys, for good.

    Its mount namespace is tagged as that of ``program``, see ``processes``.

    Raises:
        LabError: the node is gone, or may not be entered.
    """
    if node not in lab.record.nodes:
        known = " ".join(lab.record.nodes)
        raise LabError(
            Diagnostic("E404", f"lab {lab.name} has no node {node}", hint=f"nodes: {known}")
        )
    try:
        network = namespaces.open_namespace(lab.namespace(node))
    except FileNotFoundError:
        message = f"the namespace of {node} is gone"
        raise LabError(Diagnostic("E404", message, hint=f"netlab down {lab.name}")) from None
    try:
        namespaces.unshare(namespaces.CLONE_NEWNS | namespaces.CLONE_NEWUTS)
        sethostname(node)
        namespaces.propagation("/", namespaces.MS_SLAVE | namespaces.MS_REC)
        namespaces.setns(network, namespaces.CLONE_NEWNET)
    finally:
        os.close(network)
    files.show(lab.files(node), directories.show(lab.directories(node)))
    _show_devices(f"{lab.directory}/sys", processes.tag(lab, node, program))


def _show_devices(place: str, tag: str) -> None:
    """Make /sys/class/net that of the current network namespace, and leave the rest of /sys."""
    flags = namespaces.MS_NOSUID | namespaces.MS_NODEV
    try:
        namespaces.mount(tag, place, "sysfs", flags)
    except OSError:
        # A container may forbid it; then /sys shows the machine's devices, as without us.
        namespaces.mount(tag, place, "tmpfs", flags)
        return
    with contextlib.suppress(OSError):
        for part in ("class/net", "devices/virtual/net"):
            namespaces.bind(f"{place}/{part}", f"/sys/{part}")


INHERITED = ("PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "TZ", "TERM", "TMPDIR")
"""What programs of a topology get of the environment of ``netlab up``, besides ``LC_*``."""


def inherited(
    environment: Mapping[str, str], more: Collection[str] = frozenset()
) -> dict[str, str]:
    """The part of an environment that programs get which outlive who started them."""
    return {
        k: v for k, v in environment.items() if k in INHERITED or k.startswith("LC_") or k in more
    }


def variables(
    lab: Lab, node: str, extra: Mapping[str, str], base: Mapping[str, str] | None = None
) -> dict[str, str]:
    """The environment of a program: ``base`` (default: our own), ``extra``, and the mark."""
    found = {
        **(os.environ if base is None else base),
        **extra,
        **processes.environment(lab, node),
    }
    if "PATH" not in extra:
        found["PATH"] = with_system_tools(found.get("PATH", os.defpath))
    return found


def with_system_tools(path: str) -> str:
    """``path`` and where Debian has nft and its like, which its ordinary users' PATH leaves out."""
    places = path.split(os.pathsep)
    return os.pathsep.join([*places, *(p for p in ("/usr/sbin", "/sbin") if p not in places)])


def execute(lab: Lab, node: str, argv: Sequence[str], extra: Mapping[str, str]) -> NoReturn:
    """Become ``argv`` in ``node``: terminal, signals and exit code are the command's own."""
    enter(lab, node)
    try:
        os.execvpe(argv[0], list(argv), variables(lab, node, extra))  # noqa: S606 - that is the point
    except OSError as error:
        raise cannot_run(argv[0], node, error) from None


def spawn(
    lab: Lab,
    node: str,
    argv: Sequence[str],
    extra: Mapping[str, str] | None = None,
    **options: Any,
) -> subprocess.Popen[Any]:
    """Start ``argv`` in ``node``; ``options`` are those of ``subprocess.Popen``.

    The program gets a session of its own unless ``start_new_session=False`` is given. The
    caller's threads stay where they are: a new process inherits the namespaces of the thread
    that starts it, and that is one of our own.
    """
    import subprocess

    options.setdefault("start_new_session", True)
    options["env"] = variables(lab, node, extra or {}, options.get("env"))

    def start() -> subprocess.Popen[Any]:
        enter(lab, node)
        return subprocess.Popen(argv, **options)

    try:
        return namespaces.in_thread(start)
    except OSError as error:
        raise cannot_run(argv[0], node, error) from None


def cannot_run(program: str, node: str, error: OSError) -> LabError:
    """What to say of a command that could not be started."""
    message = f"cannot run {program} in {node}: {error.strerror or error}"
    package = PACKAGES.get(program) if isinstance(error, FileNotFoundError) else None
    return LabError(Diagnostic("E410", message, hint=f"apt install {package}" if package else ""))


PACKAGES = {
    "ab": "apache2-utils", "bash": "bash", "bridge": "iproute2", "busybox": "busybox",
    "chromium": "chromium", "cmp": "diffutils", "conntrack": "conntrack", "curl": "curl",
    "dig": "bind9-dnsutils", "dnsmasq": "dnsmasq-base", "dnsperf": "dnsperf", "dot": "graphviz",
    "ethtool": "ethtool", "fish": "fish", "git": "git", "go": "golang-go", "ip": "iproute2",
    "iperf3": "iperf3", "kdig": "knot-dnsutils", "man": "man-db", "mtr": "mtr-tiny",
    "named": "bind9", "nc": "netcat-openbsd", "nft": "nftables", "nginx": "nginx-light",
    "node": "nodejs", "ping": "iputils-ping", "python3": "python3", "cargo": "cargo",
    "setpriv": "util-linux", "socat": "socat", "ss": "iproute2", "ssh": "openssh-client",
    "ssh-keygen": "openssh-client", "sshd": "openssh-server", "stun": "stun-client",
    "stund": "stun-server", "sysctl": "procps", "tc": "iproute2", "tcpdump": "tcpdump",
    "tmux": "tmux", "tracepath": "iputils-tracepath", "traceroute": "traceroute",
    "tshark": "tshark",
    "turnserver": "coturn", "turnutils_natdiscovery": "coturn", "unbound": "unbound",
    "unshare": "util-linux", "wget": "wget", "wrk": "wrk", "zsh": "zsh",
}  # fmt: skip
"""Debian's package of each program that labs, scenarios and tests often use."""
