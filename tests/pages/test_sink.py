"""The page as an output of a run: written whole, at the end, with previews that were made on the way."""

import json
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pages.sink import Page
from pipeline.build import film_source
from pipeline.clip import SourceInfo
from pipeline.sinks.kinds import make_sink, resolved
from pipeline.status import OutputSpec
from tests.media import Sound, make_sound, make_video
from tests.pages.records import following, written


def page_spec(folder: Path, *sources: Path, **reader: Any) -> OutputSpec:
    spec = OutputSpec(
        kind="html", path=str(folder / "page.html"), sources=tuple(map(str, sources)), film=film_source(reader)
    )
    return resolved(spec, {})


def feed(sink: Any, *sources: Path, seconds: int = 4) -> None:
    """All that a run would tell a sink."""
    sink.open()
    for index, source in enumerate(sources):
        sink.source_started(SourceInfo(source=str(source), source_index=index))
        for record in following(str(source), seconds, (64, 48)):
            sink.write(record)
        sink.source_ended(index, seconds // 2)


def trees(page: Path) -> list[dict[str, Any]]:
    blocks = re.findall(r'id="source-\d+">(.*?)</script>', page.read_text(encoding="utf-8"))
    return [json.loads(block) for block in blocks]


def test_the_page_holds_every_source(tmp_path: Path) -> None:
    plain, old = make_video(tmp_path / "a.mp4", 4, 25, (64, 48)), make_video(tmp_path / "b.mkv", 4, 25, (64, 48))
    sound = make_sound(tmp_path / "c.mka", 4, Sound(codec="ac3", rate_hz=48_000))
    sink = make_sink(page_spec(tmp_path, plain, old, sound))
    assert isinstance(sink, Page)
    feed(sink, plain, old, sound)
    sink.close(complete=True)
    found = trees(tmp_path / "page.html")
    assert [tree["media"]["url"] for tree in found] == ["a.mp4", "page-preview-2.mp4", "page-preview-3.mp4"]
    assert [tree["media"]["kind"] for tree in found] == ["video", "video", "sound"]
    assert [len(tree["thumbnails"]) for tree in found] == [2, 2, 0]
    assert (tmp_path / "page-preview-2.mp4").exists()
    assert sink.notes == []


def test_an_interrupted_run_leaves_no_page_and_no_preview(tmp_path: Path) -> None:
    source = make_video(tmp_path / "b.mkv", 4, 25, (64, 48))
    sink = make_sink(page_spec(tmp_path, source))
    sink.open()
    sink.source_started(SourceInfo(source=str(source), source_index=0))
    sink.write(following(str(source), 2, (64, 48))[0])
    sink.close(complete=False)
    assert "no page was written, because the run did not end" in sink.notes[-1]
    assert [path.name for path in tmp_path.iterdir()] == ["b.mkv"]


def test_a_stretch_of_a_source_has_its_place_in_the_preview(tmp_path: Path) -> None:
    source = make_video(tmp_path / "b.mkv", 4, 25, (64, 48))
    sink = make_sink(page_spec(tmp_path, source, start_ns=2_000_000_000))
    feed(sink, source)
    sink.close(complete=True)
    assert trees(tmp_path / "page.html")[0]["media"] | {"name": ""} == {
        "kind": "video", "url": "page-preview.mp4", "name": "", "start": 2000, "preview": True,
    }  # fmt: skip


def test_a_preview_that_fails_is_a_note(tmp_path: Path) -> None:
    source = make_video(tmp_path / "b.mkv", 4, 25, (64, 48))
    (tmp_path / ".page-preview.mp4.part").mkdir()
    sink = make_sink(page_spec(tmp_path, source))
    feed(sink, source)
    sink.close(complete=True)
    assert len(sink.notes) == 1
    assert "no preview could be made" in sink.notes[0]


def test_an_image_is_shown_as_it_is(tmp_path: Path) -> None:
    import cv2
    import numpy as np

    cv2.imwrite(str(tmp_path / "a.png"), np.full((48, 64, 3), 90, np.uint8))
    sink = make_sink(page_spec(tmp_path, tmp_path / "a.png"))
    feed(sink, tmp_path / "a.png", seconds=2)
    sink.close(complete=True)
    (tree,) = trees(tmp_path / "page.html")
    assert (tree["media"]["kind"], tree["media"]["url"], tree["thumbnails"]) == ("still", "", [])
    assert tree["poster"].startswith("data:image/jpeg;base64,")


def test_a_resumed_run_writes_the_whole_page(tmp_path: Path) -> None:
    source = make_video(tmp_path / "a.mp4", 8, 25, (64, 48))
    records = following(str(source), 8, (64, 48))
    before = written(tmp_path / "a.jsonl", records[:2])
    spec = msgspec.structs.replace(page_spec(tmp_path, source), resume=True, resume_from=str(before))
    sink = make_sink(spec)
    sink.open()
    sink.source_started(SourceInfo(source=str(source), source_index=0))
    for record in records[2:]:
        sink.write(record)
    sink.source_ended(0, 2)
    sink.close(complete=True)
    assert trees(tmp_path / "page.html")[0]["clips"]["start"] == [0, 2000, 4000, 6000]


@pytest.mark.parametrize("name", ["gone.mp4", "http://example.org/talk.mp4"])
def test_a_source_that_is_not_here_is_a_note(tmp_path: Path, name: str) -> None:
    sink = make_sink(OutputSpec(kind="html", path=str(tmp_path / "page.html"), sources=(name,), sink="pages.sink:Page"))
    sink.open()
    for record in following(name, 2, (64, 48)):
        sink.write(record)
    sink.source_ended(0, 1)
    sink.close(complete=True)
    assert name in sink.notes[0]
    assert trees(tmp_path / "page.html")[0]["media"]["url"] == ""
