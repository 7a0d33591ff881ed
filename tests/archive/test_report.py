"""The pages of a report hold every source once, stay small, and refer to nothing outside but videos."""

import json
import re
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from archive import report as reporting
from archive.local_store import LocalStore
from archive.report import INDEX, survey, write_report
from archive.report_source import SMALL_BYTES, small, where
from archive.shard import encoded, read_table
from pipeline.errors import ConfigError
from pipeline.result import ClipRecord
from tests.archive.made import clip_of, write_shard

NOISE = np.random.default_rng(1).integers(0, 255, (400, 600, 3), np.uint8)
JPEG = cv2.imencode(".jpg", NOISE[:40, :60])[1].tobytes()


def blocks_of(path: Path) -> dict[str, Any]:
    found = re.findall(r'<script type="application/json" id="([^"]+)">(.*?)</script>', path.read_text(), re.DOTALL)
    return {name: json.loads(text) for name, text in found}


def made(folder: Path, sources: int, clips: int = 3, failed: int = 0) -> None:
    for number in range(sources):
        name = f"videos/{number:04}.mp4"
        records = [
            clip_of(name, clip, {}, [("dog", 0.3 + number / 1000 + clip / 10), ("rain", 0.7)], thumbnail=JPEG)
            for clip in range(clips)
        ]
        write_shard(folder, name, records)
    for number in range(failed):
        record = ClipRecord(source="x", epoch=0, clip=-1, start_s=0, end_s=0, error="no video")
        write_shard(folder, f"videos/bad {number}.mp4", [record], error="no video", tries=2, model="")


def written(folder: Path, output: Path, videos: str = "") -> list[Path]:
    return write_report(LocalStore(str(folder)), output, survey(LocalStore(str(folder))), videos, lambda *_: None)


def test_every_source_is_on_one_page_and_in_one_player(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reporting, "SOURCES_PER_PAGE", 4)
    monkeypatch.setattr(reporting, "PLAYER_BYTES", 9_000)
    made(tmp_path / "labels", 10)
    files = written(tmp_path / "labels", tmp_path / "report")
    assert files[0].name == INDEX
    pages = [blocks_of(path) for path in files if not path.name.startswith("play")]
    assert len(pages) == 3
    cards = {card["tree"]["source"]: card["url"] for page in pages for card in page["sources"]}
    assert sorted(cards) == [f"videos/{number:04}.mp4" for number in range(10)]
    for name, url in cards.items():
        file, number = re.fullmatch(r"(play-\d+\.html)#source=(\d+)", url).groups()  # type: ignore[union-attr]
        tree = blocks_of(tmp_path / "report" / file)[f"source-{int(number) - 1}"]
        assert tree["source"] == name
        assert tree["clips"]["start"] == [0, 2000, 4000]
    assert len({url.partition("#")[0] for url in cards.values()}) > 2
    assert [page["report"]["page"] for page in pages] != [], pages[0]["report"]["files"] == [
        path.name for path in files
    ]


def test_sums_and_moments_are_those_of_all_pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reporting, "SOURCES_PER_PAGE", 4)
    made(tmp_path / "labels", 10)
    report = blocks_of(written(tmp_path / "labels", tmp_path / "report")[0])["report"]
    assert report["histogram"]["rows"] == [["rain", 60.0, 10], ["dog", 20.0, 10]]
    assert report["facts"][:3] == ["10 sources", "1:00", "30 clips"]
    dogs = [row for row in report["moments"] if row[1] == "dog"]
    assert [row[4]["name"] for row in dogs] == [f"videos/{number:04}.mp4" for number in range(9, 1, -1)]
    assert {row[0] for row in dogs} == {4000}
    assert dogs[0][4]["url"].endswith("&t=4.0")


