"""Whatever reads an archive finds the same in a folder and in S3, before and after compaction."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from archive.compact import compact
from archive.exports.export import export_archive
from archive.local_store import LocalStore
from archive.relabel import plan, relabel
from archive.report import survey, write_report
from archive.search.cache import place_of, update
from archive.search.rows import Rows
from archive.search.where import Where
from archive.store import Store, archive_at
from pipeline.errors import ConfigError
from tests.archive.made import clip_of as made_clip
from tests.archive.made import random_archive, write_shard
from tests.archive.test_relabel import asked_for

SOURCES = 5


@pytest.fixture(params=["folder", "s3", "compacted", "compacted-s3"])
def archive(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Where five sources are; one of them was labelled twice, and is there twice in a compacted archive."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    kind, folder = request.param, tmp_path / "labels"
    random_archive(folder, sources=SOURCES, clips=3)
    if kind.startswith("compacted"):
        compact(LocalStore(str(folder)))
    again = [made_clip("/data/videos/0/clip1.mp4", clip, {"image": np.eye(16)[clip]}) for clip in range(2)]
    write_shard(folder, "videos/0/clip1.mp4", again, made="2026-03-01T00:00:00+00:00")
    if not kind.endswith("s3"):
        return str(folder)
    where = f"s3://{request.getfixturevalue('bucket')}/labels"
    target = archive_at(where)
    for entry in LocalStore(str(folder)).list():
        target.put(entry.name, (folder / entry.name).read_bytes())
    return where


def searched(archive: str) -> dict[str, list[Any]]:
    """What a search sees: start and picture vector of the clips of each source."""
    place = place_of(archive)
    rows = Rows(place, update(archive_at(archive), place, ["image"]))
    found: dict[str, list[Any]] = {}
    for segment in rows.catalog.segments:
        if not segment.dead:
            part = slice(segment.first, segment.stop)
            found[segment.name] = list(
                zip(rows.column("start_s")[part].tolist(), rows.column("image")[part].tolist(), strict=True)
            )
    return found


def test_a_search_sees_each_source_once(archive: str) -> None:
    found = searched(archive)
    assert sorted(found) == [f"videos/0/clip{number}.mp4" for number in range(SOURCES)]
    assert [len(clips) for _, clips in sorted(found.items())] == [3, 2, 3, 3, 3]
    assert found["videos/0/clip1.mp4"] == [(2.0 * clip, np.eye(16)[clip].tolist()) for clip in range(2)]
    assert searched(archive) == found, "from the cache too"
    compact(archive_at(archive))
    assert searched(archive) == found, "and after (another) compaction"


def test_more_vectors_are_read_later(archive: str) -> None:
    place = place_of(archive)
    first = update(archive_at(archive), place, ["image"])
    catalog = update(archive_at(archive), place, ["image", "audio"])
    assert catalog.columns["audio"].rows == catalog.rows == first.rows
    rows = Rows(place, catalog)
    segment = rows.find("videos/0/clip3.mp4")
    assert segment is not None
    assert np.abs(rows.column("audio")[segment.first : segment.stop]).sum(axis=1).min() > 0.5


def test_a_condition_knows_labels(archive: str) -> None:
    place = place_of(archive)
    rows = Rows(place, update(archive_at(archive), place, ["image"]))
    where = Where("len(labels) > 0 and name like '%clip4.mp4'")
    numbers = where.rows(rows, archive_at(archive)).nonzero()[0]
    assert [rows.segment_of(row).name for row in numbers] == ["videos/0/clip4.mp4"] * 3


def test_exports_and_reports_have_each_source_once(archive: str, tmp_path: Path) -> None:
    assert export_archive(archive, str(tmp_path / "csv"), "csv").files == SOURCES
    assert len((tmp_path / "csv/videos/0/clip1.mp4.csv").read_text().splitlines()) >= 1
    found = survey(archive_at(archive))
    assert (len(found.good), found.clips, found.damaged, found.name) == (SOURCES, 14, 0, "labels")
    pages = write_report(archive_at(archive), tmp_path / "report", found, "", lambda *_: None)
    assert "clip4.mp4" in pages[0].read_text()


def test_all_of_it_is_relabelled(archive: str, tmp_path: Path) -> None:
    store, asked = archive_at(archive), asked_for()
    before = searched(archive)
    found = plan(store, store, asked)
    assert relabel(store, store, found.names, asked, lambda *_: None) == []
    assert plan(store, store, asked).names == []
    assert searched(archive) == before, "vectors stay"
    assert labels_in(store) == {"cat", "wave"}


def labels_in(store: Store) -> set[str]:
    from archive.pieces import pieces_of, tables

    pieces = [piece for piece in pieces_of(store, print) if piece.facts.clips == 3]
    return {
        row["label"]
        for _, table in tables(store, pieces, ["labels"], print)
        for clip in table["labels"].to_pylist()
        for row in clip
    }


def test_what_is_not_there_is_told(tmp_path: Path, bucket: str) -> None:
    with pytest.raises(ConfigError, match="no such folder; expected an archive"):
        export_archive(str(tmp_path / "gone"), str(tmp_path / "out"), "csv")
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="is no folder; expected an archive"):
        archive_at(str(tmp_path / "file"))
    with pytest.raises(ConfigError, match="has no file of an archive"):
        survey(archive_at(f"s3://{bucket}/nothing"))
