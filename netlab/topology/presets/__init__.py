"""Known NAT behaviours, as YAML files that a person can read.

Each says what it is (``summary``), where it was observed (``observed``), what follows for the
designer of a protocol (``consequences``), and the keys of ``nat:`` that it sets.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import yaml

from netlab.topology.schema import NatForm

FOLDER = Path(__file__).parent


class Preset(NamedTuple):
    """One preset; ``text`` is its file."""

    name: str
    summary: str
    observed: str
    consequences: str
    nat: NatForm
    text: str


def names() -> list[str]:
    """All presets, in alphabetical order."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def load(name: str) -> Preset:
    """The preset of that name, which is one of ``names``."""
    text = (FOLDER / f"{name}.yaml").read_text(encoding="utf-8")
    data = yaml.safe_load(text)
    form = NatForm.model_validate(data["nat"])
    return Preset(name, data["summary"], data["observed"], data["consequences"], form, text)
