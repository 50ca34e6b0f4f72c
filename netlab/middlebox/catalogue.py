"""All kinds of middlebox, by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from netlab.middlebox.boxes import (
    acknowledging,
    answering,
    errors,
    link,
    options,
    proxying,
    rewriting,
    segments,
    sequence,
)
from netlab.middlebox.rules import headers, passing, reacting

if TYPE_CHECKING:
    from netlab.middlebox.kind import Kind

CATALOGUE: dict[str, Kind] = {
    kind.name: kind
    for group in (
        passing,
        headers,
        reacting,
        link,
        sequence,
        acknowledging,
        proxying,
        segments,
        options,
        errors,
        rewriting,
        answering,
    )
    for kind in group.KINDS
}
