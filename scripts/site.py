"""mkdocs's hooks: the pages that lie beside docs/, their links, and what is where in the menu."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from mkdocs.structure.files import File

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files

ROOT = Path(__file__).parents[1]

BESIDE = {
    "index.md": "README.md",
    "contributing.md": "CONTRIBUTING.md",
    "changes.md": "CHANGELOG.md",
}
"""Pages of the site that are files of the repository's top."""

MENU = {
    "Start": ["index.md", "install.md", "tutorial.md", "topology.md", "containers.md"],
    "Packets": ["fate.md", "programs.md", "one-packet-mystery.md", "hdp.md"],
    "NATs and middleboxes": ["nat.md", "middleboxes.md", "meet.md"],
    "Scenarios and lessons": [
        "scenarios.md", "exercises.md", "writing-scenarios.md", "lesson-nat.md",
    ],
    "Tests": ["ci.md", "languages.md"],
    "TCP": ["tcp.md", "tcp-tour.md", "tcp-recovery.md", "stateless-tcp.md", "rfc9293.md"],
    "Reference": ["commands.md", "errors.md", "glossary.md", "limitations.md", "security.md"],
    "Project": ["architecture.md", "benchmarks.md", "contributing.md", "changes.md"],
}  # fmt: skip
"""Sections of the menu; a page that is in none comes under "More"."""


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Make the menu of the pages that there are."""
    there = {path.name for path in Path(config.docs_dir).glob("*.md")} | BESIDE.keys()
    config.nav = [{name: [page for page in pages if page in there]} for name, pages in MENU.items()]
    rest = sorted(there - {page for pages in MENU.values() for page in pages})
    if rest:
        config.nav.append({"More": rest})
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages of the repository's top, with links as they are within docs/."""
    for name, source in BESIDE.items():
        text = (ROOT / source).read_text()
        for page, file in BESIDE.items():
            text = text.replace(f"]({file}", f"]({page}")
        text = re.sub(r"(\]\(|<img src=\")docs/", r"\1", text)
        files.append(File.generated(config, name, content=text))
    return files
