"""How fast netlab is, side by side with what else does the same: ``python -m benchmarks NAME``.

Each module has ``run(quick) -> Result``; ``__main__`` lists them. A row compares one figure with
one peer, and its ``ratio`` is above 1 where ours is the better, whatever the unit. A peer that is
not installed is named as missing and has no row.
"""
