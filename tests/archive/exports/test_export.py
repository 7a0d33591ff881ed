"""Exports of archives: which files are written, and what is left alone."""

import csv
import json
from pathlib import Path

import pytest

from archive.entries import Entry
from archive.exports.export import chosen, export_archive, export_source
from archive.exports.formats import FORMATS
from archive.pieces import Piece
from archive.schema import Facts
from archive.shard import encoded, facts_of, read_table
from pipeline.errors import ConfigError, OutputError
from pipeline.result import ClipRecord, Track
from tests.archive.made import clip_of, write_shard


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """Three sources, one of which has failed, in two folders."""
    folder = tmp_path / "labels"
    for name, label in (("videos/a.mp4", "dog"), ("videos/b/a.mp4", "rain")):
        tracks = [Track(1, [(0.5, 10.0, 10.0, 50.0, 60.0)], label, 0.9)]
        clips = [clip_of(f"/data/{name}", n, None, [(label, 0.9)], tracks if n == 0 else ()) for n in range(3)]
        write_shard(folder, name, clips, frame_rate_hz=25.0)
    error = "/data/videos/c.mp4: no video"
    failed = ClipRecord(source="/data/videos/c.mp4", epoch=0, clip=-1, start_s=0, end_s=0, error=error)
    write_shard(folder, "videos/c.mp4", [failed], error=error)
    (folder / ".percept").mkdir()
    (folder / ".percept" / "x.parquet").write_bytes(b"not ours")
    (folder / "videos" / ".a.mp4.parquet.part").write_bytes(b"half")
    return folder


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("kind", FORMATS)
def test_each_source_with_results_becomes_a_file(archive: Path, tmp_path: Path, kind: str) -> None:
    done = export_archive(str(archive), str(tmp_path / "out"), kind)
    suffix = FORMATS[kind].suffix
    assert files(tmp_path / "out") == [f"videos/a.mp4{suffix}", f"videos/b/a.mp4{suffix}"]
    assert all(path.stat().st_size for path in (tmp_path / "out").rglob("*") if path.is_file())
    assert (done.files, done.left_out, done.damaged) == (2, ["videos/c.mp4: has no results (no video)"], [])


def test_what_exists_is_not_overwritten_unasked(archive: Path, tmp_path: Path) -> None:
    there = tmp_path / "out" / "videos" / "b" / "a.mp4.csv"
    there.parent.mkdir(parents=True)
    there.write_text("mine")
    with pytest.raises(ConfigError, match=r"b/a\.mp4\.csv: exists already\. Choose another folder, or add --overwrite"):
        export_archive(str(archive), str(tmp_path / "out"), "csv")
    assert files(tmp_path / "out") == ["videos/b/a.mp4.csv"]
    assert there.read_text() == "mine"
    assert export_archive(str(archive), str(tmp_path / "out"), "csv", overwrite=True).files == 2
    assert "rain" in there.read_text(encoding="utf-8-sig")


def test_a_file_that_cannot_be_written_leaves_nothing_behind(archive: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "videos").write_text("in the way")
    with pytest.raises(OutputError, match=r"cannot write .*a\.mp4\.csv"):
        export_archive(str(archive), str(tmp_path / "out"), "csv")
    assert files(tmp_path / "out") == ["videos"]


def test_a_damaged_file_costs_only_itself(archive: Path, tmp_path: Path) -> None:
    damaged = archive / "videos" / "a.mp4.parquet"
    damaged.write_bytes(damaged.read_bytes()[:-20])
    for kind in ("vtt", "coco"):
        done = export_archive(str(archive), str(tmp_path / kind), kind)
        assert (done.files, len(done.damaged)) == (1, 1)
        assert "videos/a.mp4.parquet: is no whole Parquet file" in done.damaged[0]


def test_a_file_without_a_column_costs_only_itself(archive: Path, tmp_path: Path) -> None:
    odd = archive / "videos" / "a.mp4.parquet"
    table = read_table(str(odd))
    odd.write_bytes(encoded(table.drop_columns(["source", "tracks"]).replace_schema_metadata(table.schema.metadata)))
    for kind in ("vtt", "coco"):
        done = export_archive(str(archive), str(tmp_path / kind), kind)
        assert (done.files, len(done.damaged)) == (1, 1)
        assert done.damaged[0].startswith("videos/a.mp4: its rows are no records of clips")


def test_categories_are_the_same_in_all_files(archive: Path, tmp_path: Path) -> None:
    export_archive(str(archive), str(tmp_path / "out"), "coco")
    found = [json.loads((tmp_path / "out" / name).read_text()) for name in files(tmp_path / "out")]
    assert [[each["name"] for each in content["categories"]] for content in found] == [["dog", "rain"]] * 2
    assert [content["annotations"][0]["category_id"] for content in found] == [1, 2]


def test_a_higher_probability_leaves_events_and_tracks_out(archive: Path, tmp_path: Path) -> None:
    done = export_archive(str(archive), str(tmp_path / "out"), "labelstudio", least_probability=0.95)
    assert (done.files, done.events) == (2, 0)
    content = json.loads((tmp_path / "out" / "videos" / "a.mp4.labelstudio.json").read_text())
    assert content[0]["predictions"][0]["result"] == []


def test_frames_that_cannot_be_counted_are_told(archive: Path, tmp_path: Path) -> None:
    write_shard(archive, "videos/a.mp4", [clip_of("/gone/a.mp4", 0, None, [("dog", 0.9)])])
    done = export_archive(str(archive), str(tmp_path / "cvat"), "cvat")
    assert done.files == 2
    (text,) = done.uncertain
    assert text.startswith("videos/a.mp4: its frame rate is unknown")
    assert export_archive(str(archive), str(tmp_path / "otio"), "otio").uncertain == []


def test_sources_are_chosen_by_name_end_or_pattern() -> None:
    names = ["videos/a.mp4", "videos/b/a.mp4", "videos/b/c.mp4"]
    pieces = [Piece(Entry("x.parquet", 0, 0), Facts(source=name, name=name)) for name in names]

    def found(*wanted: str) -> list[str]:
        return [piece.name for piece in chosen(pieces, wanted)]

    assert found() == names
    assert found("videos/a.mp4") == ["videos/a.mp4"]
    assert found("a.mp4") == names[:2]
    assert found("c.mp4", "videos/a.mp4") == [names[0], names[2]]
    assert found("videos/b/*") == names[1:]
    with pytest.raises(ConfigError, match=r"--source d\.mp4: no source of that name; .*There are: videos/a\.mp4, "):
        found("a.mp4", "d.mp4")


def test_a_single_source_is_written_where_it_shall_be(archive: Path, tmp_path: Path) -> None:
    path = str(archive / "videos" / "a.mp4.parquet")
    export_source(read_table(path), facts_of(path, "a"), "csv", str(tmp_path / "new" / "a.csv"))
    with open(tmp_path / "new" / "a.csv", encoding="utf-8-sig") as file:
        (row,) = csv.DictReader(file)
    assert (row["source"], row["label"], row["start_s"], row["end_s"], row["clips"]) == (
        *("/data/videos/a.mp4", "dog", "0.000", "6.000", "3"),
    )
