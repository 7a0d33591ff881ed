"""What all stores do: whole files, and claims that one has."""

import itertools
import os
import pickle
import threading
from pathlib import Path

import pyarrow.parquet
import pytest

from archive.entries import StoreError
from archive.shard import facts_of, read_table
from archive.store import Store, store_of
from pipeline.errors import ConfigError
from tests.archive.made import random_archive


@pytest.fixture(params=["folder", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """An empty store that has been through a pickle, as on its way to another process."""
    if request.param == "folder":
        where = str(tmp_path / "labels")
    else:
        where = f"s3://{request.getfixturevalue('bucket')}/some/labels/"
    made: Store = pickle.loads(pickle.dumps(store_of(where)))
    assert made.where == where
    return made


def content(store: Store, name: str) -> bytes:
    with store.open(name) as file:
        return file.read()


def names_in(store: Store) -> list[str]:
    return [entry.name for entry in store.list()]


def test_what_is_put_is_listed_and_read(store: Store) -> None:
    assert names_in(store) == [], "nothing is there yet"
    store.put("videos/b/x 100%?.mp4.parquet", b"first")
    store.put("videos/b/x 100%?.mp4.parquet", b"second!")
    store.put("videos/ä.parquet", b"")
    assert {entry.name: entry.size for entry in store.list()} == {
        "videos/b/x 100%?.mp4.parquet": 7,
        "videos/ä.parquet": 0,
    }
    with store.open("videos/b/x 100%?.mp4.parquet") as file:
        file.seek(-4, os.SEEK_END)
        assert file.read() == b"ond!"
        assert file.seek(2) == 2
        assert file.read(3) == b"con"
        assert file.tell() == 5
    assert content(store, "videos/ä.parquet") == b""
    for _ in range(2):
        store.delete("videos/ä.parquet")
    assert names_in(store) == ["videos/b/x 100%?.mp4.parquet"]
    with pytest.raises(FileNotFoundError):
        store.open("videos/ä.parquet")


def test_shards_are_read_by_pyarrow(store: Store, tmp_path: Path) -> None:
    random_archive(tmp_path / "made", sources=2, clips=200)
    for path in (tmp_path / "made").rglob("*.parquet"):
        store.put(str(path.relative_to(tmp_path / "made")), path.read_bytes())
    for name in names_in(store):
        with store.open(name) as file:
            assert facts_of(file, name).clips == 200
        with store.open(name) as file:
            assert read_table(file).equals(pyarrow.parquet.read_table(tmp_path / "made" / name))


def test_only_shards_are_listed(store: Store) -> None:
    for name in ("v/a.parquet", "v/.b.parquet", ".percept/search/c.parquet", "v/notes.txt", "v/d.vtt"):
        store.put(name, b"x")
    store.claim("key", "text")
    assert names_in(store) == ["v/a.parquet"]


@pytest.mark.parametrize("name", ["../x.parquet", "/x.parquet", "a/../../x.parquet", "a//x.parquet", ""])
def test_no_name_leads_out_of_a_store(store: Store, name: str) -> None:
    for use in (store.open, store.delete, lambda name: store.put(name, b"x")):
        with pytest.raises(StoreError, match="is not the name of a file in an archive"):
            use(name)


def test_a_claim_is_made_once_and_changed_by_its_holder_only(store: Store) -> None:
    assert store.read_claim("key") is None
    assert store.claim("key", "one")
    assert not store.claim("key", "two")
    found = store.read_claim("key")
    assert found is not None
    assert found.text == "one"
    assert 0 <= found.age_s < 30
    assert store.touch("key", "one")
    assert not store.touch("key", "two")
    assert not store.touch("other", "one")
    assert not store.swap("key", "two", "three")
    assert store.swap("key", "one", "two")
    assert not store.swap("key", "one", "three")
    store.drop("key", "one")
    assert store.read_claim("key") is not None
    store.drop("key", "two")
    store.drop("key", "two")
    assert store.read_claim("key") is None
    assert not store.swap("key", "two", "three")
    assert store.claim("key", "three")


def test_of_many_threads_one_makes_a_claim_and_one_replaces_it(store: Store) -> None:
    won = list[tuple[int, int]]()
    barrier = threading.Barrier(6)
    rounds = 5
    store.claim("warm", "up")

    def compete(number: int) -> None:
        for turn in range(rounds):
            barrier.wait(30)
            if store.claim(f"{turn}", f"{number}"):
                won.append((turn, 0))
            barrier.wait(30)
            found = store.read_claim(f"{turn}")
            barrier.wait(30)
            if found is not None and store.swap(f"{turn}", found.text, f"{number} later"):
                won.append((turn, 1))

    threads = [threading.Thread(target=compete, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(won) == list(itertools.product(range(rounds), range(2)))


def test_old_claims_are_tidied_up(store: Store) -> None:
    store.put("v/a.parquet", b"a")
    assert store.claim("key", "one")
    assert store.tidy(age_s=3600) == 0
    assert store.tidy(age_s=-60) == 1
    assert store.read_claim("key") is None
    assert names_in(store) == ["v/a.parquet"]


@pytest.mark.parametrize("where", ["s3://", "s3:///labels", "s3://a b/labels", "s3://user:word@host/x"])
def test_an_address_that_is_none_is_told(where: str) -> None:
    with pytest.raises(ConfigError, match=r"expected s3://bucket/prefix") as failed:
        store_of(where)
    assert "word@" not in str(failed.value)
