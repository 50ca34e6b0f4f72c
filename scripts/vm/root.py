"""The root file system of a guest: a pristine Debian after `make install-dev`, as an ext4 image.

It is kept in the cache and made again when what is installed changes, and every week. A run writes
to a layer above it, so that each begins with the same one.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
import shutil
import subprocess
import tempfile
import time
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

CHECKOUT = Path(__file__).parents[2]
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "netlab-lab-ci" / "vm"
INSIDE = "srv/netlab"
"""Where the checkout is in the root."""

WEEK = 7 * 24 * 3600
MINUTES = 60

INSTALL = """
set -e
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq --no-install-recommends make python3 kmod >/dev/null
make -C /srv/netlab install-dev
cd /srv/netlab
.venv/bin/python -m compileall -q --invalidation-mode checked-hash netlab tests
apt-get clean
"""
"""kmod is what a Debian kernel depends on. Compiled files that are checked by content stay valid
for all that a later checkout leaves as it is; a guest without KVM needs seconds to compile."""


@functools.cache  # a run has one root, even if the checkout changes meanwhile
def directory() -> Path:
    """The unpacked root; made if it is missing, out of date or old."""
    root = CACHE / "root"
    made = CACHE / "root.key"
    key = _key()
    if made.exists() and made.read_text() == key and time.time() - made.stat().st_mtime < WEEK:
        return root
    made.unlink(missing_ok=True)
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True)
    _run(5 * MINUTES, "scripts/pristine-root", str(root))
    (root / INSIDE).mkdir()
    with tempfile.NamedTemporaryFile(suffix=".tar") as archive:
        pack(Path(archive.name))
        unpack(Path(archive.name), root)
    _run(20 * MINUTES, "scripts/enter-root", str(root), "root", "sh", "-c", INSTALL)
    made.write_text(key)
    return root


def image() -> Path:
    """The root as an ext4 file system with the label ``netlab-root``."""
    root = directory()
    made = CACHE / "root.ext4"
    if not made.exists() or made.stat().st_mtime < (CACHE / "root.key").stat().st_mtime:
        make_ext4(root, made, "netlab-root", spare=1 << 30)
    return made


def make_ext4(content: Path, target: Path, label: str, spare: int) -> None:
    """A file system image of ``content`` with ``spare`` octets of free space, sparse."""
    used = subprocess.run(
        ["du", "--summarize", "--block-size=1", content],
        stdout=subprocess.PIPE, text=True, check=True, timeout=MINUTES,
    ).stdout.split()[0]  # fmt: skip
    unfinished = target.with_suffix(".unfinished")
    unfinished.unlink(missing_ok=True)
    with unfinished.open("wb") as file:
        # An eighth more for inodes and the journal.
        file.truncate((int(used) + spare) * 9 // 8)
    _run(
        5 * MINUTES, "mkfs.ext4", "-q", "-F", "-m", "0", "-L", label, "-d", str(content),
        str(unfinished),
    )  # fmt: skip
    unfinished.rename(target)


def pack(target: Path) -> None:
    """Write the checkout as it is, with what is not committed yet, as a tar archive."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=CHECKOUT, stdout=subprocess.PIPE, text=True, check=True, timeout=MINUTES,
    ).stdout  # fmt: skip
    files = "\0".join(name for name in listed.split("\0") if (CHECKOUT / name).exists())
    subprocess.run(
        ["tar", "-cf", target, "--owner=0", "--group=0", "--null", "--files-from=-"],
        cwd=CHECKOUT, input=files, text=True, check=True, timeout=MINUTES,
    )  # fmt: skip


def unpack(archive: Path, root: Path) -> None:
    """Unpack the checkout into ``root``."""
    _run(MINUTES, "tar", "-xf", str(archive), "-C", str(root / INSIDE))


@contextlib.contextmanager
def layer() -> Iterator[tuple[Path, Path]]:
    """The unpacked root under an empty layer that takes all that is written.

    Yields the whole and the layer alone. Needs a mount namespace of its own.
    """
    with tempfile.TemporaryDirectory(prefix="netlab-vm-") as made:
        upper, work, whole = (Path(made, name) for name in ("upper", "work", "whole"))
        for path in (upper, work, whole):
            path.mkdir()
        options = f"lowerdir={directory()},upperdir={upper},workdir={work}"
        _run(MINUTES, "mount", "-t", "overlay", "overlay", "-o", options, str(whole))
        try:
            yield whole, upper
        finally:
            _run(MINUTES, "umount", "--lazy", str(whole))


def _key() -> str:
    """A digest of what decides how the root looks: what is installed, and the project."""
    commands = subprocess.run(
        ["make", "--dry-run", "--always-make", "install-dev"],
        cwd=CHECKOUT, stdout=subprocess.PIPE, check=True, timeout=MINUTES,
    ).stdout  # fmt: skip
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]
    digest = hashlib.sha256(INSTALL.encode() + commands)
    digest.update(json.dumps(project, sort_keys=True).encode())
    digest.update((CHECKOUT / "scripts/install-debian").read_bytes())
    return digest.hexdigest()


def _run(limit: float, *command: str) -> None:
    subprocess.run(command, cwd=CHECKOUT, check=True, timeout=limit)
