"""The server by HTTP: who is let in, what is served, what it says of wrong arguments."""

import importlib.util
import os

import pytest

from netlab.lab.lab import Lab
from tests.helpers.commands import printed as netlab
from tests.serve.served import Served

pytestmark = [
    pytest.mark.kernel,
    pytest.mark.skipif(
        not importlib.util.find_spec("aiohttp"), reason="aiohttp: netlab-lab[serve]"
    ),
]


@pytest.fixture(scope="module")
def served(netlab_state):
    """One server for all of these: they only ask."""
    with Lab("topologies/nat.yaml", name=f"served-{os.getpid()}") as lab, Served(lab.name) as it:
        yield it


def test_the_first_line_is_the_address_with_its_token(served):
    assert served.url.startswith("http://127.0.0.1:")
    assert len(served.token) >= 30


@pytest.mark.parametrize(
    "path", ["/", "/live", "/static/app.mjs", "/ladder?flow=x", "/terminal?node=nat"]
)
def test_without_a_token_nothing_is_served(served, path):
    status, text, headers = served.ask(path)
    assert status == 401
    assert "netlab serve" in text
    assert headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert served.ask(path, token="wrong")[0] == 401


def test_the_page_needs_nothing_from_elsewhere_and_says_so(served):
    status, text, headers = served.ask("/", token=served.token)
    assert status == 200
    assert "http://" not in text.replace("http://www.w3.org/", "")
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert (headers["Referrer-Policy"], headers["X-Content-Type-Options"]) == (
        "no-referrer",
        "nosniff",
    )


def test_the_terminal_alone_may_have_styles_of_its_own(served):
    status, _, headers = served.ask("/terminal?node=client", token=served.token)
    assert status == 200
    assert "script-src 'self';" in headers["Content-Security-Policy"]
    assert "style-src 'self' 'unsafe-inline'" in headers["Content-Security-Policy"]


def test_files_outside_are_not_served(served):
    for path in (
        "/static/../app.py",
        "/static/%2e%2e/app.py",
        "/static//etc/passwd",
        "/static/vendor/xterm.LICENSE",
    ):
        assert served.ask(path, token=served.token)[0] == 404, path


def test_a_deed_comes_back_with_its_command_and_output(served):
    form = {"do": "run", "node": "client", "command": "cat /etc/hostname /nowhere"}
    status, text, _ = served.ask("/act", token=served.token, body=form)
    assert status == 200
    assert "-- cat /etc/hostname /nowhere" in text
    assert "No such file" in text
    refused = served.ask("/act", token=served.token, body={"do": "send", "from": "x"})[1]
    assert "this lab has no node" in refused
    assert served.ask("/act", token=served.token, body=[1])[0] == 400


def test_another_page_of_the_browser_can_do_nothing(served):
    form = {"do": "run", "node": "client", "command": "true"}
    assert served.ask("/act", token=served.token, body=form, Origin="http://evil.example")[0] == 403


def test_viewers_look_and_do_nothing():
    with Served("lan", "--share") as it:
        viewer = it.line().partition("token=")[2]
        assert it.ask("/", token=viewer)[0] == 200
        assert 'id="forms"' not in it.ask("/", token=viewer)[1]
        form = {"do": "run", "node": "a", "command": "true"}
        assert it.ask("/act", token=viewer, body=form)[0] == 403
        assert it.ask("/terminal?node=a", token=viewer)[0] == 403


@pytest.mark.parametrize(
    ("argv", "said", "code"),
    [
        (("nowhere",), "E952", 2),
        (("nowhere.yaml",), "E101", 2),
        (("matrix",), "netlab run matrix", 2),
        (("nat", "--port", "99999"), "is not between 0 and 65535", 2),
    ],
)
def test_wrong_arguments_are_answered(argv, said, code):
    assert said in netlab("serve", *argv, "--no-browser", code=code)


def test_a_port_that_is_taken_is_said_and_no_lab_is_left(served):
    port = served.place.rpartition(":")[2]
    assert "E951" in netlab("serve", "nat", "--port", port, "--no-browser", code=1)
