import os
import resource
import signal
from collections.abc import Iterator

import pytest

from netlab.errors import LabError, Unavailable
from netlab.lab.signals import Descriptors, Signals


@pytest.fixture
def limit() -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.usefixtures("limit")
def test_the_soft_limit_is_raised_for_a_large_lab_and_put_back() -> None:
    with Descriptors(500):
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] >= 500
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == 256


def test_a_lab_beyond_the_hard_limit_is_refused_with_the_number() -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard == resource.RLIM_INFINITY:
        pytest.skip("no hard limit")
    with pytest.raises(Unavailable, match=f"{hard} are allowed"), Descriptors(hard):
        pass


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_waits_until_it_is_asked_for_and_is_delivered_at_the_end(
    number: signal.Signals,
) -> None:
    seen: list[int] = []
    before = signal.signal(number, lambda got, _: seen.append(got))
    try:
        with Signals() as signals:
            os.kill(os.getpid(), number)
            assert signals.arrived()
            assert seen == []
            with pytest.raises(LabError, match=number.name):
                signals.check()
        assert seen == [number]
    finally:
        signal.signal(number, before)


def test_an_ignored_signal_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Signals() as signals:
            os.kill(os.getpid(), signal.SIGHUP)
            signals.check()
    finally:
        signal.signal(signal.SIGHUP, before)
