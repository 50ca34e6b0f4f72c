import pytest

from netlab.scenario.matrix import traffic
from netlab.wire.shapes import SHAPES


def test_every_shape_is_one_that_can_be_made():
    shaped = {kind.shape: kind for kind in traffic.KINDS.values() if kind.shape}
    assert shaped.keys() == SHAPES.keys()
    assert all(SHAPES[name].protocol == kind.protocol for name, kind in shaped.items())


def test_a_number_is_a_kind():
    found = traffic.find("number-99")
    assert found
    assert found.protocol == 99


@pytest.mark.parametrize("name", ["", "number-", "number-0", "number-256", "number-099", "Udp",
                                  "number-6", "number-1e2", "number-²"])  # fmt: skip
def test_what_is_none(name):
    assert traffic.find(name) is None


def test_which_need_a_device():
    assert traffic.with_tun(traffic.KINDS) == ["our-tcp", "stateless-tcp"]
