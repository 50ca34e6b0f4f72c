"""A server that runs, and a browser that looks at it."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any, Self

from tests.cli.test_labs import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.diagram.chromium import Chromium

PATIENCE = 60.0


class Served:
    """``netlab serve ARGV``; a context. ``url`` is the first line of its output."""

    def __init__(self, *argv: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "netlab", "serve", *argv, "--no-browser"],
            cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
        )  # fmt: skip
        self.lab: Any = None
        """The lab that it serves, where a test made one for it."""
        self.url = self.line()

    def line(self) -> str:
        """The next line that it prints."""
        assert self._process.stdout
        fd = self._process.stdout.fileno()
        found = b""
        while not found.endswith(b"\n"):
            assert select.select([fd], [], [], PATIENCE)[0], "it prints nothing"
            part = os.read(fd, 1)
            assert part, self._process.communicate()[1].decode()
            found += part
        return found.decode().strip()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.send_signal(signal.SIGINT)
        try:
            output, errors = self._process.communicate(timeout=PATIENCE)
        finally:
            if self._process.poll() is None:
                os.killpg(self._process.pid, signal.SIGKILL)
        assert b"Traceback" not in errors, errors.decode()
        assert self._process.returncode == 0, output + errors

    @property
    def token(self) -> str:
        """The teacher's."""
        return self.url.partition("token=")[2]

    @property
    def place(self) -> str:
        """The address without token."""
        return self.url.partition("/?")[0]

    def ask(
        self, path: str, *, token: str = "", body: Any = None, **headers: str
    ) -> tuple[int, str, Any]:
        """Status, text and headers of the answer to a request."""
        request = urllib.request.Request(self.place + path, headers=headers)
        if token:
            request.add_header("Authorization", f"Bearer {token}")
        if body is not None:
            request.data = json.dumps(body).encode()
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
                return answer.status, answer.read().decode(), answer.headers
        except urllib.error.HTTPError as refused:
            return refused.code, refused.read().decode(), refused.headers


class Page:
    """A page in a browser."""

    def __init__(self, browser: Chromium, url: str) -> None:
        self.browser = browser
        browser.ask("Page.navigate", url=url)
        self.until("document.querySelector('#connection')?.textContent.startsWith('live')")

    def value(self, script: str) -> Any:
        """What an expression comes to."""
        return self.browser.value(script)

    def until(self, script: str) -> Any:
        """Wait until an expression is true, and give its value; of an object, that it is there."""
        ask = (
            f"(() => {{try {{const v = {script};"
            " return v !== null && typeof v === 'object' ? true : v}"
            " catch {return null}})()"
        )
        return until(lambda: self.browser.value(ask), script)

    def fill(self, form: str, **fields: str | bool) -> None:
        """Fill in a form and send it."""
        where = f"document.querySelector('#form-{form}')"
        for name, value in fields.items():
            kind = "checked" if isinstance(value, bool) else "value"
            field = f"{where}.elements[{json.dumps(name.rstrip('_'))}]"
            self.value(f"{field}.{kind} = {json.dumps(value)}")
        self.value(f"{where}.requestSubmit()")

    def text(self, selector: str) -> str:
        """The text of the first element."""
        return str(self.value(f"document.querySelector({json.dumps(selector)})?.textContent ?? ''"))


def until(ask: Callable[[], Any], what: str) -> Any:
    """Ask until the answer is true."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        found = ask()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError(f"it never came to pass: {what}")
