"""A run again, from the JSON of its outcome: the same files and seed, and so the same digest.

The outcome holds the hashes of the scenario and its topology. Other files are another experiment
and are refused; other versions of netlab, the kernel or Python are reported.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from netlab.errors import Diagnostic, InputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

FILES = {"scenario_sha256": "scenario", "topology_sha256": "topology"}
VERSIONS = ("netlab", "kernel", "python", "machine", "user")


class Original(NamedTuple):
    """What an outcome says of how it was made."""

    scenario: str
    digest: str
    seed: int
    environment: Mapping[str, str]


def read(file: str, name: str = "") -> Original:
    """The outcome in ``file``; of several (``run --all --json``) the one of the scenario ``name``.

    ``InputError`` if there is none.

    Raises:
        InputError: the file is not a result of ``netlab run``.
    """
    try:
        content = json.loads(Path(file).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(
            Diagnostic("E919", f"{file} is not a `netlab run --json` result: {error}")
        ) from None
    outcomes = content if isinstance(content, list) else [content]
    found = [original for outcome in outcomes for original in _original(outcome)]
    if len(found) > 1:
        found = [original for original in found if original.scenario == name]
    if not found:
        hint = (
            "netlab run NAME --json > FILE; if FILE has several results, name one: netlab run NAME"
        )
        raise InputError(Diagnostic("E919", f"{file} contains no result to replay", hint=hint))
    return found[0]


def _original(outcome: object) -> Iterator[Original]:
    match outcome:
        case {
            "scenario": str(name),
            "digest": str(digest),
            "seed": int(seed),
            "environment": {"scenario_sha256": str(), "topology_sha256": str()} as environment,
        }:
            yield Original(name, digest, seed, environment)


def check(original: Original, environment: Mapping[str, str]) -> None:
    """Raise ``InputError`` if the scenario or its topology is not what it was.

    Raises:
        InputError: the scenario or its topology is not what it was.
    """
    changed = [what for key, what in FILES.items() if environment[key] != original.environment[key]]
    if changed:
        message = f"the {' and the '.join(changed)} of {original.scenario} changed since"
        hint = "replay it with the files that it was made from"
        raise InputError(Diagnostic("E920", message, hint=hint))


def differences(original: Original, environment: Mapping[str, str]) -> list[str]:
    """What else is not as it was: ``kernel 6.1 then, 6.12 now``."""
    return [
        f"{key} {original.environment.get(key, 'unknown')} then, {environment[key]} now"
        for key in VERSIONS
        if original.environment.get(key) != environment[key]
    ]
