"""Other languages' test suites in a node, as docs/languages.md says, where a compiler is there."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from netlab.lab.enter import PACKAGES

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "docs" / "examples" / "languages"
PAGE = (ROOT / "docs" / "languages.md").read_text()

COMMANDS = {
    "go": 'go test -exec "netlab exec nat/client --" ./...',
    "rust": "cargo test",
    "node": "netlab exec nat/client -- node --test",
}
COMPILERS = {"go": "go", "rust": "cargo", "node": "node"}
WRONG = {
    "go": ("greeting_test.go", "from the server", "from somebody else"),
    "rust": ("tests/greeting.rs", "from the server", "from somebody else"),
    "node": ("greeting.test.js", "from the server", "from somebody else"),
}


def test_the_page_shows_files_and_commands_as_they_are():
    shown = dict(
        re.findall(r"^`([\w./-]+)`:\n\n```\w+\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    )
    assert len(shown) == 4
    for name, content in shown.items():
        assert content == (EXAMPLES / name).read_text(), name
    for language, command in COMMANDS.items():
        assert f"```\ncd docs/examples/languages/{language}\n{command}\n```\n" in PAGE


@pytest.fixture
def project(netlab_state, tmp_path):
    """A function: a language's project in a directory of its own, and what its command printed."""
    bin_ = tmp_path / "bin"
    bin_.mkdir()
    (bin_ / "netlab").write_text(f'#!/bin/sh\nexec {sys.executable} -m netlab "$@"\n')
    (bin_ / "netlab").chmod(0o755)

    def netlab(*words: str) -> None:
        subprocess.run([bin_ / "netlab", *words], cwd=ROOT, check=True, timeout=60)

    def run(language: str) -> subprocess.CompletedProcess[str]:
        if not shutil.which(COMPILERS[language]):
            pytest.skip(f"no {COMPILERS[language]}: apt install {PACKAGES[COMPILERS[language]]}")
        place = tmp_path / language
        if not place.exists():
            shutil.copytree(EXAMPLES / language, place)
        return subprocess.run(
            ["sh", "-c", COMMANDS[language]],
            cwd=place,
            env={
                **os.environ,
                "PATH": f"{bin_}:{os.environ['PATH']}",
                "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
                "GOFLAGS": "-mod=mod",
                "GOTOOLCHAIN": "local",
                "CARGO_NET_OFFLINE": "true",
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
            check=False,
        )

    netlab("up", "nat")
    yield run
    netlab("down", "nat")


@pytest.mark.kernel
@pytest.mark.parametrize("language", COMMANDS)
def test_a_test_suite_runs_in_a_node_and_its_exit_code_counts(project, tmp_path, language):
    ran = project(language)
    assert ran.returncode == 0, ran.stdout
    file, right, wrong = WRONG[language]
    path = tmp_path / language / file
    path.write_text(path.read_text().replace(right, wrong))
    ran = project(language)
    assert ran.returncode != 0
    assert "Hello from the server." in ran.stdout
