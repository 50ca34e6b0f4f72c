from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.middlebox.spaces import Spaces

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def spaces() -> Iterator[Spaces]:
    made = Spaces()
    yield made
    made.close()
