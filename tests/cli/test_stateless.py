"""``netlab stateless`` with what cannot be used: a reason, never a traceback."""

from __future__ import annotations

import re

import pytest

from netlab.cli import main


@pytest.mark.parametrize(
    ("argv", "reason"),
    [
        (["echo"], "--listen"),
        (["echo", "--listen", "192.0.2.1"], "is not HOST:PORT"),
        (["echo", "--listen", "192.0.2.1:0"], "is not HOST:PORT"),
        (["echo", "--listen", "192.0.2.1:65536"], "is not HOST:PORT"),
        (["echo", "--listen", "server:80"], "is not an IP address"),
        (["echo", "--listen", "0.0.0.0:80"], "not the address of one host"),
        (["echo", "--listen", "[ff02::1]:80"], "not the address of one host"),
        (["http", "--listen", "192.0.2.1:80"], "--text"),
        (["http", "--listen", "192.0.2.1:80", "--text", "a", "--file", "."], "not allowed"),
        (["http", "--listen", "192.0.2.1:80", "--backend", "there"], "is not HOST:PORT"),
        (["dns", "--listen", "192.0.2.1:53"], "--resolver"),
        (["dns", "--listen", "192.0.2.1:53", "--resolver", "a:b"], "is not HOST:PORT"),
        (["echo", "--listen", "192.0.2.1:7", "--workers", "0"], "is not between"),
        (["echo", "--listen", "192.0.2.1:7", "--segment-size", "9999"], "is not between"),
        (["echo", "--listen", "192.0.2.1:7", "--tun", "t", "--interface", "e"], "not allowed"),
    ],
)
def test_wrong_usage(argv: list[str], reason: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["stateless", *argv])
    assert ended.value.code == 2
    assert reason in capsys.readouterr().err


@pytest.mark.parametrize(
    ("argv", "code", "error"),
    [
        (["http", "--listen", "192.0.2.1:80", "--file", "/nonexistent"], 2, "E803"),
        (["http", "--listen", "192.0.2.1:80", "--file", "/etc/hostname"], 2, "E803"),
        (["echo", "--listen", "192.0.2.1:7", "--tun", "t", "--workers", "2"], 2, "E808"),
        (["echo", "--listen", "192.0.2.1:7", "--interface", "no-such-one"], 1, "E80[56]"),
        (["echo", "--listen", "192.0.2.1:7", "--tun", "no-such-one"], 1, "E806.*no interface"),
    ],
)
def test_what_cannot_be_served(
    argv: list[str], code: int, error: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["stateless", *argv]) == code
    printed = capsys.readouterr().err
    assert re.search(error, printed)
    assert "Traceback" not in printed
