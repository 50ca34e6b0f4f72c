"""Kinds of traffic against obstacles: which survive, each pair in a lab of its own.

    step ──▶ cells ──▶ (workers: perform each) ──▶ Found ──▶ rows
                              journal ◀──┘

Workers need neither files nor the parser: a cell is all that they are given.
"""

from __future__ import annotations
