"""What the kernel lets this process do: capabilities, a seccomp filter, a security module.

All is read from ``/proc/self``; nothing is tried here.
"""

from __future__ import annotations

# <linux/capability.h>
CAP_NET_ADMIN = 12
CAP_SYS_ADMIN = 21
CAP_SETFCAP = 31

_NAMES = {CAP_NET_ADMIN: "NET_ADMIN", CAP_SYS_ADMIN: "SYS_ADMIN"}


def status() -> dict[str, str]:
    """The fields of ``/proc/self/status`` (proc(5))."""
    with open("/proc/self/status", encoding="utf-8", errors="replace") as stream:
        pairs = (line.partition(":") for line in stream)
        return {name: value.strip() for name, _, value in pairs}


def _effective() -> int:
    return int(status()["CapEff"], 16)


def missing_capabilities() -> tuple[str, ...]:
    """Of those that namespaces and their networks need, the names of what this process lacks."""
    effective = _effective()
    return tuple(name for number, name in _NAMES.items() if not effective >> number & 1)


def may_map_root() -> bool:
    """Whether this process may map its root into a new user namespace.

    Since Linux 5.12 that takes CAP_SETFCAP, which runtimes leave to a container's root.
    """
    return bool(_effective() >> CAP_SETFCAP & 1)


def is_in_user_namespace() -> bool:
    """Whether this process's users are not the machine's own (user_namespaces(7))."""
    with open("/proc/self/uid_map", encoding="ascii") as stream:
        return stream.read().split() != ["0", "0", "4294967295"]


def hides_functions() -> bool:
    """Whether /proc/kallsyms shows this process zeros for addresses: that takes CAP_SYSLOG."""
    with open("/proc/kallsyms", "rb") as stream:
        first = stream.read(4096).split(b"\n")[:-1]
    return all(int(line.split()[0], 16) == 0 for line in first)


def is_filtered() -> bool:
    """Whether a seccomp filter looks at this process's system calls."""
    return status().get("Seccomp") == "2"


def security_module() -> str:
    """The module that confines this process, as ``AppArmor docker-default``; empty if none does."""
    for name, path in (
        ("AppArmor", "/proc/self/attr/apparmor/current"),
        ("SELinux", "/proc/self/attr/current"),
    ):
        try:
            with open(path, encoding="utf-8", errors="replace") as stream:
                said = stream.read().strip("\0\n ")
        except OSError:
            continue
        profile = said.split(" (")[0]
        if said and profile not in ("unconfined", "kernel") and "unconfined_t" not in said:
            return f"{name} {profile}"
    return ""
