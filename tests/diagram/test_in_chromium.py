"""Pages as a reader has them: in a browser, on a phone and a projector, dark and light, by keys."""

import subprocess
from pathlib import Path

import pytest

from netlab.diagram import page
from netlab.diagram.primitives.markup import DARK, LIGHT
from netlab.scenario import bundled
from netlab.scenario import pages as chronicle
from netlab.scenario.read import read
from netlab.scenario.run import repeat
from tests.diagram.chromium import Chromium
from tests.helpers.commands import NETLAB
from tests.programs import needs

PROBE = (Path(__file__).parent / "probe.js").read_text()
PHONE, PROJECTOR = 360, 1600

pytestmark = [
    pytest.mark.kernel,
    pytest.mark.usefixtures("netlab_leaves_no_trace"),
    needs("chromium"),
]


@pytest.fixture(scope="module")
def report(tmp_path_factory, netlab_state):
    """The page of a scenario with packets that arrive, are rewritten and die."""
    directory = tmp_path_factory.mktemp("report")
    scenario = read(bundled.find("one-packet-filter"))
    chronicle.write(repeat(scenario, 1), str(directory))
    return directory / "one-packet-filter.html"


@pytest.fixture(scope="module")
def chromium():
    with Chromium() as browser:
        yield browser


@pytest.fixture
def browser(chromium):
    chromium.problems.clear()
    yield chromium
    assert chromium.problems == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [PHONE, PROJECTOR])
def test_fits_the_screen_and_can_be_read(browser, report, width, scheme):
    browser.screen(width, scheme=scheme)
    browser.open(report)
    found = browser.value(PROBE)
    assert browser.value("innerWidth") == width
    assert found["overflow"] == 0
    assert found["wide"] == []
    assert found["texts"] > 200
    assert found["poor"] == []
    assert found["dangling"] == found["twice"] == found["unreachable"] == []


def test_the_probe_sees_what_is_wrong(browser, tmp_path):
    file = tmp_path / "poor.html"
    file.write_text(
        "<!doctype html><meta name=viewport content='width=device-width'>"
        "<p style='color:#999'>pale</p><div style='width:500px'>wide</div>"
        "<a href='#nowhere'>to nothing</a><i id=x></i><i id=x></i><button tabindex=-1>b</button>"
        "<svg width=99 height=40><rect width=99 height=40 fill=#b00 />"
        "<text x=9 y=25>dark</text></svg>"
    )
    browser.screen(PHONE)
    browser.open(file)
    found = browser.value(PROBE)
    assert [text for text, *_ in found["poor"]] == ["pale", "dark"]
    assert found["overflow"] > 100
    assert len(found["wide"]) == 1
    assert found["dangling"] == ["nowhere"]
    assert found["twice"] == ["x"]
    assert len(found["unreachable"]) == 1


@pytest.mark.soak
def test_every_scenario_s_page_can_be_read_on_every_screen(browser, tmp_path):
    subprocess.run(
        [*NETLAB, "run", "--all", "-j", "2", "--report", str(tmp_path)],
        check=True, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    pages = sorted(tmp_path.glob("*.html"))
    assert len(pages) == len(bundled.names()) + 1
    for file in pages:
        for width in (PHONE, PROJECTOR):
            for scheme in ("light", "dark"):
                browser.screen(width, scheme=scheme)
                browser.open(file)
                found = browser.value(PROBE)
                assert found["overflow"] == 0, file
                for kind in ("wide", "poor", "dangling", "twice", "unreachable"):
                    assert found[kind] == [], (file, kind)


def test_every_part_is_reached_by_keys_and_shows_it(browser, report):
    browser.screen(PROJECTOR)
    browser.open(report)
    count = browser.value(PROBE)["interactive"]
    reached = set()
    for _ in range(count):
        browser.key("Tab")
        place, outline = browser.value(
            "[[...document.querySelectorAll('*')].indexOf(document.activeElement),"
            " getComputedStyle(document.activeElement).outlineStyle]"
        )
        assert outline != "none"
        reached.add(place)
    assert len(reached) == count
    assert count > 30


def test_the_switch_turns_the_colours(browser, report):
    browser.screen(PROJECTOR, scheme="light")
    browser.open(report)
    paper = "getComputedStyle(document.documentElement).getPropertyValue('--paper')"
    assert browser.value(paper) == LIGHT["paper"]
    browser.value("document.querySelector('nav button').click()")
    assert browser.value(paper) == DARK["paper"]
    assert browser.value(PROBE)["poor"] == []


def test_a_row_lights_up_its_packet_s_way_and_leads_to_it(browser, report):
    browser.screen(PROJECTOR)
    browser.open(report)
    browser.value("document.querySelector('#step-1-packet-3 a').focus()")
    lit = "[...document.querySelectorAll('.way.lit')].map(way => way.dataset.packets)"
    assert browser.value(lit) == ["2 3 4 5", "3"]
    browser.key("Enter")
    assert browser.value("location.hash") == "#step-1-ways"
    browser.value(
        "document.querySelector('#step-1-ladder [data-packets=\"4\"]')"
        ".dispatchEvent(new MouseEvent('click', {bubbles: true}))"
    )
    assert browser.value("location.hash") == "#step-1-packet-4"


def test_without_its_script_all_of_it_is_there(browser, report, tmp_path):
    text = report.read_text()
    bare = tmp_path / "bare.html"
    bare.write_text(text[: text.index("<script>")] + "</body></html>")
    browser.screen(PHONE)
    browser.open(bare)
    found = browser.value(PROBE)
    assert found["overflow"] == 0
    assert found["dangling"] == []
    assert browser.value("document.querySelectorAll('svg').length") >= 9
    assert browser.value("[...document.querySelectorAll('svg')].every(s => s.clientWidth > 0)")


def test_on_paper_it_is_light_and_nothing_is_cut_off(browser, report):
    browser.screen(1000, scheme="dark")
    browser.open(report)
    browser.ask("Emulation.setEmulatedMedia", media="print", features=[
        {"name": "prefers-color-scheme", "value": "dark"}])  # fmt: skip
    assert browser.value("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert browser.value("getComputedStyle(document.querySelector('nav')).display") == "none"
    browser.screen(720)
    browser.ask("Emulation.setEmulatedMedia", media="print")
    cut = "[...document.querySelectorAll('.wide')].filter(e => e.scrollWidth > e.clientWidth + 1)"
    assert browser.value(f"{cut}.map(e => e.outerHTML.slice(0, 90))") == []
    browser.ask("Emulation.setEmulatedMedia", media="")


def test_a_hostile_text_runs_nowhere(browser, tmp_path):
    hostile = "<script>document.title='owned'</script><img src=x onerror=document.title='owned'>"
    made = page.Page(hostile, (page.Badge(hostile, "bad"),), (
        page.Section("s", hostile, (page.Prose(hostile), page.Code(hostile),
                                    page.Grid((hostile,), ((hostile,),)))),))  # fmt: skip
    file = tmp_path / "hostile.html"
    file.write_text(page.html(made))
    browser.open(file)
    assert browser.value("document.title") == hostile
