"""``run --all``: each shipped scenario in a process of its own, several at once."""

from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import TYPE_CHECKING, Any

from netlab.cli import console
from netlab.cli.scenario import skipped
from netlab.errors import Unavailable

if TYPE_CHECKING:
    import argparse


def run(arguments: argparse.Namespace) -> int:
    """Run them all, report each as it ends; 0 if none failed."""
    from netlab.scenario import bundled

    names = bundled.names()
    results: dict[str, dict[str, Any]] = {}
    with ThreadPoolExecutor(arguments.jobs or 1) as pool:
        progress = console.Progress("scenario", least=2)
        children = {pool.submit(_child, name, arguments): name for name in names}
        for done, child in enumerate(as_completed(children), 1):
            name = children[child]
            results[name] = child.result()
            if not arguments.json:
                console.clear_line()
                _tell(name, results[name])
            progress(done, len(names))
    results = {name: results[name] for name in names}
    if arguments.report:
        from netlab.scenario import pages

        pages.index(arguments.report)
    if arguments.json:
        console.print_json(list(results.values()))
    else:
        _summary(results)
    return 0 if all(r["passed"] or "skipped" in r for r in results.values()) else 1


def _child(name: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """The outcome of one scenario, as its ``--json`` prints it; ``skipped`` says why it was not."""
    from netlab.scenario import bundled
    from netlab.scenario.read import read
    from netlab.scenario.run import check_needs

    try:
        check_needs(read(bundled.find(name)))
    except Unavailable as error:
        return {"scenario": name, "passed": False, "skipped": skipped(error)}
    options = ["--repeat", str(arguments.repeat), "--seed", str(arguments.seed)]
    options += ["--patience", str(arguments.patience)]
    options += ["--report", arguments.report] if arguments.report else []
    # It stays in our process group: Ctrl-C reaches it, and it takes its own lab down.
    ran = subprocess.run(
        [sys.executable, "-m", "netlab", "run", name, "--json", *options],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    try:
        found: dict[str, Any] = json.loads(ran.stdout)
    except ValueError:
        return {"scenario": name, "passed": False, "error": ran.stderr.strip()}
    return found


def _tell(name: str, result: dict[str, Any]) -> None:
    if "skipped" in result:
        print(f"{console.style('-', 'yellow')} {name}: skipped: {result['skipped']}", flush=True)
        return
    mark = console.style("✓", "green") if result["passed"] else console.style("✗", "red")
    digest = result.get("digest", "")[:16]
    print(f"{mark} {name:<22} {digest}", flush=True)
    if "error" in result:
        print("    " + result["error"].replace("\n", "\n    "), flush=True)
    for expectation in result.get("expectations", ()):
        if not expectation["passed"]:
            observed = expectation["observed"].replace("\n", "\n      ")
            print(f"    {expectation['text']}\n      seen: {observed}", flush=True)
    if not result.get("digests_equal", True):
        print("    its runs differ", flush=True)


def _summary(results: dict[str, dict[str, Any]]) -> None:
    passed = sum(r["passed"] for r in results.values())
    left_out = sum("skipped" in r for r in results.values())
    more = f", {left_out} skipped" if left_out else ""
    print(f"{passed} of {len(results)} scenarios passed{more}")
