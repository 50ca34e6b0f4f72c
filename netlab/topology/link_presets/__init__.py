"""Known kinds of access links, as YAML files that a person can read.

Each says what it is (``summary``), where its numbers come from (``sources``), and the impairments
of each direction: ``outbound`` is what the subscriber sends.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import yaml

FOLDER = Path(__file__).parent


class LinkPreset(NamedTuple):
    """One preset; ``ways`` are the impairments by direction, as a topology file has them."""

    name: str
    summary: str
    sources: str
    ways: dict[str, dict[str, object]]
    text: str


def names() -> list[str]:
    """All presets, in alphabetical order."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def load(name: str) -> LinkPreset:
    """The preset of that name, which is one of ``names``."""
    text = (FOLDER / f"{name}.yaml").read_text(encoding="utf-8")
    data = yaml.safe_load(text)
    ways = {way: dict(data[way]) for way in ("outbound", "inbound")}
    return LinkPreset(name, data["summary"], data["sources"], ways, text)
