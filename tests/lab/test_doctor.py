import pytest

from netlab.lab import doctor

pytestmark = pytest.mark.kernel


def test_probing_tells_the_truth_and_touches_nothing() -> None:
    found = {fact.name: fact for fact in doctor.probe()}
    assert list(found) == [probe.name for probe in doctor.PROBES]
    assert all(fact.lost and fact.remedy for fact in found.values())
    # These tests build labs here, so this much must be true.
    for name in ("namespaces", "veth", "bridge", "nftables"):
        assert found[name].ok, found[name].detail
