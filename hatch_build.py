"""Manual pages, completions and the JSON Schema, made when a release is built.

The sdist holds them below ``share``, made from the program itself; that build needs what the
program needs (pyproject.toml says so). A wheel built from an sdist installs them into the
environment's own ``share``; one built from a plain checkout goes without.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class Share(BuildHookInterface):  # type: ignore[misc] # hatchling has no types for it
    """What hatchling calls before and after it builds an archive."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add ``share`` to the archive."""
        share = Path(self.root) / "share"
        if self.target_name == "sdist":
            if not share.is_dir():
                share = self._make()
            build_data["force_include"][str(share)] = "share"
        elif version == "standard" and share.is_dir():
            build_data["shared_data"][str(share)] = "share"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Remove what was made on the way."""
        del version, build_data, artifact_path
        if hasattr(self, "_made"):
            self._made.cleanup()

    def _make(self) -> Path:
        self._made = tempfile.TemporaryDirectory(prefix="netlab-share.")
        directory = Path(self._made.name) / "share"
        command = [sys.executable, f"{self.root}/scripts/share.py", str(directory)]
        paths = {"PYTHONPATH": self.root, "PYTHONDONTWRITEBYTECODE": "1"}
        subprocess.run(command, check=True, env=paths)
        return directory
