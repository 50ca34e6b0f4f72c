"""What runs inside: the jobs of a list, one after the other, each within its time.

    guest.py SHARE

``SHARE/jobs.json`` is the list that jobs.py made. Each job's record is one line of
``SHARE/results.jsonl`` as soon as it has ended, so that a machine that hangs has reported what it
did before. Only the standard library: this file is copied in.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

CHECKOUT = "/srv/netlab"


def main(share: Path) -> None:
    """Run the jobs and record what each came to."""
    results = share / "results.jsonl"
    environment = {**os.environ, "NO_COLOR": "1", "PATH": f"{CHECKOUT}/.venv/bin:{os.defpath}"}
    environment["PATH"] += ":/usr/sbin:/sbin"
    for job in json.loads((share / "jobs.json").read_text()):
        record = run(job, environment)
        with results.open("a") as file:
            file.write(json.dumps(record) + "\n")
        print(f"netlab-vm: {record['seconds']:6.1f} s  {job['name']}", flush=True)


def run(job: dict[str, Any], environment: dict[str, str]) -> dict[str, Any]:
    """Run one job in a session of its own; whatever is left of it after its time is killed."""
    started = time.monotonic()
    # Files instead of pipes: a daemon that outlives its job would keep a pipe open for ever.
    with (
        tempfile.TemporaryFile("w+", errors="replace") as out,
        tempfile.TemporaryFile("w+", errors="replace") as err,
    ):
        process = subprocess.Popen(
            job["command"],
            cwd=CHECKOUT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            start_new_session=True,
        )
        try:
            code: int | None = process.wait(job["timeout"])
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            code = None
        seconds = round(time.monotonic() - started, 2)
        record = {"name": job["name"], "exit": code, "seconds": seconds}
        for key, file in (("out", out), ("err", err)):
            file.seek(0)
            record[key] = file.read()
    return record


if __name__ == "__main__":
    main(Path(sys.argv[1]))
