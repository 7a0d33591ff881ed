"""The JSON schema of a record, and the tables of its fields."""

from typing import Any

import msgspec
import pytest

from pipeline.build import make_plan
from pipeline.config import Config
from pipeline.errors import ConfigError
from pipeline.part import Part, part_info
from pipeline.result import ClipRecord, Label, encode_json
from pipeline.schema import field_tables, record_schema, type_text
from tests.pipeline.fakes import LABELS, TRACKS


class Reading(msgspec.Struct):
    """How bright a clip is."""

    mean: float


class Elsewhere:
    class Reading(msgspec.Struct):
        """Another struct of the same name."""

        median: float


def schema_of(**parts: Any) -> dict[str, Any]:
    """The schema of records with these parts, each given as a spec or as a type."""
    return record_schema(
        part_info(name, "mine", spec if isinstance(spec, Part) else Part(type=spec, doc=f"The {name}."))
        for name, spec in parts.items()
    )


def test_every_field_of_a_record_is_a_property_and_parts_are_too() -> None:
    schema = schema_of(labels=LABELS, tracks=TRACKS, brightness=Reading)
    record = ClipRecord(
        source="a", epoch=0, clip=0, start_s=0.0, end_s=2.0, error="x", dropped="x", gap=True, absent={"audio": "gap"},
        parts={"labels": [Label("rain", 0.5, 1.0)], "brightness": {"mean": 1.0}, "tracks": []},
    )  # fmt: skip
    written = msgspec.json.decode(encode_json(record))
    assert written.keys() <= schema["properties"].keys()
    assert "parts" not in schema["properties"]
    assert schema["properties"]["brightness"] == {"$ref": "#/$defs/Reading", "description": "The brightness."}
    assert {"Label", "Evidence", "Track", "Movement", "TrackEvidence", "View", "Reading"} == schema["$defs"].keys()


def test_required_are_the_fields_that_every_line_has() -> None:
    line = encode_json(ClipRecord(source="a", epoch=0, clip=0, start_s=0.0, end_s=2.0))
    assert set(schema_of()["required"]) == msgspec.json.decode(line).keys()


@pytest.mark.parametrize(
    ("kind", "schema"),
    [
        (float | None, {"type": "number"}),
        (Reading | None, {"$ref": "#/$defs/Reading"}),
        (list[float | None], {"type": "array", "items": {"anyOf": [{"type": "number"}, {"type": "null"}]}}),
        (float | str | None, {"anyOf": [{"type": "number"}, {"type": "string"}, {"type": "null"}]}),
    ],
    ids=str,
)
def test_a_part_that_is_none_is_left_out_so_its_schema_has_no_null(kind: Any, schema: dict[str, Any]) -> None:
    found = schema_of(x=kind)["properties"]["x"]
    found["anyOf"] = sorted(found["anyOf"], key=str) if "anyOf" in found else None
    schema = schema | {"anyOf": sorted(schema["anyOf"], key=str) if "anyOf" in schema else None}
    assert found == schema | {"description": "The x."}


def test_two_types_of_one_name_are_refused_and_one_type_twice_is_not() -> None:
    schema_of(one=Reading, other=list[Reading])
    text = r"stages.mine: part 'two' has a type 'Reading', and another part has a different one of that name"
    with pytest.raises(ConfigError, match=text):
        schema_of(one=Reading, two=Elsewhere.Reading)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (float, "number"),
        (list[str], "list of string"),
        (Reading, "[Reading](#reading)"),
        (list[Reading], "list of [Reading](#reading)"),
        (dict[str, Reading], "object of [Reading](#reading)"),
        (dict[str, Any], "object"),
        (tuple[float, float], "list of 2 numbers"),
        (list[tuple[int, int, int]], "list of list of 3 integers"),
        (int | str, "integer or string"),
        (Any, "any"),
    ],
    ids=str,
)
def test_a_type_reads_as_words(kind: Any, text: str) -> None:
    assert type_text(schema_of(x=kind)["properties"]["x"]) == text


def test_there_is_a_table_of_the_record_and_one_of_each_type() -> None:
    lines = list(field_tables(schema_of(labels=LABELS, brightness=Reading)))
    assert "| `brightness` | [Reading](#reading) | does not apply | The brightness. |" in lines
    assert "| `source` | string | never missing | Name of the source, without secrets. |" in lines
    assert any(line.startswith("| `tries` | integer | `1` | ") for line in lines)
    assert [line for line in lines if line.startswith("## ")] == ["## Label", "## Evidence", "## Reading"]
    assert lines[lines.index("## Reading") + 2] == "How bright a clip is."
    assert lines[-1] == "| `mean` | number | never missing |  |"


def test_every_field_of_our_own_records_is_described() -> None:
    schema = record_schema(make_plan(Config()).parts)
    kinds = {"record": schema, **schema["$defs"]}
    silent = [f"{name}.{key}" for name, kind in kinds.items() for key, field in kind["properties"].items()
              if not field.get("description")]  # fmt: skip
    assert not silent
