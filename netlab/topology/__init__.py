"""PURE: from the text of a topology file to a checked, frozen model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from netlab.topology.model import Topology

__all__ = ["json_schema", "load", "loads"]


def load(path: str | Path, settings: Mapping[str, str] | None = None) -> Topology:
    """The topology in a file; InputError with all its problems if there are any.

    ``settings`` are single values in place of the file's, by path: ``{"nat.nat.ports": "random"}``.
    """
    from netlab.topology import resolve

    return resolve.load(path, settings)


def loads(text: str, file: str = "<string>") -> Topology:
    """The topology in a text; ``file`` is what messages call it."""
    from netlab.topology import resolve

    return resolve.loads(text, file)


def json_schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of topology files, short forms included."""
    from netlab.topology import resolve

    return resolve.json_schema()
