"""The ONLY room that changes the machine."""
