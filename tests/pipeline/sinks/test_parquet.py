"""Parquet: what pandas, polars and pyarrow read is what JSON lines say."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pyarrow.parquet
import pytest

from pipeline.errors import ConfigError
from pipeline.sinks import kinds
from pipeline.sinks.jsonl import encode_record
from pipeline.sinks.kinds import make_sink
from tests.pipeline.sinks.records import failed, feed, gap, make_spec, result

RECORDS = [
    msgspec.structs.replace(result(0, rain=0.123456789, dog=0.5), absent={"audio": "no_stream"}, engine="torch-fp32"),
    failed(1),
    gap(4, 9),
    msgspec.structs.replace(result(2, epoch=1), failed={"detect": "broke"}),
]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    feed(make_sink(make_spec("parquet", tmp_path)), RECORDS)
    return tmp_path / "out.parquet"


def test_every_row_is_the_json_object_of_its_clip(path: Path) -> None:
    rows = pyarrow.parquet.read_table(path).to_pylist(maps_as_pydicts="strict")
    for row, record in zip(rows, RECORDS, strict=True):
        given = json.loads(encode_record(record))
        assert {name: row[name] for name in given if name not in ("labels", "tracks")} == {
            name: value for name, value in given.items() if name not in ("labels", "tracks")
        }
        for label, expected in zip(row["labels"] or [], given.get("labels", []), strict=True):
            label["evidence"] = {name: told(each) for name, each in label["evidence"].items() if each is not None}
            assert told(label) == expected
        for track, expected in zip(row["tracks"] or [], given.get("tracks", []), strict=True):
            assert told(track) == expected
        assert (row["error"] is None) == (record.error is None)


def told(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if value is not None}


def test_the_file_says_which_model_made_it_and_is_compressed(path: Path) -> None:
    file = pyarrow.parquet.ParquetFile(path)
    metadata = file.metadata.metadata
    assert metadata[b"percept.model"] == b"m@1"
    assert metadata[b"percept.engine"] == b"torch-fp32"
    assert metadata[b"percept.schema_version"] == b"2"
    assert file.metadata.row_group(0).column(0).compression == "ZSTD"


def test_row_groups_are_written_as_they_fill(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.sinks.parquet.GROUP_ROWS", 10)
    feed(make_sink(make_spec("parquet", tmp_path)), [result(clip, rain=0.5) for clip in range(25)])
    file = pyarrow.parquet.ParquetFile(tmp_path / "out.parquet")
    assert [file.metadata.row_group(number).num_rows for number in range(3)] == [10, 10, 5]


def test_pandas_and_polars_read_nested_values(path: Path) -> None:
    import pandas
    import polars

    frame = pandas.read_parquet(path)
    assert frame["labels"][0][0]["label"] == "dog"
    assert list(frame["tracks"][0][0]["boxes"][1]) == [1.0, 20.0, 12.0, 70.0, 62.0]
    labels = (
        polars.read_parquet(path)
        .select("start_s", "labels")
        .explode("labels")
        .unnest("labels")
        .drop_nulls("probability")
    )
    assert labels["probability"].to_list() == [0.5, 0.123457]
    assert labels.unnest("evidence").unnest("audio", separator="_")["audio_weight"].to_list() == [0.6, 0.6]


def test_parts_of_other_stages_are_json(tmp_path: Path) -> None:
    record = result(0)
    record = msgspec.structs.replace(record, parts=record.parts | {"loudness": {"lufs": -23.5}})
    feed(make_sink(make_spec("parquet", tmp_path)), [record])
    (row,) = pyarrow.parquet.read_table(tmp_path / "out.parquet").to_pylist()
    assert json.loads(row["other_parts"]) == {"loudness": {"lufs": -23.5}}


def test_without_pyarrow_it_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(
        kinds.KINDS, "parquet", msgspec.structs.replace(kinds.KINDS["parquet"], needs="no_such_package")
    )
    with pytest.raises(ConfigError, match=r"is not installed. Run: pip install 'percept-av\[parquet\]'"):
        make_sink(make_spec("parquet", tmp_path))
