"""PyPI's networklab installs a command `netlab`, too: what each order leaves, and what remains."""

import pytest

from tests.packaging.conftest import run

pytestmark = pytest.mark.network


def install(environment, *packages):
    # The commands alone matter here, not what they would need to do more than name themselves.
    for package in packages:
        run(environment / "pip", "install", "-q", "--no-deps", package)


def version(environment):
    path = {"PATH": str(environment)}
    return run(environment / "netlab-lab", "--version", env=path, cwd=environment).stdout


def test_the_package_that_is_installed_last_has_the_command(release, environment):
    install(environment, release.wheel, "networklab")
    assert "`netlab` in PATH belongs to networklab" in version(environment)
    run(environment / "pip", "uninstall", "-q", "-y", "networklab")
    # Its removal has deleted the command; ours is gone with it, the second name is not.
    assert not (environment / "netlab").exists()
    assert "`netlab` is not in PATH" in version(environment)
    run(environment / "pip", "install", "-q", "--no-deps", "--force-reinstall", release.wheel)
    assert "`netlab` in PATH is this one" in version(environment)


def test_installed_last_it_is_ours_until_the_other_is_removed(release, environment):
    install(environment, "networklab", release.wheel)
    assert "`netlab` in PATH is this one" in version(environment)
    run(environment / "pip", "uninstall", "-q", "-y", "netlab-lab")
    assert not (environment / "netlab").exists()
    assert not (environment / "netlab-lab").exists()
