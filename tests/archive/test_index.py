"""The index of an archive says what its files say, whatever has happened to it or to them."""

from pathlib import Path

import pytest

from archive.index import INDEX, known_files
from archive.local_store import LocalStore
from archive.schema import Facts
from archive.verdict import Damaged, Foreign
from tests.archive.made import clip_of, random_archive, write_shard


def test_it_follows_the_files(tmp_path: Path) -> None:
    random_archive(tmp_path, sources=3)
    store = LocalStore(str(tmp_path))
    names = [f"videos/0/clip{number}.mp4" for number in range(3)]
    first = known_files(store)
    assert sorted(first) == names
    indexed = (tmp_path / INDEX).read_bytes()
    again = known_files(store)
    assert (tmp_path / INDEX).read_bytes() == indexed
    assert {name: (facts.clips, facts.words) for name, facts in again.items() if isinstance(facts, Facts)} == {
        name: (facts.clips, facts.words) for name, facts in first.items() if isinstance(facts, Facts)
    }
    write_shard(tmp_path, names[0], [clip_of("a.mp4", clip) for clip in range(9)])
    (tmp_path / f"{names[1]}.parquet").unlink()
    changed = known_files(store)
    assert sorted(changed) == [names[0], names[2]]
    assert isinstance(changed[names[0]], Facts)
    assert changed[names[0]].clips == 9


@pytest.mark.parametrize("content", [b"", b"rubbish", b"\x92\x01\x80"])
def test_a_damaged_index_is_made_anew(tmp_path: Path, content: bytes) -> None:
    random_archive(tmp_path, sources=2)
    (tmp_path / ".percept").mkdir()
    (tmp_path / INDEX).write_bytes(content)
    assert len(known_files(LocalStore(str(tmp_path)))) == 2
    assert len((tmp_path / INDEX).read_bytes()) > 100


def test_files_that_are_damaged_or_of_others_are_not_kept_in_it(tmp_path: Path) -> None:
    import pyarrow.parquet

    random_archive(tmp_path, sources=1)
    path = tmp_path / "videos/0/clip0.mp4.parquet"
    path.write_bytes(path.read_bytes()[:-9])
    pyarrow.parquet.write_table(pyarrow.table({"a": [1]}), tmp_path / "b.parquet")
    for _ in range(2):
        known = known_files(LocalStore(str(tmp_path)))
        assert isinstance(known["videos/0/clip0.mp4"], Damaged)
        assert isinstance(known["b"], Foreign)
