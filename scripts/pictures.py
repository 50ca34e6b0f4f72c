"""Draw the pictures of the lessons: each shows a step of a scenario as it just happened in a lab.

python scripts/pictures.py          # write docs/pictures/lesson-*.svg
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from netlab.diagram import graph, trace_text
from netlab.plan.build import build
from netlab.plan.inline import insert_inline_nodes
from netlab.scenario import bundled
from netlab.scenario.read import read
from netlab.scenario.run import play
from netlab.topology import load

ROOT = Path(__file__).parents[1]
DIRECTORY = ROOT / "docs" / "pictures"


class Scene(NamedTuple):
    """A picture: the step of a scenario whose packets it shows, and its heading."""

    scenario: str
    step: str
    title: str


SCENES = {
    "lesson-two-clients": Scene(
        "two-clients", "the second client", "The second client's packets, after the first one's"
    ),
    "lesson-hairpinning": Scene(
        "hairpinning", "at the front door", "Boris calls at the household's front door"
    ),
    "lesson-filter": Scene(
        "one-packet-filter", "unknown protocol, IPv4", "Five packets of an unknown protocol"
    ),
}
LABS = {"lesson-home": "home", "lesson-hole-punching": "hole-punching"}
"""Pictures of a topology alone."""


def ways(scene: Scene) -> str:
    """Play the scenario as far as the step, and draw where its packets went."""
    scenario = read(bundled.find(scene.scenario))
    names = [step.name for step in scenario.steps]
    run = play(replace(scenario, steps=scenario.steps[: names.index(scene.step) + 1]))
    done = run.done[-1]
    topology = load(scenario.topology)
    found = trace_text.ways(done.traces or (), build(topology), done.numbers)
    return graph.svg(
        replace(insert_inline_nodes(topology), name=scene.title, description=""), found
    )


def pictures() -> dict[str, str]:
    """All of them, by name."""
    return {
        **{name: graph.svg(load(ROOT / f"topologies/{lab}.yaml")) for name, lab in LABS.items()},
        **{name: ways(scene) for name, scene in SCENES.items()},
    }


def main() -> int:
    """Write them."""
    for name, picture in pictures().items():
        (DIRECTORY / f"{name}.svg").write_text(picture, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
