"""The kernel matrix: the same jobs on the kernels of Debian, each compared with the running one.

    python scripts/vm KERNEL... [--short] [--only PATTERN] [--tests 'ARGUMENTS'] [--cases LIST]

KERNEL is 6.1 or 6.12, which are started in QEMU, or ``running``, which is this machine's own,
entered with namespaces. All work on the same pristine Debian. Results: build/vm. Needs root, and
Python's standard library only: it also runs where netlab is not installed.
"""

from __future__ import annotations

import argparse
import fnmatch
import json
import os
import shlex
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

import jobs
import kernel
import machine
import report
import root

PACKAGES = ("qemu-system-x86", "mmdebstrap", "e2fsprogs", "cpio", "kmod")
"""What it takes on this machine."""

RESULTS = root.CHECKOUT / "build" / "vm"
BOOT = 300.0
"""Seconds more than its jobs that a machine may take: to start, to unpack, to switch off. Emulated
on a busy machine that is minutes."""


def main() -> int:
    """Run all; the exit code says whether each job came to what it should on each kernel."""
    asked = _arguments()
    wanted = _jobs(asked)
    if "NETLAB_VM" not in os.environ:
        subprocess.run(["scripts/install-debian", "", *PACKAGES], cwd=root.CHECKOUT, check=True)
        # What is mounted and started from here on ends with this process, however it ends.
        alone = ["unshare", "--mount", "--pid", "--mount-proc", "--fork", "--kill-child"]
        environment = {**os.environ, "NETLAB_VM": "alone"}
        os.execvpe("unshare", [*alone, sys.executable, *sys.argv], environment)  # noqa: S606
    root.CACHE.mkdir(parents=True, exist_ok=True)
    RESULTS.mkdir(parents=True, exist_ok=True)
    columns: dict[str, dict[str, report.Result]] = {}
    digests = [job for job in wanted if job.name.startswith(jobs.SCENARIO)]
    if "running" in asked.kernels:
        columns["running"] = _here(wanted, asked.limit)
    elif digests:
        columns["running"] = _here(digests, asked.limit)
    guests = [kernel.get(series) for series in asked.kernels if series != "running"]
    if guests:
        root.image()  # once, before the guests share it
    accelerator = machine.accelerator(guests[0]) if guests else ""
    # What is short is mostly waiting: for one processor to start Python, for a lab to settle.
    with ThreadPoolExecutor(len(guests) or 1 if asked.short else 1) as pool:
        running = {
            guest.series: pool.submit(_guest, guest, accelerator, wanted, asked.limit)
            for guest in guests
        }
        for series, found in running.items():
            columns[series] = report.judge(wanted, found.result(), columns.get("running"))
    for name, results in columns.items():
        (RESULTS / f"{name}.json").write_text(report.to_json(results))
    (RESULTS / "features.md").write_text(report.features(columns))
    (RESULTS / "results.md").write_text(report.table(columns))
    print(report.table(columns))
    failed = [
        f"{name}: {result.record['name']}: {result.fault}"
        for name, results in columns.items()
        for result in results.values()
        if result.fault
    ]
    print("\n".join(failed) or "all as it should be")
    return 1 if failed else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/vm", description=__doc__)
    parser.add_argument("kernels", nargs="+", choices=["running", *kernel.PACKAGES])
    parser.add_argument("--short", action="store_true", help="what each run of CI tries")
    parser.add_argument("--only", metavar="PATTERN,...", help="jobs of these names")
    parser.add_argument("--tests", metavar="ARGUMENTS", help="kernel tests instead: pytest's words")
    parser.add_argument("--cases", metavar="LIST", type=Path, help="cases as well: a YAML list")
    parser.add_argument(
        "--limit", type=float, default=4 * 3600, help="seconds for one machine (default: 4 hours)"
    )
    return parser.parse_args()


def _jobs(asked: argparse.Namespace) -> list[jobs.Job]:
    if asked.tests is not None:
        return [jobs.tests("tests", *shlex.split(asked.tests))]
    wanted = jobs.short() if asked.short else jobs.full()
    if asked.cases:
        wanted += jobs.cases(asked.cases)
    patterns = (asked.only or "*").split(",")
    return [job for job in wanted if any(fnmatch.fnmatch(job.name, p) for p in patterns)]


def _guest(
    guest: kernel.Kernel, accelerator: str, wanted: list[jobs.Job], limit: float
) -> report.Records:
    """What the jobs came to on a kernel of Debian."""
    with tempfile.TemporaryDirectory(prefix="netlab-vm-") as made:
        share = Path(made)
        machine.furnish(share, json.dumps([asdict(job) for job in wanted]))
        if not machine.run(guest, accelerator, share, _limit(wanted, limit)):
            console = (share / "console").read_text(errors="replace")
            machine.say(
                f"{guest.series} did not switch itself off; its console ends:\n{console[-2000:]}"
            )
        (RESULTS / f"{guest.series}.console").write_bytes((share / "console").read_bytes())
        return report.records(share)


def _here(wanted: list[jobs.Job], limit: float) -> dict[str, report.Result]:
    """What the jobs come to on the running kernel, in the pristine root."""
    with root.layer() as (whole, upper):
        machine.say(f"Linux {os.uname().release}, which runs here")
        share = whole / "mnt"
        machine.furnish(share, json.dumps([asdict(job) for job in wanted]))
        root.unpack(share / "checkout.tar", whole)
        command = ["scripts/enter-root", str(whole), "root", "python3", "/mnt/guest.py", "/mnt"]
        process = subprocess.Popen(command, cwd=root.CHECKOUT, stdout=sys.stderr)
        try:
            process.wait(_limit(wanted, limit))
        except subprocess.TimeoutExpired:
            machine.say(f"not ready after {_limit(wanted, limit):.0f} s")
        finally:
            process.kill()
            process.wait()
        return report.judge(wanted, report.records(upper / "mnt"), None)


def _limit(wanted: list[jobs.Job], limit: float) -> float:
    return min(limit, BOOT + sum(job.timeout for job in wanted))


if __name__ == "__main__":
    sys.exit(main())
