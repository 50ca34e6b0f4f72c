"""A guest in QEMU: by KVM where that works, else by emulation."""

from __future__ import annotations

import os
import selectors
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import root

if TYPE_CHECKING:
    from collections.abc import Callable

    from kernel import Kernel

HERE = Path(__file__).parent

KVM_PATIENCE = 15.0
"""Seconds in which a guest with KVM must have started; it needs about one. /dev/kvm may be there
and a guest hang all the same, as on some nested machines."""

PREFIX = "netlab-vm: "
"""How the lines of a guest's console begin that are for us."""


def furnish(share: Path, jobs: str) -> None:
    """Put into ``share`` what a machine needs: the checkout, the programs, the list of jobs."""
    root.pack(share / "checkout.tar")
    for name in ("guest.py", "features.py", "start"):
        shutil.copy(HERE / name, share)
    (share / "jobs.json").write_text(jobs)


def run(kernel: Kernel, accelerator: str, share: Path, limit: float) -> bool:
    """Start a guest that finds ``share`` at /mnt, and wait for its end.

    Its console goes to ``share/console``. Returns whether it switched itself off within ``limit``
    seconds.
    """
    say(f"{kernel.series}: Linux {kernel.release} with {accelerator}")
    disks = (f"file={root.image()},snapshot=on", f"file={kernel.modules},readonly=on")
    return _qemu(
        kernel,
        accelerator,
        limit,
        share / "console",
        *(word for disk in disks for word in ("-drive", f"{disk},format=raw,if=virtio")),
        "-virtfs",
        f"local,path={share},mount_tag=share,security_model=none",
    )


def accelerator(kernel: Kernel) -> str:
    """QEMU's name of the fastest way to run a guest that works here: ``kvm`` or ``tcg``."""
    return "kvm" if _kvm_works(kernel) else "tcg"


def _kvm_works(kernel: Kernel) -> bool:
    """Try once a boot of this machine, within a time limit."""
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return False
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    tried = root.CACHE / "kvm"
    if tried.exists() and tried.read_text().startswith(boot):
        return tried.read_text().endswith(" works")
    console = root.CACHE / "kvm.console"
    ended = _qemu(kernel, "kvm", KVM_PATIENCE, console, command_line="netlab.probe")
    works = ended and "is up" in console.read_text(errors="replace")
    tried.write_text(f"{boot} {'works' if works else 'fails'}")
    if not works:
        say(f"/dev/kvm is there, but no guest started with it in {KVM_PATIENCE:.0f} s: emulating")
    return works


def _qemu(
    kernel: Kernel,
    accelerator: str,
    limit: float,
    console: Path,
    *devices: str,
    command_line: str = "",
) -> bool:
    """Run QEMU; returns whether it ended by itself, without an error, in time."""
    command = [
        "nice", "-n", "5", "qemu-system-x86_64",
        "-accel", accelerator, "-cpu", "host" if accelerator == "kvm" else "max",
        "-smp", "2", "-m", "4G", "-nodefaults", "-no-user-config", "-no-reboot",
        "-display", "none", "-serial", "stdio",
        "-kernel", str(kernel.image), "-initrd", str(kernel.initramfs),
        "-append", f"console=ttyS0 quiet panic=-1 {command_line}",
        *devices,
    ]  # fmt: skip
    with console.open("wb") as log:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        try:
            _relay(process, log.write, kernel.series, time.monotonic() + limit)
            return process.wait(5) == 0
        except subprocess.TimeoutExpired:
            return False
        finally:
            process.kill()
            process.wait()


def _relay(
    process: subprocess.Popen[bytes],
    write: Callable[[bytes], object],
    label: str,
    deadline: float,
) -> None:
    """Copy the console until it ends or the time is over; say the lines that are for us."""
    assert process.stdout is not None
    pending = b""
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while (left := deadline - time.monotonic()) > 0:
            if not selector.select(left):
                break
            octets = os.read(process.stdout.fileno(), 1 << 16)
            if not octets:
                break
            write(octets)
            *lines, pending = (pending + octets).split(b"\n")
            for line in lines:
                text = line.decode(errors="replace").strip()
                if text.startswith(PREFIX):
                    say(f"{label}: {text.removeprefix(PREFIX)}")


def say(text: str) -> None:
    """A line of progress."""
    print(text, file=sys.stderr, flush=True)
