"""The record of a clip as a line of JSON, and back."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.clip import Reason
from pipeline.result import (
    CORE,
    SCHEMA_VERSION,
    TYPES,
    Category,
    ClipRecord,
    Evidence,
    Label,
    OpenSet,
    Track,
    clip_seconds,
    decode_json,
    encode_json,
)
from pipeline.sinks.jsonl import encode_record

texts = st.text(max_size=8)
numbers = st.floats(-1e6, 1e6)
evidence = st.builds(Evidence, numbers, numbers, numbers, st.none() | numbers)
labels = st.lists(st.builds(Label, texts, numbers, numbers, st.dictionaries(texts, evidence, max_size=2)), max_size=3)
boxes = st.lists(st.tuples(numbers, numbers, numbers, numbers, numbers), max_size=2)
tracks = st.lists(st.builds(Track, st.integers(0, 9), boxes, st.none() | texts, st.none() | numbers), max_size=2)
plain = st.recursive(numbers | texts | st.booleans(), lambda inner: st.lists(inner) | st.dictionaries(texts, inner))
known = st.fixed_dictionaries(
    {},
    optional={
        "labels": labels,
        "tracks": tracks,
        "category": st.builds(Category, texts, numbers, st.lists(texts, max_size=2)),
        "open_set": st.builds(OpenSet, numbers, numbers, st.booleans()),
    },
)
unknown = st.dictionaries(texts.filter(lambda name: name not in CORE | TYPES.keys()), plain)
records = st.builds(
    ClipRecord,
    source=texts,
    epoch=st.integers(0, 9),
    clip=st.integers(-1, 99),
    start_s=numbers,
    end_s=numbers,
    width=st.integers(0, 9),
    parts=st.builds(lambda one, other: one | other, known, unknown),
    absent=st.dictionaries(texts, texts, max_size=2),
    model=texts,
    labels_version=st.integers(0, 2),
    tries=st.integers(1, 3),
    error=st.none() | texts,
    failed=st.dictionaries(texts, texts, max_size=2),
    dropped=st.none() | texts,
    gap=st.booleans(),
)

BARE = ClipRecord(source="a.mp4", epoch=0, clip=3, start_s=6.0, end_s=8.0)


@given(records)
def test_a_record_survives_its_line_with_parts_that_are_known_and_others(record: ClipRecord) -> None:
    line = encode_json(record)
    assert b"\n" not in line
    assert decode_json(line) == record


def test_a_line_has_no_fields_at_their_default() -> None:
    always = {"source": "a.mp4", "epoch": 0, "clip": 3, "start_s": 6.0, "end_s": 8.0, "schema_version": SCHEMA_VERSION}
    assert json.loads(encode_json(BARE)) == always
    more = msgspec.structs.replace(BARE, error="", tries=2, width=320)
    assert json.loads(encode_json(more)) == always | {"error": "", "tries": 2, "width": 320}


def test_parts_are_fields_of_the_line() -> None:
    record = msgspec.structs.replace(BARE, parts={"labels": [], "brightness": {"mean": 7.5}})
    line = json.loads(encode_json(record))
    assert "parts" not in line
    assert (line["labels"], line["brightness"]) == ([], {"mean": 7.5})


def test_parts_with_a_type_of_ours_are_read_as_that_type() -> None:
    line = encode_json(msgspec.structs.replace(BARE, parts={"tracks": [{"id": 4, "boxes": []}], "notes": [{"id": 4}]}))
    record = decode_json(line)
    assert record.tracks == [Track(id=4, boxes=[])]
    assert record.parts["notes"] == [{"id": 4}]
    assert (record.labels, record.category, record.open_set) == (None, None, None)


def test_a_line_from_before_there_were_versions_is_read() -> None:
    line = json.loads(encode_json(msgspec.structs.replace(BARE, parts={"labels": [Label("rain", 0.5, 1.0)]})))
    del line["schema_version"]
    assert decode_json(json.dumps(line)) == msgspec.structs.replace(BARE, parts={"labels": [Label("rain", 0.5, 1.0)]})


def test_a_line_of_version_1_is_read_and_written_as_it_was() -> None:
    evidence = {"image": {"probability": 0.9, "similarity": 0.3, "weight": 1.0}}
    labels = [{"label": "rain", "probability": 0.8, "share": 1.0, "evidence": evidence}]
    line = json.loads(encode_json(BARE)) | {"labels": labels, "schema_version": 1}
    record = decode_json(json.dumps(line))
    assert record.labels is not None
    assert (record.labels[0].evidence["image"].contribution, record.labels[0].base_log_odds) == (None, None)
    assert json.loads(encode_record(record)) == line


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"schema_version": SCHEMA_VERSION + 1}, "schema version 3; expected at most 2: use a newer percept"),
        ({"clip": "3"}, r"Expected `int`, got `str` - at `\$\.clip`"),
        ({"labels": [{"label": "rain"}]}, "missing required field `probability`"),
        ({"tracks": 5}, "Expected `array`, got `int`"),
    ],
)
def test_a_line_that_is_no_record_of_this_version_is_refused(change: dict[str, Any], problem: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=problem):
        decode_json(json.dumps(json.loads(encode_json(BARE)) | change))


@pytest.mark.parametrize(
    ("change", "is_result"), [({}, True), ({"error": ""}, False), ({"dropped": "late"}, False), ({"gap": True}, False)]
)
def test_a_result_is_no_error_no_drop_and_no_gap(change: dict[str, Any], is_result: bool) -> None:
    assert msgspec.structs.replace(BARE, **change).is_result == is_result


def test_the_description_of_absent_lists_every_reason() -> None:
    description = msgspec.json.schema(ClipRecord)["$defs"]["ClipRecord"]["properties"]["absent"]["description"]
    assert all(reason in description for reason in Reason.__args__)


@pytest.mark.parametrize(
    ("start_s", "end_s", "length_s"),
    [(4.0, 6.0, 2.0), (4.0, 6.4, 2.0), (8.0, 9.3, 2.0), (4.0, 8.0, 4.0), (3.0, 4.0, 1.0), (0.0, 0.0, 2.0)],
)
def test_a_clip_tells_how_long_the_clips_of_its_run_are(start_s: float, end_s: float, length_s: float) -> None:
    assert clip_seconds(start_s, end_s, 2.0) == length_s
