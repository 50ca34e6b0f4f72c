"""The drawing of a topology, from what is shown to where it is to how it looks."""
