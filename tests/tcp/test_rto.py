from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netlab.tcp.rto import RetransmissionTimeout
from netlab.tcp.settings import Settings


def test_the_first_sample_sets_everything() -> None:
    rto = RetransmissionTimeout(Settings())
    assert rto.value == 1.0
    rto.sample(0.5)
    assert (rto.srtt, rto.var) == (0.5, 0.25)
    assert rto.value == pytest.approx(0.5 + 4 * 0.25)


def test_later_samples_are_smoothed_as_the_rfc_says() -> None:
    rto = RetransmissionTimeout(Settings())
    rto.sample(0.5)
    rto.sample(0.9)
    # RTTVAR is computed before SRTT, from the old SRTT (section 2.3).
    assert rto.var == pytest.approx(0.75 * 0.25 + 0.25 * 0.4)
    assert rto.srtt == pytest.approx(0.875 * 0.5 + 0.125 * 0.9)


def test_a_timeout_doubles_up_to_the_bound_and_a_sample_ends_that() -> None:
    rto = RetransmissionTimeout(Settings(maximum_rto=7.0))
    seen = []
    for _ in range(4):
        rto.back_off()
        seen.append(rto.value)
    assert seen == [2.0, 4.0, 7.0, 7.0]
    rto.sample(0.1)
    assert rto.value < 1


def test_a_lost_syn_leaves_three_seconds() -> None:
    rto = RetransmissionTimeout(Settings())
    rto.back_off()
    rto.after_syn_loss()
    assert rto.value == 3.0


@given(st.lists(st.floats(0, 100), min_size=1))
def test_it_stays_within_its_bounds(samples: list[float]) -> None:
    settings = Settings()
    rto = RetransmissionTimeout(settings)
    for sample in samples:
        rto.sample(sample)
        assert settings.minimum_rto <= rto.value <= settings.maximum_rto
