"""A folder as a store: whole files or none, names of any kind, and many of them."""

import multiprocessing
import os
import resource
import signal
import time
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest

from archive.entries import StoreError
from archive.local_store import LocalStore


def content(store: LocalStore, name: str) -> bytes:
    with store.open(name) as file:
        return file.read()


def names_in(store: LocalStore) -> list[str]:
    return [entry.name for entry in store.list()]


def test_only_shards_are_listed(tmp_path: Path) -> None:
    store = LocalStore(str(tmp_path))
    store.put("v/a.parquet", b"a")
    for name in ("v/.a.parquet.1234.part", "v/.b.parquet", ".percept/search/c.parquet", "v/notes.txt", "v/d.vtt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    os.symlink("nowhere", tmp_path / "v/gone.parquet")
    os.symlink("itself.parquet", tmp_path / "v/itself.parquet")
    assert names_in(store) == ["v/a.parquet"]


def test_folders_that_link_to_each_other_are_listed_once(tmp_path: Path) -> None:
    store = LocalStore(str(tmp_path / "labels"))
    store.put("v/a.parquet", b"a")
    LocalStore(str(tmp_path / "elsewhere")).put("b.parquet", b"b")
    os.symlink("..", tmp_path / "labels/v/up")
    os.symlink(tmp_path / "elsewhere", tmp_path / "labels/w")
    assert names_in(store) == ["v/a.parquet", "w/b.parquet"]


def test_names_that_are_not_utf8_are_listed_read_and_told(tmp_path: Path) -> None:
    store = LocalStore(str(tmp_path))
    name = os.fsdecode(b"v/caf\xe9.parquet")
    store.put(name, b"coffee")
    assert names_in(store) == [name]
    assert content(store, name) == b"coffee"
    (tmp_path / os.fsdecode(b"\xff.parquet")).mkdir()
    with pytest.raises(StoreError) as failed:
        store.put(os.fsdecode(b"\xff.parquet"), b"x")
    assert str(failed.value).encode().endswith(b"\\udcff.parquet: Is a directory"), "it can be printed"


def test_many_names_are_listed_at_once(tmp_path: Path) -> None:
    (tmp_path / "v").mkdir()
    for number in range(10_000):
        os.close(os.open(tmp_path / f"v/{number}.parquet", os.O_CREAT | os.O_WRONLY))
    began_s = time.process_time()
    assert sum(1 for _ in LocalStore(str(tmp_path)).list()) == 10_000
    assert time.process_time() - began_s < 2


def put_until_killed(folder: str, ready: Event) -> None:
    store, number = LocalStore(folder), 0
    while True:
        store.put("v/a.parquet", bytes([number % 256]) * 300_000)
        number += 1
        ready.set()


def test_a_killed_writer_leaves_a_whole_file(tmp_path: Path) -> None:
    forked = multiprocessing.get_context("fork")
    store = LocalStore(str(tmp_path))
    for _ in range(8):
        ready = forked.Event()
        writer = forked.Process(target=put_until_killed, args=(str(tmp_path), ready))
        writer.start()
        assert ready.wait(30)
        time.sleep(0.01)
        os.kill(writer.pid or 0, signal.SIGKILL)
        writer.join(30)
        found = content(store, "v/a.parquet")
        assert len(found) == 300_000
        assert len(set(found)) == 1
        assert names_in(store) == ["v/a.parquet"]
    store.put("v/b.parquet", b"b")
    (tmp_path / "v/.c.parquet.0123.part").write_bytes(b"half")
    os.utime(tmp_path / "v/.c.parquet.0123.part", (0, 0))
    store.claim("old", "x")
    os.utime(tmp_path / ".percept/claims/old", (0, 0))
    store.claim("new", "y")
    assert store.tidy(age_s=3600) == 2
    assert not list(tmp_path.rglob(".c.*"))
    assert store.read_claim("old") is None
    assert store.read_claim("new") is not None
    store.tidy(age_s=-1)
    assert not list(tmp_path.rglob("*.part"))
    assert names_in(store) == ["v/a.parquet", "v/b.parquet"]


def test_a_file_that_does_not_fit_leaves_the_old_one(tmp_path: Path) -> None:
    store = LocalStore(str(tmp_path))
    store.put("v/a.parquet", b"old")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
        with pytest.raises(StoreError, match=r"a\.parquet: file size limit reached"):
            store.put("v/a.parquet", bytes(5000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)
    assert content(store, "v/a.parquet") == b"old"
    assert [path.name for path in (tmp_path / "v").iterdir()] == ["a.parquet"]


def test_a_folder_that_is_a_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "labels").write_text("")
    store = LocalStore(str(tmp_path / "labels"))
    with pytest.raises(StoreError, match=r"labels.*: the folder cannot be read \(Not a directory\)"):
        list(store.list())
    with pytest.raises(StoreError, match="cannot write"):
        store.put("a.parquet", b"")
    with pytest.raises(StoreError, match="cannot write"):
        store.claim("a", "b")
