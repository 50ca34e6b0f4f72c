"""The JSON Schema says what the forms say, and the reference names every key."""

from __future__ import annotations

import json
import re
from pathlib import Path

import jsonschema
import pytest
import yaml

from netlab.topology import json_schema, loads
from netlab.topology.form import CHILDREN
from netlab.topology.schema import Form, TopologyForm
from tests.topology.cases import BAD, GOOD, SHIPPED

REFERENCE = Path(__file__).parents[2] / "docs" / "topology.md"
FORMS: set[type[Form]] = {TopologyForm, *(child for child, _ in CHILDREN.values())}


@pytest.fixture(scope="module")
def validator():
    schema = json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def data(path):
    """A file as an editor's YAML plugin hands it to the schema."""
    return json.loads(json.dumps(yaml.safe_load(path.read_text()), default=str))


@pytest.mark.parametrize("path", [*GOOD, *SHIPPED], ids=lambda p: p.stem)
def test_every_good_file_is_valid_by_the_schema(validator, path):
    validator.validate(data(path))


@pytest.mark.parametrize(
    "path",
    [p for p in BAD if re.match(r"E20[1234]", p.stem) and "list-at" not in p.stem],
    ids=lambda p: p.stem,
)
def test_files_of_wrong_form_are_refused_by_the_schema(validator, path):
    assert not validator.is_valid(data(path))


def test_the_schema_is_json():
    assert json.loads(json.dumps(json_schema()))["$schema"].endswith("2020-12/schema")


@pytest.mark.parametrize("form", sorted(FORMS, key=str), ids=str)
def test_every_key_is_described_and_in_the_reference(form: type[Form]):
    text = REFERENCE.read_text()
    section = text.split(f"<!-- {form.__name__} -->")[1].split("<!-- ")[0]
    documented = re.findall(r"^\| `([\w-]+)` \|", section, re.MULTILINE)
    assert documented == list(form.described())
    for key, description in form.described().items():
        assert description.endswith("."), key


def test_examples_of_the_reference_are_good_topologies():
    text = REFERENCE.read_text()
    examples = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    assert examples
    for example in examples:
        loads(example, "docs/topology.md")
