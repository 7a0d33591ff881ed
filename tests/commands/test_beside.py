"""Exports beside the files of an archive are written, written again, and removed."""

import os
from pathlib import Path

import pytest

from archive.compact import compact
from archive.index import known_files
from archive.local_store import LocalStore
from archive.schema import Facts
from commands.beside import Beside
from pipeline.errors import ConfigError
from tests.archive.made import clip_of, write_shard


def write(folder: Path, name: str, label: str, **facts: object) -> None:
    write_shard(folder, name, [clip_of(f"/data/{name}", 0, None, [(label, 0.9)])], **facts)


def beside(folder: Path, *kinds: str) -> Beside:
    store = LocalStore(str(folder))
    return Beside(store, str(folder), kinds, known_files(store))


def facts(folder: Path, name: str) -> Facts:
    found = known_files(LocalStore(str(folder)))[name]
    assert isinstance(found, Facts)
    return found


def test_what_lies_beside_a_file_follows_it(tmp_path: Path) -> None:
    write(tmp_path, "a.mp4", "dog")
    assert beside(tmp_path, "vtt").fill(["a.mp4"], print) == 1
    before = beside(tmp_path)
    write(tmp_path, "a.mp4", "rain")
    before(facts(tmp_path, "a.mp4"))
    assert "rain" in (tmp_path / "a.mp4.vtt").read_text()
    assert not (tmp_path / "a.mp4.csv").exists()
    write(tmp_path, "a.mp4", "rain", error="no video")
    before(facts(tmp_path, "a.mp4"))
    assert not (tmp_path / "a.mp4.vtt").exists(), "a source that fails has none"


def test_what_is_older_than_the_labels_is_left_alone(tmp_path: Path) -> None:
    subtitles = tmp_path / "a.mp4.vtt"
    subtitles.write_text("mine")
    new = beside(tmp_path)
    write(tmp_path, "a.mp4", "dog")
    new(facts(tmp_path, "a.mp4"))
    os.utime(subtitles, (0, 0))
    beside(tmp_path)(facts(tmp_path, "a.mp4"))
    assert beside(tmp_path).renew(print) == 0
    assert subtitles.read_text() == "mine"


def test_missing_ones_come_from_stored_rows_also_of_merged_files(tmp_path: Path) -> None:
    for name, label in (("a.mp4", "dog"), ("b.mp4", "rain")):
        write(tmp_path, name, label)
    write(tmp_path, "c.mp4", "dog", error="no video")
    compact(LocalStore(str(tmp_path)), print)
    assert beside(tmp_path, "vtt", "csv").fill(["a.mp4", "b.mp4", "c.mp4"], print) == 4
    assert "rain" in (tmp_path / "b.mp4.vtt").read_text()
    assert beside(tmp_path, "vtt", "csv").fill(["a.mp4", "b.mp4"], print) == 0
    (tmp_path / "a.mp4.vtt").write_text("old words")
    assert beside(tmp_path).renew(print) == 4
    assert "dog" in (tmp_path / "a.mp4.vtt").read_text()


def test_there_are_none_beside_an_archive_in_s3() -> None:
    with pytest.raises(ConfigError, match="percept export s3://bucket/labels"):
        Beside(LocalStore("."), "s3://bucket/labels", ["vtt"], {})
