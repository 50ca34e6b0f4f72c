"""Why the machine refuses a lab: the missing piece by its name, and who can give it how.

Outside of containers there is sudo. A container's runtime takes away several things that hide one
another: capabilities, system calls (seccomp), mounts (AppArmor, SELinux), ``/proc/sys``, ``/run``.
The sentences end in what to write where, for the tool that runs the container if it can be seen.
"""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

from netlab.linux import confinement

if TYPE_CHECKING:
    from collections.abc import Mapping

TOOLS = ("docker", "podman", "GitHub Actions", "GitLab", "Kubernetes")

CAPABILITIES = "capabilities"
NAMES = "names of kernel functions"
SECCOMP = "seccomp"
APPARMOR = "AppArmor"
SELINUX = "SELinux"
PROC = "proc"
TUN = "TUN"
WRITABLE = "writable"

_SECURITY = "securityContext: {{{}}}"
_OPTIONS = "container: {{options: {}}}"
_RUNNER = "{} below [runners.docker] of config.toml"


def _alike(option: str, runner: str, context: str, podman: str = "") -> dict[str, str]:
    """What most pieces have in common: an option of `docker run`, a line each for the others."""
    tools = option, podman or option, _OPTIONS.format(option), _RUNNER.format(runner), context
    return dict(zip(TOOLS, tools, strict=True))


FLAGS: dict[str, dict[str, str]] = {
    CAPABILITIES: _alike(
        "--cap-add SYS_ADMIN --cap-add NET_ADMIN --cap-add NET_RAW",
        'cap_add = ["SYS_ADMIN", "NET_ADMIN", "NET_RAW"]',
        _SECURITY.format("capabilities: {add: [SYS_ADMIN, NET_ADMIN, NET_RAW]}"),
    ),
    NAMES: _alike(
        "--cap-add SYSLOG",
        'cap_add = ["SYSLOG"]',
        _SECURITY.format("capabilities: {add: [SYSLOG]}"),
    ),
    SECCOMP: _alike(
        "--security-opt seccomp=unconfined",
        'security_opt = ["seccomp:unconfined"]',
        _SECURITY.format("seccompProfile: {type: Unconfined}"),
    ),
    APPARMOR: _alike(
        "--security-opt apparmor=unconfined",
        'security_opt = ["apparmor:unconfined"]',
        _SECURITY.format("appArmorProfile: {type: Unconfined}"),
    ),
    SELINUX: _alike(
        "--security-opt label=disable",
        'security_opt = ["label:disable"]',
        _SECURITY.format("seLinuxOptions: {type: spc_t}"),
    ),
    PROC: _alike(
        "--security-opt systempaths=unconfined",
        "privileged = true",
        "hostUsers: false; " + _SECURITY.format("procMount: Unmasked"),
        podman="--security-opt unmask=ALL",
    ),
    TUN: _alike(
        "--device /dev/net/tun",
        'devices = ["/dev/net/tun"]',
        "a hostPath volume of /dev/net/tun, type CharDevice",
    ),
    WRITABLE: _alike(
        "--tmpfs /run",
        'tmpfs = {"/run" = "rw"}',
        "an emptyDir volume, medium Memory, at /run",
    ),
}
"""The exact words for each piece and each of ``TOOLS``."""


def tool(environment: Mapping[str, str] | None = None) -> str:
    """Which of ``TOOLS`` runs this container; empty outside of one, or if it does not say."""
    environment = os.environ if environment is None else environment
    if environment.get("KUBERNETES_SERVICE_HOST"):
        return "Kubernetes"
    if not is_container(environment):
        return ""
    if environment.get("GITLAB_CI"):
        return "GitLab"
    if environment.get("GITHUB_ACTIONS"):
        return "GitHub Actions"
    if os.path.exists("/run/.containerenv") or environment.get("container") == "podman":
        return "podman"
    return "docker" if os.path.exists("/.dockerenv") else ""


def is_container(environment: Mapping[str, str] | None = None) -> bool:
    """Whether a runtime has left its sign that this is a container."""
    environment = os.environ if environment is None else environment
    signs = ("/.dockerenv", "/run/.containerenv")
    return bool(environment.get("container")) or any(map(os.path.exists, signs))


def remedy(*pieces: str) -> str:
    """What gives these pieces, for the tool that is seen here, or else for docker and podman."""
    seen = tool()
    if seen == "Kubernetes":
        return f"Kubernetes: {'; '.join(FLAGS[piece][seen] for piece in pieces)}"
    if seen in ("GitLab", "GitHub Actions"):
        return f"{seen}: {'; '.join(FLAGS[piece][seen] for piece in pieces)}"
    options = " ".join(FLAGS[piece][seen or "docker"] for piece in pieces)
    if seen:
        return f"{seen} run {options}"
    return f"in a container: docker or podman run {options} (others: docs/containers.md)"


def of_namespaces(error: OSError) -> tuple[str, str]:
    """Why this process may not make or fill namespaces, and what to do: a clause and a hint.

    Both are empty if nothing can be seen that would explain it.
    """
    lacking = confinement.missing_capabilities()
    module = confinement.security_module()
    if lacking and os.geteuid() == 0:
        word = "capability" if len(lacking) == 1 else "capabilities"
        clause = f"this root lacks the {word} {' and '.join(lacking)}"
        return clause, remedy(CAPABILITIES, *([_piece(module)] if module else []))
    if os.geteuid() != 0 or confinement.is_in_user_namespace():
        return of_users(error)
    return _of_confinement(error, module)


def of_users(error: OSError) -> tuple[str, str]:
    """The same for an ordinary user, whose labs are in a user namespace."""
    if setting := _closed_by():
        key, value = setting
        return f"{key} closes user namespaces", f"sudo sysctl -w {key}={value}, or use sudo"
    if error.errno in (errno.ENOSPC, errno.EUSERS):
        return "there may be no more user namespaces", "raise user.max_user_namespaces (sysctl)"
    why, hint = _of_confinement(error, confinement.security_module())
    return why, hint or "use sudo"


def _of_confinement(error: OSError, module: str) -> tuple[str, str]:
    if module and error.errno in (errno.EACCES, errno.EPERM):
        return f"{module} refuses it", remedy(_piece(module))
    if confinement.is_filtered() and error.errno in (errno.EPERM, errno.ENOSYS):
        return "a seccomp filter refuses it", remedy(SECCOMP)
    if error.errno == errno.EACCES:
        return "a security module (AppArmor, SELinux) refuses it", remedy(APPARMOR)
    return "", ""


def _piece(module: str) -> str:
    return SELINUX if module.startswith("SELinux") else APPARMOR


_SYSCTLS = (
    ("kernel.apparmor_restrict_unprivileged_userns", "1", "0"),  # Ubuntu 23.10 and later
    ("kernel.unprivileged_userns_clone", "0", "1"),  # Debian 10 and earlier
    ("user.max_user_namespaces", "0", "10000"),
)
"""What closes user namespaces: the setting, the value that does, and one that does not."""


def _closed_by() -> tuple[str, str] | None:
    """The setting that closes user namespaces to ordinary users, and a value that opens them."""
    for key, closing, opening in _SYSCTLS:
        try:
            with open(f"/proc/sys/{key.replace('.', '/')}", encoding="ascii") as stream:
                value = stream.read().strip()
        except OSError:
            continue
        if value == closing:
            return key, opening
    return None
