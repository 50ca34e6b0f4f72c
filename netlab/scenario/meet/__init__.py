"""Which pairs of NATs two programs meet through, each pair in a lab of its own.

    --pairs ──▶ pairs ──▶ cells ──▶ (workers: play each) ──▶ Played ──▶ Table ──▶ text, pages
                                       journal ◀──┘

How two met, and why they did not, is read from the fates of their packets; of the programs only
the condition is asked that decides whether they have met.
"""

from __future__ import annotations
