"""The matrix as a reader has it: one table, and each cell leads to the fates of its packets."""

import pytest

from netlab.scenario import pages
from netlab.scenario.judge import Observation, judge
from netlab.scenario.matrix.perform import Found
from netlab.scenario.matrix.run import table
from netlab.scenario.outcome import Done, Outcome, Run
from netlab.scenario.packets import Packet
from netlab.scenario.run import environment
from tests.diagram.chromium import Chromium
from tests.diagram.test_in_chromium import PHONE, PROBE, PROJECTOR
from tests.programs import needs

pytestmark = needs("chromium")

WAY = ("client:eth0", "box:lan", "box:wan", "far:lan", "far:wan", "server:eth0")


@pytest.fixture(scope="module")
def report(tmp_path_factory, scenario):
    """A page with all of its cells, as if every packet had arrived, and one cell without any."""
    [step] = scenario.steps
    packets = tuple(
        Packet(n, "UDP", "client", "delivered", "server", "", WAY, ("box IP::TTL", "box IP::Src"))
        for n in range(1, 5)
    )
    found = [
        Found(kind, obstacle.name, "3", packets)
        for obstacle in step.action.obstacles
        for kind in step.action.traffic
    ]
    found[-1] = found[-1]._replace(text="no answer", packets=())
    seen = Observation(table=tuple(table(step.action, found)))
    done = Done(step, seen, tuple(judge(step, seen)), cells=tuple(found))
    outcome = Outcome(scenario, (Run((done,)),), 0, environment(scenario))
    directory = tmp_path_factory.mktemp("report")
    pages.write(outcome, str(directory))
    return directory / "matrix.html"


def test_each_cell_of_the_table_leads_to_its_packets(report, every_cell):
    with Chromium() as browser:
        for width in (PHONE, PROJECTOR):
            browser.screen(width)
            browser.open(report)
            found = browser.value(PROBE)
            assert found["overflow"] == 0
            assert found["dangling"] == found["twice"] == found["unreachable"] == []
        links = "[...document.querySelectorAll('.dense td a')]"
        count = browser.value(f"{links}.length")
        assert count == len(every_cell)
        assert browser.value(f"{links}.filter(a => a.className == 'bad').length") == 1
        browser.value(f"{links}[{count - 2}].click()")
        target = "document.querySelector(':target')"
        assert browser.value(f"{target}.innerText.split('\\t').slice(0, 2)") == [
            "our-tcp",
            "#1 UDP",
        ]
        assert browser.value(f"{target}.checkVisibility()")
        browser.value(f"{links}[{count - 1}].click()")
        assert "none was seen" in browser.value(f"{target}.innerText")
        assert browser.problems == []
