"""``trace``, ``explain``, ``capture``, ``ladder``: what became of the packets."""
