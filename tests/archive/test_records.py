"""Rows of an archive come back as the records that they were made of."""

from pathlib import Path

import numpy as np
import pytest

from archive.records import records_of
from archive.shard import ShardError, read_table
from pipeline.result import Category, ClipRecord, Evidence, Label, OpenSet, Track
from tests.archive.made import clip_of, write_shard

FULL = ClipRecord(
    source="a.mp4",
    epoch=1,
    clip=7,
    start_s=14.0,
    end_s=16.0,
    wall_time="2026-01-01T00:00:14+00:00",
    width=640,
    height=360,
    parts={
        "labels": [
            Label("dog", 0.75, 0.5, {"image": Evidence(0.5, 0.25, 1.0)}, ["puppy"]),
            Label("rain", 0.25, 0.125, {}),
        ],
        "tracks": [Track(3, [(14.5, 1.0, 2.0, 3.0, 4.0)], "dog", 0.5), Track(4, [(14.5, 1.0, 2.0, 3.0, 4.0)])],
        "category": Category("animal", 0.5, ["thing", "animal"]),
        "open_set": OpenSet(0.5, 0.75, False),
        "of_my_own": {"a": [1, 2]},
    },
    absent={"audio": "no_stream"},
    failed={"flow": "out of memory"},
    model="percept-mini@3",
    tries=2,
)
ERROR = ClipRecord(source="a.mp4", epoch=1, clip=8, start_s=16.0, end_s=18.0, error="could not be decoded")


def test_records_come_back_whole(tmp_path: Path) -> None:
    assert list(records_of(read_table(str(write_shard(tmp_path, "a.mp4", [FULL, ERROR]))))) == [FULL, ERROR]


def test_vectors_and_missing_columns_do_no_harm(tmp_path: Path) -> None:
    path = write_shard(tmp_path, "a.mp4", [clip_of("a.mp4", 3, {"image": np.ones(4)}, [("dog", 0.5)])])
    columns = ["source", "epoch", "clip", "start_s", "end_s", "labels.list.element.label", "image_vector", "timecode"]
    columns += [f"labels.list.element.{name}" for name in ("probability", "share")]
    (record,) = records_of(read_table(str(path), columns))
    assert record == ClipRecord(
        source="a.mp4", epoch=0, clip=3, start_s=6.0, end_s=8.0, parts={"labels": [Label("dog", 0.5, 0.5)]}
    )


def test_a_table_without_a_column_that_records_need_is_damaged(tmp_path: Path) -> None:
    table = read_table(str(write_shard(tmp_path, "a.mp4", [FULL]))).drop_columns(["source"])
    with pytest.raises(ShardError, match=r"a\.mp4: its rows are no records of clips \(.*`source`"):
        list(records_of(table, "a.mp4"))
