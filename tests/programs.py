"""The programs that tests run beside netlab, and what happens where one is missing.

A test that cannot do without one has the mark ``needs``: it is skipped with the name of the Debian
package. In CI (where the variable ``CI`` is set) nothing may be missing, so there it fails.
"""

import os
import shutil
from typing import NoReturn

import pytest

from netlab.lab.enter import PACKAGES

PATH = f"{os.environ['PATH']}:/usr/local/sbin:/usr/sbin:/sbin"
"""Debian gives ordinary users no directory of servers."""

needs = pytest.mark.needs


def find(program: str) -> str:
    """Its path, or the end of the test."""
    found = shutil.which(program, path=PATH)
    if not found:
        missing(program, PACKAGES[program])
    return found


def missing(program: str, package: str) -> NoReturn:
    """End the test because ``program`` is not installed."""
    reason = f"needs {program}: apt install {package}"
    if os.environ.get("CI"):
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)
