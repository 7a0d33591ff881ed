"""Each source of an archive is found once, under a name that stays inside the folder of an export."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from archive.compact import compact
from archive.entries import Entry
from archive.index import known_file, known_files
from archive.local_store import LocalStore
from archive.pieces import Piece, pieces_of, tables
from archive.schema import Facts
from archive.search.cache import place_of, update
from archive.shard import Shard, encoded
from archive.verdict import Damaged
from tests.archive.made import clip_of, random_archive, write_shard


def write(folder: Path, file: str, name: str, clips: int = 1, first: int = 0, made: str = "") -> None:
    """A file that names its source otherwise than it is named itself."""
    shard = Shard({})
    for clip in range(first, first + clips):
        shard.add(clip_of(f"/v/{name}", clip))
    facts = Facts(source=f"/v/{name}", name=name, clips=clips, made=made)
    (folder / f"{file}.parquet").write_bytes(encoded(shard.table(facts)))


def test_of_a_source_that_is_there_twice_the_later_rows_count(tmp_path: Path) -> None:
    write(tmp_path, "a", "a", 2, 0, "2026-01-03T00:00:00+00:00")
    write(tmp_path, "b", "b", 1, 7, "2026-01-02T00:00:00+00:00")
    write(tmp_path, "z", "b", 3, 0, "2026-01-01T00:00:00+00:00")
    damaged: list[str] = []
    pieces = pieces_of(LocalStore(str(tmp_path)), damaged.append)
    assert [(piece.name, piece.file) for piece in pieces] == [("a", "a.parquet"), ("b", "b.parquet")]
    found = {
        piece.name: table["clip"].to_pylist() for piece, table in tables(LocalStore(str(tmp_path)), pieces, None, print)
    }
    assert found == {"a": [0, 1], "b": [7]}
    assert damaged == []


def test_each_source_of_a_file_has_its_own_rows(tmp_path: Path) -> None:
    write(tmp_path, "day", "a", 5)
    facts = Facts(source="a", name="a", clips=2)
    entry = Entry("day.parquet", 0, 0)
    pieces = [
        Piece(entry, msgspec.structs.replace(facts, name="b", clips=3), 2),
        Piece(entry, facts),
    ]
    found = [
        (piece.name, table["clip"].to_pylist())
        for piece, table in tables(LocalStore(str(tmp_path)), pieces, None, print)
    ]
    assert found == [("a", [0, 1]), ("b", [2, 3, 4])]


@pytest.mark.parametrize("name", ["../evil.mp4", "/etc/evil.mp4", "a/../../evil.mp4", "", "a//b", "a\0b"])
def test_a_name_that_leads_elsewhere_is_left_out(tmp_path: Path, name: str) -> None:
    write(tmp_path, "a", name)
    damaged: list[str] = []
    assert pieces_of(LocalStore(str(tmp_path)), damaged.append) == []
    assert "which is no name of an archive" in damaged[0]


def test_hidden_files_and_halves_are_no_part_of_it(tmp_path: Path) -> None:
    write_shard(tmp_path, "a.mp4", [clip_of("/v/a", 0)])
    write_shard(tmp_path, ".percept/search/b.mp4", [clip_of("/v/b", 0)])
    (tmp_path / ".a.mp4.parquet.part").write_bytes(b"half")
    (tmp_path / "a.csv").write_text("mine")
    assert [entry.name for entry in LocalStore(str(tmp_path)).list()] == ["a.mp4.parquet"]


@pytest.mark.parametrize("merged", [False, True])
def test_a_file_with_fewer_rows_than_none_is_left_out(tmp_path: Path, merged: bool) -> None:
    odd = tuple(Facts(source=name, name=name, clips=clips) for name, clips in (("a", -1), ("b", 3)))
    facts = Facts(source="", name="", clips=2, sources=odd) if merged else odd[0]
    (tmp_path / "a.parquet").write_bytes(encoded(Shard({}).table(facts)))
    damaged: list[str] = []
    assert pieces_of(LocalStore(str(tmp_path)), damaged.append) == []
    assert damaged == ["a.parquet: says that a has -1 rows, which cannot be; it is left out"]
    assert isinstance(known_file(LocalStore(str(tmp_path)), "a"), Damaged)


class Compacting(LocalStore):
    """An archive that is compacted by another process: while it is listed the first time, or just after."""

    def __init__(self, folder: Path, when: str) -> None:
        super().__init__(str(folder))
        self._when: str | None = when

    def _in_folder(self, below: str, seen: set[tuple[int, int]]) -> Any:
        found = super()._in_folder(below, seen)
        if self._when == below:
            self._compact()
        return found

    def list(self) -> Iterator[Entry]:
        yield from super().list()
        if self._when == "after":
            self._compact()

    def _compact(self) -> None:
        self._when = None
        compact(LocalStore(self.where))


@pytest.mark.parametrize("when", ["", "by-day/", "after"])
@pytest.mark.parametrize("reader", ["pieces", "index", "search"])
def test_no_reader_loses_a_source_to_a_compaction(tmp_path: Path, when: str, reader: str) -> None:
    random_archive(tmp_path, sources=3)
    compact(LocalStore(str(tmp_path)))
    for name in ("videos/a.mp4", "videos/b.mp4"):
        write_shard(tmp_path, name, [clip_of(name, 0, {"image": np.eye(16)[0], "audio": np.eye(16)[0]})])
    expected = {"videos/a.mp4", "videos/b.mp4", *(f"videos/0/clip{number}.mp4" for number in range(3))}
    store, damaged = Compacting(tmp_path, when), list[str]()
    if reader == "pieces":
        found = {piece.name for piece in pieces_of(store, damaged.append)}
    elif reader == "index":
        known = known_files(store)
        found = {name for name, facts in known.items() if isinstance(facts, Facts)}
        assert known.keys() == found
        assert known_files(LocalStore(str(tmp_path))) == known
    else:
        catalog = update(store, place_of(str(tmp_path)), ["image"])
        found = {segment.name for segment in catalog.segments if not segment.dead}
        assert not catalog.passed_over
    assert found == expected
    assert damaged == []


@pytest.mark.parametrize("reader", ["pieces", "index", "search"])
def test_a_file_that_is_merged_already_and_deleted_now_is_no_damage(tmp_path: Path, reader: str) -> None:
    random_archive(tmp_path, sources=3)
    own = (tmp_path / "videos/0/clip1.mp4.parquet").read_bytes()
    compact(LocalStore(str(tmp_path)))
    (tmp_path / "videos/0/clip1.mp4.parquet").write_bytes(own)

    class Deleting(LocalStore):
        def list(self) -> Iterator[Entry]:
            yield from super().list()
            self.delete("videos/0/clip1.mp4.parquet")

    store, damaged = Deleting(str(tmp_path)), list[str]()
    if reader == "pieces":
        assert len(pieces_of(store, damaged.append)) == 3
    elif reader == "index":
        assert all(isinstance(facts, Facts) for facts in known_files(store).values())
    else:
        assert not update(store, place_of(str(tmp_path)), ["image"]).passed_over
    assert damaged == []


def test_rows_that_move_after_they_were_found_are_read_where_they_are(tmp_path: Path) -> None:
    random_archive(tmp_path, sources=4, clips=2)
    store, damaged = LocalStore(str(tmp_path)), list[str]()
    pieces = pieces_of(store, damaged.append)
    compact(store)
    lost = msgspec.structs.replace(pieces[0], facts=msgspec.structs.replace(pieces[0].facts, name="lost.mp4"))
    found = {
        piece.name: table["source"].to_pylist() for piece, table in tables(store, [*pieces, lost], None, damaged.append)
    }
    assert found == {piece.name: [f"/data/{piece.name}"] * 2 for piece in pieces}
    assert damaged == ["lost.mp4: its file is gone"]
