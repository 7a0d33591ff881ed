"""Merging files loses and doubles no row, whenever it is cut off, and every reader of rows goes on as before."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow
import pytest

from archive import compact as compacting
from archive.compact import compact
from archive.index import known_files
from archive.local_store import LocalStore
from archive.pieces import pieces_of
from archive.run_claims import alone
from archive.schema import Facts
from archive.shard import ShardError, encoded, facts_of, metadata_of, read_table, vectors_in
from pipeline.errors import OutputError
from tests.archive.made import archive_with_features, clip_of, damage_rows, random_archive, write_shard


class Folder(LocalStore):
    """An archive in a folder. It may break down after so many changes."""

    def __init__(self, path: Path, changes: int = 10**6) -> None:
        super().__init__(str(path))
        self._changes = changes

    def put(self, name: str, data: bytes) -> None:
        self._change()
        super().put(name, data)

    def delete(self, name: str) -> None:
        self._change()
        super().delete(name)

    def _change(self) -> None:
        if self._changes == 0:
            raise OSError("cut off")
        self._changes -= 1


def merged_facts(folder: Path) -> dict[str, Facts]:
    """The facts of every source in files of many, by name, as a run knows them."""
    return {piece.name: piece.facts for piece in pieces_of(Folder(folder), print) if piece.is_merged}


def rows(path: Path) -> list[tuple[str, int, bytes]]:
    """Source, clip and picture vector of every row of every file."""
    found = []
    for file in path.rglob("*.parquet"):
        table = read_table(str(file))
        vectors = vectors_in(table["image_vector"])
        found += list(
            zip(table["source"].to_pylist(), table["clip"].to_pylist(), map(np.ndarray.tobytes, vectors), strict=True)
        )
    return sorted(found)


def test_a_day_becomes_one_file_with_the_same_rows_and_facts(tmp_path: Path) -> None:
    random_archive(tmp_path, sources=12, clips=3)
    before = {facts.name: facts for path in tmp_path.rglob("*.parquet") for facts in [facts_of(str(path), "")]}
    kept = rows(tmp_path)
    done = compact(Folder(tmp_path))
    assert (done.files_before, done.files_after, done.sources, done.rows) == (12, 1, 12, 36)
    assert rows(tmp_path) == kept
    (file,) = tmp_path.rglob("*.parquet")
    assert str(file.relative_to(tmp_path)) == "by-day/2026-01-01-1.parquet"
    facts = facts_of(str(file), "")
    assert (facts.clips, facts.labelled, facts.seconds, facts.dims) == (36, 36, 72.0, {"image": 16, "audio": 16})
    assert {each.name: each for each in facts.each()} == before == merged_facts(tmp_path)
    assert compact(Folder(tmp_path)).files_after == 1, "nothing is left to do"
    assert facts_of(str(file), "") == facts


def test_each_day_config_and_word_set_has_its_own_file_and_failures_stay(tmp_path: Path) -> None:
    for number, facts in enumerate(
        [{}, {}, {"made": "2026-01-02T00:00:00+00:00"}, {"config": "other"}, {"words": "other"}, {"error": "broken"}]
    ):
        for copy in range(2):
            name = f"v/{number}{copy}.mp4"
            write_shard(tmp_path, name, [clip_of(name, 0, {"image": np.ones(4)})], None, **facts)
    compact(Folder(tmp_path))
    files = {str(path.relative_to(tmp_path)): facts_of(str(path), "") for path in tmp_path.rglob("*.parquet")}
    assert sorted(files) == [
        *(f"by-day/2026-01-01-{number}.parquet" for number in (1, 2, 3)),
        "by-day/2026-01-02-1.parquet",
        "v/50.mp4.parquet",
        "v/51.mp4.parquet",
    ]
    for name in ("by-day/2026-01-01-1.parquet", "by-day/2026-01-01-2.parquet", "by-day/2026-01-01-3.parquet"):
        assert len({(each.config, each.words) for each in files[name].each()}) == 1


def test_a_source_that_lacks_a_modality_has_nulls_there(tmp_path: Path) -> None:
    write_shard(tmp_path, "v/a.mp4", [clip_of("a", 0, {"image": np.full(4, 0.5), "audio": np.full(4, 0.5)})])
    write_shard(tmp_path, "v/b.wav", [clip_of("b", 0, {"audio": np.full(4, 0.5)})])
    compact(Folder(tmp_path))
    (file,) = tmp_path.rglob("*.parquet")
    assert read_table(str(file))["image_vector"].is_null().to_pylist() == [False, True]
    assert [each.dims for each in facts_of(str(file), "").each()] == [{"image": 4, "audio": 4}, {"audio": 4}]


def test_a_source_labelled_again_replaces_its_rows(tmp_path: Path) -> None:
    random_archive(tmp_path, sources=3, clips=2)
    name = "videos/0/clip1.mp4"
    others = [row for row in rows(tmp_path) if not row[0].endswith("clip1.mp4")]
    compact(Folder(tmp_path))
    fresh = [clip_of(f"/data/{name}", clip, {"image": np.eye(16)[clip], "audio": np.eye(16)[0]}) for clip in range(5)]
    write_shard(tmp_path, name, fresh, made="2026-02-01T00:00:00+00:00")
    compact(Folder(tmp_path))
    found = [row for row in rows(tmp_path) if row[0].endswith("clip1.mp4")]
    assert [row[2] for row in found] == [np.eye(16)[clip].astype(np.float16).tobytes() for clip in range(5)]
    assert [row for row in rows(tmp_path) if row not in found] == others
    assert merged_facts(tmp_path).keys() == {"videos/0/clip0.mp4", "videos/0/clip2.mp4"}


def test_files_are_filled_to_their_size_and_small_ones_join_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compacting, "PART_ROWS", 10)
    random_archive(tmp_path, sources=7, clips=3)
    kept = rows(tmp_path)
    compact(Folder(tmp_path))
    sizes = {path.name: facts_of(str(path), "").clips for path in tmp_path.rglob("*.parquet")}
    assert sizes == {"2026-01-01-1.parquet": 9, "2026-01-01-2.parquet": 9, "clip6.mp4.parquet": 3}
    write_shard(tmp_path, "videos/z.mp4", [clip_of("z", 0, {"image": np.ones(16) / 4, "audio": np.ones(16) / 4})])
    compact(Folder(tmp_path))
    sizes = {path.name: facts_of(str(path), "").clips for path in tmp_path.rglob("*.parquet")}
    assert sizes == {f"2026-01-01-{number}.parquet": size for number, size in ((1, 9), (2, 9), (3, 4))}
    assert [row for row in rows(tmp_path) if row[0] != "z"] == kept


@pytest.mark.parametrize("changes", range(6))
def test_whenever_it_is_cut_off_the_next_one_completes_it(tmp_path: Path, changes: int) -> None:
    random_archive(tmp_path, sources=5, clips=2)
    kept = rows(tmp_path)
    with pytest.raises(OSError, match="cut off"):
        compact(Folder(tmp_path, changes))
    assert set(rows(tmp_path)) == set(kept), "nothing is lost meanwhile"
    compact(Folder(tmp_path))
    assert rows(tmp_path) == kept
    assert len(list(tmp_path.rglob("*.parquet"))) == 1


def test_a_damaged_file_is_told_and_left_alone(tmp_path: Path) -> None:
    random_archive(tmp_path, sources=3, clips=2)
    damaged = tmp_path / "videos/0/clip1.mp4.parquet"
    damaged.write_bytes(damaged.read_bytes()[:-3])
    said: list[str] = []
    done = compact(Folder(tmp_path), said.append)
    assert (done.damaged, done.sources) == (1, 2)
    assert "clip1" in said[0]
    assert damaged.exists()


def test_a_file_that_is_not_read_back_as_written_costs_nothing(tmp_path: Path) -> None:
    class Forgetful(Folder):
        def put(self, name: str, data: bytes) -> None:
            super().put(name, data[:-1])

    random_archive(tmp_path, sources=3, clips=2)
    with pytest.raises(ShardError):
        compact(Forgetful(tmp_path))
    assert len(list((tmp_path / "videos").rglob("*.parquet"))) == 3


def test_facts_of_one_source_are_those_of_its_file() -> None:
    facts = Facts(source="a", name="v/a", dims={"image": 4}, clips=3)
    assert facts.each() == (facts,)


def test_a_run_knows_every_source_as_before(tmp_path: Path) -> None:
    random_archive(tmp_path, sources=5, clips=2)
    before = known_files(Folder(tmp_path))
    compact(Folder(tmp_path))
    assert known_files(Folder(tmp_path)) == before
    assert known_files(Folder(tmp_path)) == before, "from the index too"


def test_columns_that_a_whole_file_lacks_stay(tmp_path: Path) -> None:
    for name in ("v/a.mp4", "v/b.mp4"):
        write_shard(tmp_path, name, [clip_of(name, 0, {"image": np.full(4, 0.5)})], columns={"image": 4, "motion": 4})
    compact(Folder(tmp_path))
    (file,) = tmp_path.rglob("*.parquet")
    assert read_table(str(file))["motion_vector"].null_count == 2


def test_nobody_else_writes_meanwhile(tmp_path: Path) -> None:
    random_archive(tmp_path, sources=2)
    with alone(Folder(tmp_path)), pytest.raises(OutputError, match="is writing to it; wait until it has ended"):
        compact(Folder(tmp_path))


def rewritten(path: Path, change: Callable[[Any], Any] = lambda table: table, **facts: Any) -> None:
    """Write a file again with another table or other facts."""
    table = read_table(str(path))
    said = metadata_of(msgspec.structs.replace(facts_of(str(path), ""), **facts))
    path.write_bytes(encoded(change(table).replace_schema_metadata(said)))


@pytest.mark.parametrize("clips", [1, 3])
def test_a_file_with_other_rows_than_it_says_is_told_and_left_alone(tmp_path: Path, clips: int) -> None:
    random_archive(tmp_path, sources=3, clips=2)
    odd = tmp_path / "videos/0/clip1.mp4.parquet"
    rewritten(odd, clips=clips)
    kept, said = rows(tmp_path), list[str]()
    done = compact(Folder(tmp_path), said.append)
    assert (done.damaged, done.sources) == (1, 2)
    assert said == [f"videos/0/clip1.mp4.parquet: has 2 rows, not the {clips} that it says; it is left alone"]
    assert odd.exists()
    assert rows(tmp_path) == kept


def with_text(table: Any) -> Any:
    return table.set_column(table.schema.get_field_index("start_s"), "start_s", pyarrow.array(["x"] * len(table)))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda table: table.drop_columns(["source"]), "it has no column source"),
        (lambda table: table.append_column("mine", pyarrow.nulls(len(table))), "it has a column mine"),
        (with_text, "Failed to parse string: 'x' as a scalar of type double"),
    ],
)
def test_a_file_with_other_columns_is_told_and_left_alone(tmp_path: Path, change: Any, said: str) -> None:
    random_archive(tmp_path, sources=3, clips=2)
    odd = tmp_path / "videos/0/clip1.mp4.parquet"
    rewritten(odd, change)
    before, told = odd.read_bytes(), list[str]()
    done = compact(Folder(tmp_path), told.append)
    assert (done.damaged, done.sources) == (1, 2)
    assert told[0].startswith(f"videos/0/clip1.mp4.parquet: does not fit the others ({said}")
    assert odd.read_bytes() == before


def test_vectors_of_another_size_than_in_most_files_are_left_alone(tmp_path: Path) -> None:
    write_shard(tmp_path, "a.mp4", [clip_of("a", 0, {"image": np.ones(8) / 4, "audio": np.ones(16) / 4})])
    random_archive(tmp_path, sources=3, clips=2)
    told = list[str]()
    done = compact(Folder(tmp_path), told.append)
    assert (done.damaged, done.sources) == (1, 3)
    assert told[0].startswith("a.mp4.parquet: does not fit the others (")
    assert (tmp_path / "a.mp4.parquet").exists()


def test_damaged_rows_below_a_whole_footer_stop_no_other_file(tmp_path: Path) -> None:
    random_archive(tmp_path, sources=3, clips=2)
    damaged = tmp_path / "videos/0/clip1.mp4.parquet"
    damage_rows(damaged)
    said: list[str] = []
    done = compact(Folder(tmp_path), said.append)
    assert (done.damaged, done.sources) == (1, 2)
    assert said[0].startswith("videos/0/clip1.mp4.parquet: cannot be read (")
    assert damaged.exists()


@pytest.mark.parametrize("made", ["", "..", ".hidden", "a\0b", "a/b", "/abs", "2026/../..", "2026-01-0\n"])
def test_a_time_that_is_none_names_no_file(tmp_path: Path, made: str) -> None:
    for name in ("a.mp4", "b.mp4"):
        write_shard(tmp_path, name, [clip_of(name, 0, {"image": np.ones(4) / 2})], made=made)
    assert compact(Folder(tmp_path)).sources == 2
    assert [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.parquet")] == ["by-day/undated-1.parquet"]
    assert len(pieces_of(Folder(tmp_path), print)) == 2


def test_features_stay_with_their_clips_and_never_join_files_without(tmp_path: Path) -> None:
    made = archive_with_features(tmp_path)
    random_archive(tmp_path, sources=2, clips=2)
    before = {facts.name: facts for path in tmp_path.rglob("*.parquet") for facts in [facts_of(str(path), "")]}
    assert compact(Folder(tmp_path)).files_after == 2
    files = {facts_of(str(path), "").config: path for path in tmp_path.rglob("*.parquet")}
    assert {piece.name: piece.facts for piece in pieces_of(Folder(tmp_path), print)} == before
    table = read_table(str(files["f" * 16]))
    assert facts_of(str(files["f" * 16]), "").features == {"image": 24, "audio": 6}
    np.testing.assert_array_equal(vectors_in(table["audio_features"]), np.concatenate(list(made.values())))
    assert table["image_features"].is_null().to_pylist() == [False, False, True, True]
    assert "audio_features" not in read_table(str(files["0" * 16])).schema.names
