"""docs/tcp-recovery.md shows real runs, and places that exist."""

from __future__ import annotations

import importlib
import re

import pytest

from tests.tcp.recovery_page import PAGE, RUNS, ladder

TEXT = PAGE.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", RUNS)
def test_each_run_is_a_real_one(name: str) -> None:
    shown = f"<!-- run: {name} -->\n```text\n{ladder(name)}\n```\n"
    assert shown in TEXT, "python -m tests.tcp.recovery_page writes it anew"


@pytest.mark.parametrize("place", sorted(set(re.findall(r"`(tcp\.[a-z_.]+:[\w.]+)`", TEXT))))
def test_the_places_exist(place: str) -> None:
    module, _, name = place.partition(":")
    assert hasattr(importlib.import_module(f"netlab.{module}"), name)
