"""PURE: who may do what, by the token that a request carries."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping

Role: TypeAlias = Literal["teacher", "viewer"]

BEARER = "Bearer "


class Tokens(NamedTuple):
    """The two secrets: whoever has the teacher's may do everything, the viewer's may look."""

    teacher: str
    viewer: str

    def role(self, token: str) -> Role | None:
        """The role of a token; ``None`` if it is neither of them."""
        given = token.encode()
        if hmac.compare_digest(given, self.teacher.encode()):
            return "teacher"
        if hmac.compare_digest(given, self.viewer.encode()):
            return "viewer"
        return None

    def of_request(
        self, query: Mapping[str, str], headers: Mapping[str, str], cookie: str
    ) -> Role | None:
        """The role of a request: by ``?token=``, ``Authorization: Bearer``, or its cookie."""
        if "token" in query:
            return self.role(query["token"])
        given = headers.get("Authorization", "")
        if given.startswith(BEARER):
            return self.role(given.removeprefix(BEARER))
        return self.role(cookie)


def is_same_origin(headers: Mapping[str, str]) -> bool:
    """Whether a request that changes something comes from this server's own page.

    A browser sends ``Origin`` with each of them (Fetch, section 3.2); a program need not.
    """
    origin = headers.get("Origin")
    return origin is None or origin.partition("://")[2] == headers.get("Host", "")
