"""The result of a sweep: one row for each protocol number, to be printed, drawn and compared."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias, get_args

if TYPE_CHECKING:
    from netlab.capture.evidence import Direction

Outcome: TypeAlias = Literal["received", "partly", "refused", "taken", "lost", "unsent", "unknown"]
"""How a number fared.

    received   the server has them all: its raw socket, or its interface if it held none
    partly     some arrived, some did not
    refused    they arrived, and an ICMP error came back
    taken      they arrived, no raw socket got them and nothing came back: the kernel kept them
    lost       they left and did not arrive
    unsent     the client's own kernel said no
    unknown    they left, and nothing watches at the far end
"""

OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)


class Hop(NamedTuple):
    """How many probes of one number an interface saw."""

    node: str
    interface: str
    direction: Direction
    packets: int


class Row(NamedTuple):
    """The result of one number.

    ``sent``, ``on_wire``, ``arrived`` and ``received`` count packets: accepted by the kernel, seen
    leaving the client, seen at the server where neither a rule nor a routing check refused them,
    delivered to its raw socket; ``None`` where nothing could watch. ``protocol`` is the number on
    the wire, ``None`` if there was no socket. ``latency_us`` is the median of sending to arriving.
    """

    argument: int
    protocol: int | None
    socket_error: int | None
    send_error: int | None
    sent: int
    on_wire: int
    arrived: int | None
    received: int | None
    reply: str | None
    latency_us: float | None
    outcome: Outcome
    reason: str
    length: int | None = None
    hops: tuple[Hop, ...] = ()


class Sweep(NamedTuple):
    """A sweep with its verdicts; ``packets`` of each number were to be sent.

    ``gaps`` say what could not be seen.
    """

    family: int
    packets: int
    rows: tuple[Row, ...]
    gaps: tuple[str, ...] = ()
    interrupted: bool = False

    def to_json(self) -> dict[str, object]:
        """``{"family": 4, "packets": 3, "rows": [{field: value}]}``."""
        rows = [row._asdict() | {"hops": [hop._asdict() for hop in row.hops]} for row in self.rows]
        return self._asdict() | {"rows": rows, "gaps": list(self.gaps)}

    @classmethod
    def from_json(cls, content: dict[str, object]) -> Sweep:
        """The inverse of ``to_json``.

        Raises:
            ValueError: that is not a sweep.
        """
        try:
            rows = tuple(
                Row(**row | {"hops": tuple(Hop(**hop) for hop in row["hops"])})
                for row in content["rows"]  # type: ignore[attr-defined]
            )
            return cls(
                **content | {"rows": rows, "gaps": tuple(content["gaps"])}  # type: ignore[arg-type]
            )
        except (KeyError, TypeError) as problem:
            raise ValueError(f"not a sweep: {problem}") from None
