"""Where this netlab is, for programs of its own that are started with another Python path."""

from __future__ import annotations

import os

HOME = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
"""Where Python finds this netlab, whether it is installed or not."""
