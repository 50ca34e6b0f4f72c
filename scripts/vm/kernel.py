"""A kernel of Debian's archive: downloaded and unpacked, never installed on this machine."""

from __future__ import annotations

import lzma
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import root

PACKAGES = {"6.1": "linux-image-amd64", "6.12": "linux-image-6.12-amd64"}
"""The package that always depends on the newest image of a series. (The smaller "cloud" kernels
lack 9p.)"""

DRIVERS = ("virtio_pci", "virtio_blk", "crc32c_generic", "ext4", "9pnet_virtio", "9p")
"""What a guest needs before it has its root."""

MINUTES = 60


@dataclass(frozen=True, slots=True)
class Kernel:
    """Files of one kernel in the cache."""

    series: str
    """A key of ``PACKAGES``."""
    release: str
    """As ``uname -r`` prints it."""
    image: Path
    initramfs: Path
    modules: Path
    """An ext4 image with the label ``netlab-kernel``, for /lib/modules."""


def get(series: str) -> Kernel:
    """The newest kernel of ``series``, a key of ``PACKAGES``."""
    package = _newest(series)
    place = root.CACHE / package
    if not (place / "modules.ext4").exists():
        for old in root.CACHE.glob(f"linux-image-{series}.*"):
            shutil.rmtree(old)
        with tempfile.TemporaryDirectory(dir=root.CACHE) as scratch:
            _make(package, Path(scratch), place)
    # The initramfs is cheap, and depends on this checkout.
    release = package.removeprefix("linux-image-")
    initramfs = place / "initramfs"
    _make_initramfs(place, initramfs)
    return Kernel(series, release, place / "vmlinuz", initramfs, place / "modules.ext4")


def _newest(series: str) -> str:
    """The image that the series' package depends on now.

    Without a network or with apt's lists missing, the newest one in the cache will do.
    """
    said = _output("apt-cache", "depends", "--important", PACKAGES[series])
    found = re.search(rf"Depends: (linux-image-{re.escape(series)}\.\S+)", said)
    if found:
        return found.group(1)
    kept = sorted(root.CACHE.glob(f"linux-image-{series}.*/modules.ext4"))
    if not kept:
        raise SystemExit(
            f"apt knows no Linux {series} ({PACKAGES[series]}): run `apt-get update` on Debian 12"
        )
    return kept[-1].parent.name


def _make(package: str, scratch: Path, place: Path) -> None:
    tree, place_new = scratch / "tree", scratch / "place"
    place_new.mkdir()
    _unpack(package, scratch, tree)
    [image] = tree.glob("boot/vmlinuz-*")
    image.rename(place_new / "vmlinuz")
    release = package.removeprefix("linux-image-")
    subprocess.run(["depmod", "-b", tree, release], check=True, timeout=2 * MINUTES)
    (place_new / "drivers").mkdir()
    order = []
    for path in _in_order(tree / "lib/modules" / release):
        module = place_new / "drivers" / path.name.removesuffix(".xz")
        module.write_bytes((lzma.open if path.suffix == ".xz" else Path.open)(path, "rb").read())
        order.append(f"{module.name}\n")
    (place_new / "drivers" / "order").write_text("".join(order))
    _unpack("busybox-static", scratch, scratch / "busybox")
    shutil.copy(scratch / "busybox/bin/busybox", place_new / "busybox")
    root.make_ext4(tree / "lib/modules", place_new / "modules.ext4", "netlab-kernel", spare=1 << 24)
    place_new.rename(place)


def _unpack(package: str, scratch: Path, target: Path) -> None:
    """Download and unpack a package; apt checks its signature."""
    download = scratch / f"download-{package}"
    download.mkdir()
    subprocess.run(
        ["apt-get", "download", "-qq", "-o", "APT::Sandbox::User=root", package],
        cwd=download, check=True, timeout=5 * MINUTES,
    )  # fmt: skip
    [archive] = download.glob("*.deb")
    subprocess.run(["dpkg-deb", "-x", archive, target], check=True, timeout=2 * MINUTES)
    archive.unlink()


def _in_order(modules: Path) -> list[Path]:
    """The drivers and what they need, each after what it needs (modules.dep lists all of it)."""
    needs: dict[str, list[str]] = {}
    for line in (modules / "modules.dep").read_text().splitlines():
        name, _, rest = line.partition(":")
        needs[Path(name).name.split(".")[0].replace("-", "_")] = [name, *rest.split()]
    ordered: dict[Path, None] = {}
    for driver in DRIVERS:
        # A driver that is not a module is part of the kernel.
        for name in reversed(needs.get(driver, [])):
            ordered.setdefault(modules / name)
    return list(ordered)


def _make_initramfs(place: Path, target: Path) -> None:
    """A cpio archive: busybox, the drivers, and the script ``init``."""
    with tempfile.TemporaryDirectory() as made:
        tree = Path(made)
        (tree / "bin").mkdir()
        shutil.copy(place / "busybox", tree / "bin/busybox")
        shutil.copy(Path(__file__).with_name("init"), tree / "init")
        (tree / "init").chmod(0o755)
        shutil.copytree(place / "drivers", tree / "modules")
        (tree / "bin/sh").symlink_to("busybox")
        names = "\n".join(str(path.relative_to(tree)) for path in sorted(tree.rglob("*")))
        with target.open("wb") as file:
            subprocess.run(
                ["cpio", "--create", "--format=newc", "--quiet", "--owner=0:0"],
                cwd=tree, input=names.encode(), stdout=file, check=True, timeout=MINUTES,
            )  # fmt: skip


def _output(*command: str) -> str:
    return subprocess.run(
        command, stdout=subprocess.PIPE, text=True, check=False, timeout=MINUTES
    ).stdout
