"""The data cases of this folder: a topology file, and beside it what must come of it.

``python -m tests.topology.cases`` writes the expectations anew; read the difference before it is
committed, for what stands there is the contract.
"""

from __future__ import annotations

import json
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from netlab.errors import InputError, Position
from netlab.topology import loads

if TYPE_CHECKING:
    from netlab.topology.model import Topology

HERE = Path(__file__).parent / "cases"
BAD = sorted((HERE / "bad").glob("*.yaml"))
GOOD = sorted((HERE / "good").glob("*.yaml"))
SHIPPED = sorted((Path(__file__).parents[2] / "topologies").glob("*.yaml"))


def rendered_problems(path: Path) -> str:
    """What a user sees of a bad file; the topology's name if it is none."""
    try:
        return f"no problem: {loads(path.read_text(), path.name).name}\n"
    except InputError as error:
        return f"{error}\n"


def rendered_topology(topology: Topology) -> str:
    """A topology as JSON, without what is at its default and without origins."""
    return json.dumps(_plain(topology), indent=1, ensure_ascii=False) + "\n"


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        given = {f.name: (getattr(value, f.name), f.default) for f in fields(value)}
        return {
            name: _plain(v)
            for name, (v, default) in given.items()
            if v != default and not isinstance(v, Position)
        }
    if isinstance(value, tuple):
        return [_plain(v) for v in value]
    return value if isinstance(value, (int, float, bool, type(None))) else str(value)


def main() -> None:
    """Write all expectations."""
    for path in BAD:
        path.with_suffix(".txt").write_text(rendered_problems(path))
    for path in GOOD:
        topology = loads(path.read_text(), path.name)
        path.with_suffix(".json").write_text(rendered_topology(topology))


if __name__ == "__main__":
    main()
