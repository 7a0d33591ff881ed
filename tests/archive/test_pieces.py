"""Each source of an archive is found once, under a name that stays inside the folder of an export."""

from pathlib import Path

import msgspec
import pytest

from archive.entries import Entry
from archive.index import known_file
from archive.local_store import LocalStore
from archive.pieces import Piece, pieces_of, tables
from archive.schema import Facts
from archive.shard import Shard, encoded
from archive.verdict import Damaged
from tests.archive.made import clip_of, write_shard


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
