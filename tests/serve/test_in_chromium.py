"""The page as a class has it: packets move, forms do what commands do, votes count."""

import importlib.util
import os

import pytest

from netlab.lab.lab import Lab
from tests.diagram.chromium import Chromium
from tests.helpers.commands import printed as netlab
from tests.programs import needs
from tests.serve.served import Page, Served, until

pytestmark = [
    pytest.mark.kernel,
    pytest.mark.skipif(
        not importlib.util.find_spec("aiohttp"), reason="aiohttp: netlab-lab[serve]"
    ),
    needs("chromium"),
]

HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def chromium():
    with Chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def served(netlab_state):
    with Lab("topologies/nat.yaml", name=f"page-{os.getpid()}") as lab, Served(lab.name) as it:
        it.lab = lab
        yield it


@pytest.fixture
def page(chromium, served):
    chromium.problems.clear()
    chromium.screen(1600, 1000)
    yield Page(chromium, served.url)
    assert chromium.problems == []


def ping(page):
    """Three echo requests, and their answers."""
    page.fill("ping", from_="client", to="server")
    page.until("document.querySelector('#done .output')?.textContent.includes('3 received')")


def test_the_token_is_not_in_the_address_any_more(page):
    assert "token" not in page.value("location.href")
    assert page.value("document.cookie") == "", "no script can read it"


def test_a_packet_travels_and_arrives(page):
    page.fill("send", from_="client", to="server", proto="udp", listen=True)
    page.until("netlab.stage.moving.length > 0")
    row = page.until(
        "[...document.querySelectorAll('#packet-list tr.good')].map(row => row.textContent)"
        ".find(words => words.includes('delivered in server'))"
    )
    assert "UDP 192.168.1.2" in row
    assert "netlab explain" in page.until(
        "document.querySelector('#done pre.command')?.textContent"
    )
    page.until("document.querySelector('#table-list').textContent.includes('192.168.1.2')")


def test_a_packet_dies_with_its_sentence_and_its_line(page):
    page.value("netlab.stage.speed = 16")
    page.fill("send", from_="server", to="nat", proto="tcp", port="22")
    page.until("netlab.stage.crosses.length > 0")
    fate = page.until("document.querySelector('#fate').textContent")
    assert 'rule "unsolicited to the NAT" (nat.yaml:' in fate
    assert "outside: wan" in fate, "the line of the topology file"


@pytest.mark.soak
def test_pause_step_and_play(page):
    page.value("document.querySelector('#play').click()")
    assert page.text("#play") == "Play"
    ping(page)
    page.until("netlab.stage.moving.length > 0")
    stood = page.value("netlab.stage.now")
    page.value("document.querySelector('#step').click()")
    page.until(f"netlab.stage.now > {stood}")
    page.until("netlab.stage.until === Infinity")
    assert page.value("netlab.stage.moving.length") > 0
    page.value("document.querySelector('#play').click()")
    page.value("netlab.stage.speed = 16")
    page.until("netlab.stage.moving.length === 0")


def test_a_chosen_packet_shows_its_hops_and_its_conversation(page):
    ping(page)
    page.until("document.querySelectorAll('#packet-list button.number').length > 3")
    page.value("document.querySelector('#packet-list button.number').click()")
    page.until("document.querySelectorAll('#packet mark').length > 0")
    page.until("document.querySelector('#ladder-drawing svg')")
    assert "IP::" in page.text("#packet mark")


def test_a_command_and_a_change_are_done_and_undone(page, served):
    page.fill("run", node="client", command="ip route")
    page.until("document.querySelector('#done .output')?.textContent.includes('default via')")
    page.fill("set", path="nat.nat", key="filtering", value="address-dependent")
    page.until("document.querySelector('#done .output')?.textContent.includes('nat')")
    changed = served.lab["nat"].run(["nft", "list", "ruleset"]).stdout
    assert "filtering address-dependent" in changed
    page.until("!document.querySelector('#undo').disabled")
    page.value("document.querySelector('#undo').click()")
    page.until("document.querySelector('#done .output')?.textContent === 'undone'")
    assert "filtering" not in served.lab["nat"].run(["nft", "list", "ruleset"]).stdout


@pytest.mark.soak
def test_a_rule_is_added_and_taken_away(page, served):
    page.fill("rule", node="nat", hook="forward", rule="udp dport 53 counter drop")
    page.until(
        "document.querySelector('#done .command')?.textContent.includes('add rule inet classroom')"
    )
    page.fill("send", from_="client", to="server", proto="udp", port="53")
    page.until(
        "document.querySelector('#packet-list tr.bad')?.textContent.includes('denied in nat')"
    )
    page.value("document.querySelector('#undo').click()")
    page.until("document.querySelector('#done .output')?.textContent === 'undone'")
    assert "dport 53" not in served.lab["nat"].run(["nft", "list", "ruleset"]).stdout


