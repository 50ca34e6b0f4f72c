"""A function of a scenario, called in a process of its own that can be stopped.

``python -m netlab.scenario.call FILE FUNCTION LAB SEED ROWS``: the rows that it returns are written
into the file ROWS as JSON. What it prints stays what it printed.
"""

from __future__ import annotations

import importlib.util
import json
import random
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from netlab.errors import Diagnostic, InputError, LabError, Unavailable
from netlab.lab.lab import Lab
from netlab.scenario.judge import text_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    Function = Callable[[Lab, random.Random], Iterable[Mapping[str, object]]]

UNAVAILABLE = 69
"""Exit code if this machine does not allow it, as in sysexits.h."""


def function_of(file: Path, name: str) -> Function:
    """The function ``name`` of a Python file.

    Raises:
        InputError: there is no such function.
    """
    specification = importlib.util.spec_from_file_location(file.stem, file)
    assert specification
    assert specification.loader
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    try:
        found: Function = getattr(module, name)
    except AttributeError:
        raise InputError(Diagnostic("E903", f"{file} has no function {name}")) from None
    return found


def main(file: str, name: str, lab: str, seed: str, rows: str) -> int:
    """Call it; 0 if it came to its end."""
    try:
        function = function_of(Path(file), name)
        rng = random.Random(int(seed))  # noqa: S311 - it is to be repeated, not to be secret
        found = [
            {str(key): text_of(value) for key, value in row.items()}
            for row in function(Lab.attach(lab), rng)
        ]
    except (LabError, InputError) as error:
        print(error, file=sys.stderr)
        return UNAVAILABLE if isinstance(error, Unavailable) else 1
    Path(rows).write_text(json.dumps(found), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
