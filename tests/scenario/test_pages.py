"""The index of a report: what is listed, and what merely lies beside it."""

import json
import re

from netlab.scenario import pages


def test_the_index_lists_every_outcome_that_has_a_page(tmp_path):
    def outcome(name, *met):
        verdicts = [{"text": "t", "passed": passed, "observed": "o"} for passed in met]
        return {"scenario": name, "passed": all(met), "digest": "d" * 64, "expectations": verdicts}

    for name, met in (("good", (True, True)), ("poor", (True, False))):
        (tmp_path / f"{name}.json").write_text(json.dumps(outcome(name, *met)))
        title = f"<title>{name}: a &lt; b</title><svg><title>client</title></svg>"
        (tmp_path / f"{name}.html").write_text(title)
    (tmp_path / "alone.json").write_text(json.dumps(outcome("alone", True)))
    (tmp_path / "other.json").write_text("[]")
    (tmp_path / "other.html").write_text("")
    page = pages.index(str(tmp_path)).read_text()
    assert re.findall(r'href="(\w+\.html)"', page) == ["good.html", "poor.html"]
    assert "a &lt; b" in page
    assert "1 of 2 passed" in page
    assert "2 of 2" in page
    assert "alone.html" not in page
    assert not list(tmp_path.glob(".index*"))
