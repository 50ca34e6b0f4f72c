"""``python -m netlab`` is the command ``netlab``."""

from netlab.cli import entry

entry()
