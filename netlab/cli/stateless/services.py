"""What is served: a framing, and an application that gives the answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from netlab.errors import Diagnostic, InputError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from netlab.io.stateless.server import Application
    from netlab.stateless.bursts import Source
    from netlab.stateless.framing import Framing


class Service(NamedTuple):
    """``application`` is made inside the running loop."""

    framing: Framing
    application: Callable[[argparse.Namespace], Application]
    source: Source | None = None


def http(arguments: argparse.Namespace) -> Service:
    """A text, files, or what a server behind says."""
    from netlab.io.stateless.backends import Files, HttpBackend, Text
    from netlab.stateless.http import Http

    if arguments.text is not None:
        text = Text(arguments.text.encode("utf-8", "surrogateescape") + b"\n")
        return Service(Http(), lambda _: text)
    if arguments.file is not None:
        try:
            if not arguments.file.is_dir():
                raise NotADirectoryError(20, "not a directory")
            files = Files(arguments.file)
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise InputError(Diagnostic("E803", f"{arguments.file}: {reason}")) from None
        return Service(Http(), lambda _: files, files)
    backend = HttpBackend(*arguments.backend, timeout=arguments.timeout, raw=arguments.as_published)
    return Service(Http(), lambda _: backend)


def dns(_: argparse.Namespace) -> Service:
    """What a resolver says."""
    from netlab.io.stateless.backends import Resolver
    from netlab.stateless.dns import Dns

    def resolver(arguments: argparse.Namespace) -> Application:
        return Resolver(*arguments.resolver, timeout=arguments.timeout, raw=arguments.as_published)

    return Service(Dns(), resolver)


def echo(_: argparse.Namespace) -> Service:
    """RFC 862."""
    from netlab.io.stateless.backends import echo as answer
    from netlab.stateless.framing import Echo

    return Service(Echo(), lambda _: answer)
