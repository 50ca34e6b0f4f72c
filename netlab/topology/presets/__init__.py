"""Known NAT behaviours, as YAML files that a person can read.

Each says what it is (``summary``), where it was observed (``observed``), what follows for the
designer of a protocol (``consequences``), and the keys of ``nat:`` that it sets.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import yaml
from pydantic import ValidationError

from netlab.errors import InputError
from netlab.topology import source
from netlab.topology.problems import Problems
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


def is_file(name: str) -> bool:
    """Whether ``preset: NAME`` means a file of one's own, such as ``./my-router.yaml``."""
    return name.endswith((".yaml", ".yml"))


def load_file(path: Path) -> Preset:
    """The preset of a file as these are; of its keys only ``nat`` must be there.

    Raises:
        ValueError: it cannot be read, or is no preset; the text says why.
    """
    try:
        text = source.read(path, Problems(str(path)))
    except InputError as error:
        raise ValueError(error.diagnostics[0].message) from None
    try:
        data = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError):
        raise ValueError("it is not YAML") from None
    if not isinstance(data, dict) or not isinstance(data.get("nat"), dict):
        raise ValueError("it has no mapping `nat`")  # noqa: TRY004 - of its text, not of a type
    summary, observed, consequences = (
        str(data.get(key, "")) for key in ("summary", "observed", "consequences")
    )
    try:
        form = NatForm.model_validate(data["nat"])
    except ValidationError as error:
        [first, *_] = error.errors(include_url=False, include_input=False)
        place = ".".join(map(str, ("nat", *first["loc"])))
        raise ValueError(f"`{place}`: {first['msg']}") from None
    if form.preset is not None:
        raise ValueError("it names a preset itself")
    return Preset(str(path), summary, observed, consequences, form, text)


def load(name: str) -> Preset:
    """The preset of that name, which is one of ``names``."""
    text = (FOLDER / f"{name}.yaml").read_text(encoding="utf-8")
    data = yaml.safe_load(text)
    form = NatForm.model_validate(data["nat"])
    return Preset(name, data["summary"], data["observed"], data["consequences"], form, text)
