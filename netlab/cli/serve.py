"""``serve``: a page that shows a lab live, or a scenario as a lesson."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from netlab.errors import Diagnostic, InputError, Unavailable
from netlab.topology.shipped import SUFFIXES

if TYPE_CHECKING:
    from netlab.lab.lab import Lab
    from netlab.scenario.model import Scenario


def serve(parser: argparse.ArgumentParser) -> None:
    """Describe ``netlab serve``."""
    parser.epilog = (
        "Of a file or a scenario, a lab is made and removed when the server ends (Ctrl-C).\n"
        "The first line printed is the address of the page, with its token. Needs aiohttp:\n"
        "pip install 'netlab-lab[serve]'.\n\n"
        "examples:\n"
        "  netlab serve nat\n"
        "  netlab serve topologies/nat.yaml --port 8080 --no-browser\n"
        "  netlab serve hairpinning --share"
    )
    parser.add_argument(
        "what", metavar="LAB|FILE|SCENARIO", nargs="?",
        help="a lab that runs, a topology or scenario; may be left out if only one lab is running",
    )  # fmt: skip
    parser.add_argument(
        "--port", type=_port, default=0, metavar="N", help="the port (default: any that is free)"
    )
    parser.add_argument("--no-browser", action="store_true", help="do not open a browser")
    parser.add_argument(
        "--share", action="store_true",
        help="for a class: on all addresses of this machine, with a second token that only looks",
    )  # fmt: skip
    parser.set_defaults(run=_serve)


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not between 0 and 65535")
    return int(text)


def _serve(arguments: argparse.Namespace) -> int:
    from netlab.cli.scenario import end_well

    try:
        from netlab.serve import server
    except ImportError as error:
        message = f"the page needs aiohttp: {error}"
        hint = "pip install 'netlab-lab[serve]'"
        raise Unavailable(Diagnostic("E950", message, hint=hint)) from None
    end_well()
    lab, scenario = _meant(arguments.what)
    return server.serve(
        lab,
        scenario,
        port=arguments.port,
        share=arguments.share,
        browser=not arguments.no_browser and sys.stdout.isatty(),
    )


def _meant(what: str | None) -> tuple[Lab, Scenario | None]:
    """The lab, started or not, and the scenario that is played in it."""
    from netlab.lab import record
    from netlab.lab.lab import Lab
    from netlab.scenario import bundled
    from netlab.topology import shipped

    if what is None or any(found.name == what for found in record.labs()):
        return Lab.attach(what), None
    is_path = what.endswith(SUFFIXES) or "/" in what
    if not is_path and what in (*bundled.names(), *bundled.exercises()):
        return _lesson(bundled.find(what))
    if is_path and _is_scenario(Path(what)):
        return _lesson(Path(what))
    if not is_path and shipped.path(what) is None:
        from netlab.topology.problems import nearest

        known = [*(lab.name for lab in record.labs()), *shipped.names(), *bundled.names()]
        message = f"no lab, topology or scenario is named {what!r}"
        raise InputError(Diagnostic("E952", message, hint=nearest(what, known)))
    return Lab(shipped.find(what)), None


def _is_scenario(file: Path) -> bool:
    from netlab.topology import source
    from netlab.topology.problems import Problems

    problems = Problems(str(file))
    tree = source.parse(source.read(file, problems), problems)
    problems.raise_if_any()
    return "steps" in tree.entries


def _lesson(file: Path) -> tuple[Lab, Scenario]:
    import secrets

    from netlab.lab.lab import Lab
    from netlab.scenario.model import Matrix
    from netlab.scenario.read import read
    from netlab.scenario.run import check_needs

    scenario = read(file)
    if any(isinstance(step.action, Matrix) for step in scenario.steps):
        message = f"{scenario.name} has a matrix, whose cells have labs of their own"
        raise InputError(Diagnostic("E952", message, hint=f"netlab run {scenario.name} --report"))
    check_needs(scenario)
    name = f"{scenario.name[:32]}-{secrets.token_hex(2)}"
    return Lab(scenario.topology, name=name), scenario
