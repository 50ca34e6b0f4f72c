"""What can be replayed, and what cannot: other files are another experiment."""

import json

import pytest

from netlab.errors import InputError
from netlab.scenario import replay

ENVIRONMENT = {"netlab": "1", "kernel": "6.1", "python": "3.11", "machine": "x", "user": "root",
               "scenario_sha256": "a", "topology_sha256": "b"}  # fmt: skip
OUTCOME = {"scenario": "s", "digest": "d", "seed": 3, "environment": ENVIRONMENT, "passed": True}


@pytest.fixture
def written(tmp_path):
    def written(content: object) -> str:
        file = tmp_path / "outcome.json"
        file.write_text(content if isinstance(content, str) else json.dumps(content))
        return str(file)

    return written


def test_one_outcome_and_one_of_several(written):
    assert replay.read(written(OUTCOME)) == replay.Original("s", "d", 3, ENVIRONMENT)
    both = written([OUTCOME, {**OUTCOME, "scenario": "t", "seed": 4}])
    assert replay.read(both, "t").seed == 4
    with pytest.raises(InputError, match="E919"):
        replay.read(both)  # which of them?


@pytest.mark.parametrize(
    "content", ["", "no JSON", [], {}, 3, [[]], {**OUTCOME, "seed": "3"}, {**OUTCOME, "digest": 1},
                {**OUTCOME, "environment": {}}, "\udcff"]
)  # fmt: skip
def test_what_is_no_outcome_is_told(written, content, tmp_path):
    if content == "\udcff":
        (tmp_path / "outcome.json").write_bytes(b"\xff\xfe")
        file = str(tmp_path / "outcome.json")
    else:
        file = written(content)
    with pytest.raises(InputError, match="E919"):
        replay.read(file)


def test_no_file_is_told():
    with pytest.raises(InputError, match="E919"):
        replay.read("/nowhere/outcome.json")


@pytest.mark.parametrize("what", ["scenario", "topology"])
def test_another_file_is_another_experiment(written, what):
    original = replay.read(written(OUTCOME))
    replay.check(original, ENVIRONMENT)
    with pytest.raises(InputError, match=f"E920.*the {what} of s changed"):
        replay.check(original, {**ENVIRONMENT, f"{what}_sha256": "c"})


def test_another_kernel_is_told(written):
    original = replay.read(written(OUTCOME))
    assert replay.differences(original, ENVIRONMENT) == []
    now = {**ENVIRONMENT, "kernel": "6.12", "user": "ordinary"}
    assert replay.differences(original, now) == [
        "kernel 6.1 then, 6.12 now",
        "user root then, ordinary now",
    ]