def test_a_failure_is_listed_with_its_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reporting, "FAILURES_PER_PAGE", 2)
    made(tmp_path / "labels", 1, failed=3)
    (tmp_path / "labels" / "videos" / "torn.mp4.parquet").write_bytes(b"PAR1")
    found = survey(LocalStore(str(tmp_path / "labels")))
    assert found.damaged == 1
    files = write_report(LocalStore(str(tmp_path / "labels")), tmp_path / "report", found, "", lambda *_: None)
    pages = {path.name: blocks_of(path)["report"] for path in files if not path.name.startswith("play")}
    assert pages[INDEX]["failed"] == [["videos/bad 0.mp4", "no video", 2], ["videos/bad 1.mp4", "no video", 2]]
    assert pages["page-2.html"]["failed"][1][0] == "videos/torn.mp4.parquet"
    assert "no whole Parquet file" in pages["page-2.html"]["failed"][1][1]
    assert {page["failures"] for page in pages.values()} == {4}


def test_a_file_without_a_column_costs_only_itself(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    made(tmp_path / "labels", 2)
    odd = tmp_path / "labels" / "videos" / "0000.mp4.parquet"
    table = read_table(str(odd))
    odd.write_bytes(encoded(table.drop_columns(["source"]).replace_schema_metadata(table.schema.metadata)))
    index = written(tmp_path / "labels", tmp_path / "report")[0]
    assert "videos/0001.mp4" in index.read_text()
    assert "videos/0000.mp4: its rows are no records of clips" in caplog.text


def test_pages_of_an_earlier_report_that_are_no_longer_there_go_and_files_of_others_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made(tmp_path / "labels", 3)
    monkeypatch.setattr(reporting, "SOURCES_PER_PAGE", 1)
    written(tmp_path / "labels", tmp_path / "report")
    (tmp_path / "report" / "page-9.html").write_text("mine")
    monkeypatch.setattr(reporting, "SOURCES_PER_PAGE", 10)
    written(tmp_path / "labels", tmp_path / "report")
    assert sorted(path.name for path in (tmp_path / "report").iterdir()) == [INDEX, "page-9.html", "play-1.html"]


def test_videos_are_found_where_they_were_or_below_a_given_folder(tmp_path: Path) -> None:
    (tmp_path / "videos" / "100%").mkdir(parents=True)
    video = tmp_path / "videos" / "100%" / "a.mp4"
    video.write_bytes(b"")
    name = "videos/100%25/a.mp4"
    assert where(str(video), name, "") == str(video)
    assert where("/gone/videos/100%/a.mp4", name, "") == ""
    assert where("/gone/videos/100%/a.mp4", name, str(tmp_path / "videos")) == str(video)
    assert where("s3://bucket/videos/a.mp4", name, "") == ""


def test_players_refer_to_videos_by_relative_paths(tmp_path: Path) -> None:
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos" / "a #1.mp4").write_bytes(b"")
    write_shard(tmp_path / "labels", "videos/a #1.mp4", [clip_of(str(tmp_path / "videos" / "a #1.mp4"), 0, {})])
    written(tmp_path / "labels", tmp_path / "report")
    tree = blocks_of(tmp_path / "report" / "play-1.html")["source-0"]
    assert (tree["media"]["url"], tree["media"]["kind"]) == ("../videos/a%20%231.mp4", "video")
    assert tree["warnings"] == []
    (tmp_path / "videos" / "a #1.mp4").unlink()
    written(tmp_path / "labels", tmp_path / "report")
    tree = blocks_of(tmp_path / "report" / "play-1.html")["source-0"]
    assert tree["media"]["url"] == ""
    assert "no longer where it was" in tree["warnings"][0]


def test_large_thumbnails_are_made_small_and_what_is_no_picture_is_left_out() -> None:
    large = cv2.imencode(".jpg", NOISE)[1].tobytes()
    assert len(large) > SMALL_BYTES
    assert len(small(large)) < len(large) / 2
    assert small(JPEG).startswith("data:image/jpeg;base64,")
    assert small(b"<svg onload=alert(1)>") == small(b"\xff\xd8" + bytes(20_000)) == small(None) == ""


def test_a_folder_without_an_archive_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="has no file of an archive"):
        survey(LocalStore(str(tmp_path)))