def test_a_click_on_a_wire_breaks_it_and_another_mends_it(page, served):
    hit = "document.querySelector('.hit')"
    end = page.value(f"{hit}.dataset.left")
    page.value(f"{hit}.dispatchEvent(new MouseEvent('click', {{bubbles: true}}))")
    page.until("document.querySelector('#drawing path.broken')")
    node, _, interface = end.partition(":")
    assert "DOWN" in served.lab[node].run(["ip", "-br", "link", "show", interface]).stdout
    page.value(
        f"{hit}.dispatchEvent(new KeyboardEvent('keydown', {{key: 'Enter', bubbles: true}}))"
    )
    page.until("!document.querySelector('#drawing path.broken')")
    assert "UP" in served.lab[node].run(["ip", "-br", "link", "show", interface]).stdout


def test_a_terminal_is_a_shell_in_the_node(page):
    page.value("document.querySelector('#terminal-node').value = 'server'")
    page.value("document.querySelector('#open-terminal').click()")
    frame = "document.querySelector('.terminal iframe').contentWindow.netlab.terminal"
    page.until(f"{frame}.element")
    page.until(f"{frame}.buffer.active.getLine(0).translateToString().trim()")
    page.value(
        f"{frame}.input('echo $((6*7))-$(ip -o -4 addr show eth0 | grep -o 198.51.100.2)\\r')"
    )
    page.until(
        f"[...Array(20).keys()].map(n => {frame}.buffer.active.getLine(n)?.translateToString())"
        ".some(line => line?.includes('42-198.51.100.2'))"
    )
    page.value("[...document.querySelectorAll('.terminal button')].at(-1).click()")


def test_hostile_words_are_text(page):
    page.fill("run", node="client", command=f"echo '{HOSTILE}'")
    page.until(f"document.querySelector('#done .output')?.textContent.includes({HOSTILE!r})")
    assert page.value("document.querySelectorAll('img').length") == 0


def test_it_fits_every_screen(page, chromium):
    ping(page)
    unlabelled = (
        "[...document.querySelectorAll('input, select, button')]"
        ".filter(e => !e.labels?.length && !e.textContent.trim()).length"
    )
    for width in (360, 1600):
        for scheme in ("light", "dark"):
            chromium.screen(width, scheme=scheme)
            assert page.value("document.documentElement.scrollWidth - innerWidth") <= 0
            assert page.value(unlabelled) == 0


def test_the_class_votes_and_then_sees_the_truth(chromium):
    with Served("one-packet-filter", "--share") as it:
        viewer = it.line().partition("for the class: ")[2]
        chromium.problems.clear()
        page = Page(chromium, it.place + "/?" + viewer.partition("/?")[2])
        assert page.value("document.querySelectorAll('#go-on').length") == 0
        assert "What you will see" in page.text("#story")
        page = Page(chromium, it.url)
        page.value("document.querySelector('#go-on').click()")
        page.until("document.querySelector('.choice button')")
        page.value("document.querySelector('.choice button').click()")
        page.until("document.querySelector('.choice span').textContent === '1 of 1'")
        page.value("document.querySelector('#go-on').click()")
        page.until("document.querySelector('.choice.right')")
        assert "✓" in page.text(".verdicts")
        assert chromium.problems == []


def test_it_finds_back_when_the_server_comes_again(chromium):
    name = f"again-{os.getpid()}"
    with Lab("topologies/lan.yaml", name=name):
        with Served(name) as it:
            port = it.place.rpartition(":")[2]
            page = Page(chromium, it.url)
        page.until("document.querySelector('#connection').textContent.startsWith('no connection')")
        with Served(name, "--port", port):
            page.until("document.querySelector('#connection').textContent.startsWith('live')")
        chromium.problems.clear()  # of the time without a server


def test_a_lab_that_goes_is_said_and_the_last_state_stays(chromium):
    name = f"gone-{os.getpid()}"
    netlab("up", "lan", "--name", name)
    with Served(name) as it:
        page = Page(chromium, it.url)
        netlab("down", name)
        page.until("document.querySelector('#connection').textContent.includes('the lab is down')")
        assert page.value("document.querySelector('#drawing svg') !== null")
        until(lambda: "last state" in it.ask("/", token=it.token)[1], "the page is still served")
    chromium.problems.clear()
