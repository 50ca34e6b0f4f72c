"""The idioms that CONTRIBUTING.md asks to avoid are in no text of ours."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

IDIOMS = {
    r"\btold\b": "say who reports what",
    r"(?:[`'\"})]|\b(?:it|that|this|what|which)) (?:is|are) no (?!longer|more|less)": "is not a",
    r"\bcomes? to the same\b": "is the same",
    r"\blets? expect\b": "the plan predicts",
    r"\bnobody's\b": "no node has this address",
    r"\bstands?\b(?! in\b)": "is, means, is placed",
    r"\bmanieth\b": "which of them",
    r"\bcame to no end\b": "did not finish",
}

TEXTS = [
    *sorted((ROOT / "netlab").rglob("*.py")),
    *sorted((ROOT / "netlab").rglob("*.yaml")),
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "scenarios").rglob("*.yaml")),
    *sorted((ROOT / "topologies").rglob("*.yaml")),
    ROOT / "README.md",
    ROOT / "CHANGELOG.md",
]


@pytest.mark.parametrize("path", TEXTS, ids=lambda p: str(p.relative_to(ROOT)))
def test_no_idiom_reads_as_if_translated(path: Path) -> None:
    found = [
        f"{path.relative_to(ROOT)}:{number}: {match[0]!r}: {better}"
        for number, line in enumerate(path.read_text().splitlines(), 1)
        for idiom, better in IDIOMS.items()
        if (match := re.search(idiom, line))
    ]
    assert not found, "\n".join(found)
