"""What the machines came to: a table of jobs and kernels, and the full records as JSON."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jobs

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


Records = dict[str, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Result:
    """A job on one kernel; ``fault`` is empty if it came to what it should."""

    record: dict[str, Any]
    fault: str

    @property
    def cell(self) -> str:
        """The text of its cell of the table."""
        return self.fault or f"{self.record['seconds']:.0f} s"


def records(share: Path) -> Records:
    """What a machine has written: a record a job, by name."""
    path = share / "results.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    return {record["name"]: record for record in map(json.loads, lines)}


def judge(
    asked: Sequence[jobs.Job], records: Records, reference: dict[str, Result] | None
) -> dict[str, Result]:
    """The results of ``asked`` by name; ``reference`` has the digests of the running kernel."""
    found = {}
    for job in asked:
        record = records.get(job.name, {"name": job.name, "exit": None, "seconds": 0, "out": ""})
        if job.name not in records:
            fault = "did not run"
        else:
            fault = _fault(job, record, (reference or {}).get(job.name))
        found[job.name] = Result(record, fault)
    return found


def _fault(job: jobs.Job, record: dict[str, Any], reference: Result | None) -> str:
    if record["exit"] is None:
        return f"not ready after {job.timeout:.0f} s"
    if record["exit"]:
        return f"FAILED ({record['exit']})"
    if job.prints and not re.search(job.prints, record["out"]):
        return "FAILED (other words)"
    ours = digest(record)
    if reference and ours != digest(reference.record):
        return "other digest"
    return ""


def digest(record: dict[str, Any]) -> str:
    """The digest of a scenario's outcome; empty for other jobs, and if there is none."""
    if not record["name"].startswith(jobs.SCENARIO):
        return ""
    try:
        return str(json.loads(record["out"])["digest"])
    except (ValueError, KeyError):
        return ""


def table(columns: dict[str, dict[str, Result]]) -> str:
    """Markdown: a row a job, a column a kernel."""
    names = list(dict.fromkeys(name for column in columns.values() for name in column))
    rows = [["", *columns], ["---"] * (len(columns) + 1)]
    rows += [
        [name, *(column[name].cell if name in column else "" for column in columns.values())]
        for name in names
    ]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def features(columns: dict[str, dict[str, Result]]) -> str:
    """Markdown: a row a feature, a column a kernel, of the jobs ``features``."""
    said: dict[str, dict[str, Any]] = {}
    for kernel, column in columns.items():
        if "features" in column and not column["features"].fault:
            said[kernel] = json.loads(column["features"].record["out"])
    names = list(dict.fromkeys(name for found in said.values() for name in found))
    rows = [["", *said], ["---"] * (len(said) + 1)]
    for name in names:
        answers = [found.get(name, "") for found in said.values()]
        rows.append([name, *answers])
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def to_json(results: dict[str, Result]) -> str:
    """The records with their verdicts."""
    return json.dumps(
        [{**result.record, "fault": result.fault} for result in results.values()], indent=1
    )
