"""What is run in a lab, what must come of it, and the verdict.

file ──▶ Scenario ──▶ (run: a lab, each step) ──▶ Observation ──▶ judge ──▶ Outcome
"""

from __future__ import annotations
