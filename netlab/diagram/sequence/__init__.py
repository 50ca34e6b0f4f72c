"""The drawing of a ladder: rows of events, and the three looks of them."""
