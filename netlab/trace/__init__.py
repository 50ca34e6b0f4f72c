"""PURE but for ``watch``: from evidence to the fate of every packet.

Nothing is guessed as fact: what no witness saw is ``inferred`` or ``unknown``, and fates are
``complete`` only if every witness was there and none lost anything.
"""
