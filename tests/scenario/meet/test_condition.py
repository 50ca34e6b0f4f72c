"""``--until``: when two programs have met."""

import pytest

from netlab.errors import InputError
from netlab.scenario.meet.condition import Condition, Side, holds, is_hopeless, parse

RUNNING = Side(None, "")


@pytest.mark.parametrize(
    ("text", "condition"),
    [
        ("exit:0", Condition("exit")),
        ("exit:7", Condition("exit", code=7)),
        ("output:^met: .*$", Condition("output", regex="^met: .*$")),
        ("packet", Condition("packet")),
        ("packet:udp", Condition("packet", protocol=17)),
        ("packet:tcp/80", Condition("packet", protocol=6, port=80)),
        ("a:exit:0", Condition("exit", sides=(0,))),
        ("b:packet:udp/53", Condition("packet", protocol=17, port=53, sides=(1,))),
    ],
)
def test_what_can_be_said(text, condition):
    assert parse(text) == condition


@pytest.mark.parametrize(
    "text",
    ["", "exit", "exit:x", "exit:256", "output:", "output:(", "packet:icmp", "packet:udp/0",
     "packet:udp/x", "packet:udp/", "met", "c:exit:0", "a:"],
)  # fmt: skip
def test_what_is_no_condition(text):
    with pytest.raises(InputError) as caught:
        parse(text)
    assert "E932" in str(caught.value)
    assert "exit:0, output:REGEX" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "sides", "now", "never"),
    [
        ("exit:0", [Side(0, ""), Side(0, "")], True, False),
        ("exit:0", [Side(0, ""), RUNNING], False, False),
        ("exit:0", [Side(1, ""), RUNNING], False, True),
        ("b:exit:0", [Side(1, ""), Side(0, "")], True, False),
        ("output:^met", [Side(None, "x\nmet\n"), Side(None, "met")], True, False),
        ("output:^met", [Side(None, "not met"), Side(None, "met")], False, False),
        ("output:^met", [Side(0, "not met"), Side(None, "met")], False, True),
        ("packet:udp", [Side(None, "", [(17, 1, 2)]), Side(None, "", [(6, 1, 2)])], False, False),
        ("a:packet:udp/2", [Side(None, "", [(17, 1, 2)]), RUNNING], True, False),
        ("packet", [Side(0, "", [(17, 1, 2)]), RUNNING], False, False),
        ("packet", [Side(0, ""), Side(0, "")], False, True),
    ],
)
def test_when_it_holds_and_when_it_never_will(text, sides, now, never):
    assert holds(parse(text), sides) == now
    assert (not now and is_hopeless(parse(text), sides)) == never
