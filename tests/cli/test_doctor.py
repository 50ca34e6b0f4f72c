"""What `doctor` prints, where it can and where it cannot."""

import json
import subprocess

import pytest

from tests.helpers.commands import NETLAB

pytestmark = pytest.mark.kernel


def doctor(*argv: str, **options):
    command = [*NETLAB, "doctor", *argv]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=False, **options
    )


def test_each_finding_says_what_is_lost_and_how_to_get_it():
    found = json.loads(doctor("--json").stdout)
    assert {"namespaces", "user namespaces", "TUN", "nftables", "BPF", "netem"} <= {
        fact["name"] for fact in found
    }
    assert [fact["name"] for fact in found if not fact["lost"] or not fact["remedy"]] == []


def test_a_machine_that_builds_labs_is_told_so():
    ran = doctor()
    assert ran.returncode == 0
    assert "namespaces" in ran.stdout


def test_where_no_lab_can_be_built_the_exit_code_says_so():
    """In a user namespace without room for another, and without any capability."""
    ran = subprocess.run(
        [
            *("unshare", "--user", "--map-root-user", "sh", "-c"),
            'echo 0 > /proc/sys/user/max_net_namespaces && exec "$@"',
            *("sh", *NETLAB, "doctor"),
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 1, ran.stdout + ran.stderr
    assert "without it:" in ran.stdout
    assert "Traceback" not in ran.stderr
