"""PURE: from a topology to the operations that build it."""
