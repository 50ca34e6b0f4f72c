"""``python -m netlab`` is the command ``netlab``."""

import sys

from netlab.cli import main

sys.exit(main())
