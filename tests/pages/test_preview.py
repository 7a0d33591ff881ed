"""A preview is a small file that browsers play, and its times are those of the results."""

from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from pages.media import probe
from pages.page import make_preview, preview_path
from pages.preview import MAX_SHORT_SIDE_PX, is_preview_of, mark_of, preview_size, publish
from pages.recording import Recording
from pages.source import PageSource
from pipeline.build import film_source
from pipeline.errors import OutputError
from tests.media import Sound, make_sound, make_video, pitch_hz, read_time_ms, tone_hz


def preview_of(source: Path, **options: Any) -> tuple[Path, PageSource]:
    page = PageSource(Recording(str(source)), str(source))
    path = source.with_name("page-preview.mp4")
    make_preview(page, str(path), film_source(options))
    return path, page


@pytest.mark.parametrize(
    ("name", "given", "begins_s"),
    [
        ("a.mkv", {}, 0),
        ("a.avi", {"codec": "mpeg4"}, 0),
        ("a.mpg", {"codec": "mpeg2video"}, 0),
        ("a.mp4", {"start_s": 5.0}, 5),
        ("b.mp4", {"codec": "libx265", "pixel_format": "yuv420p10le", "vfr": True}, 0),
    ],
)
def test_pictures_keep_their_times(tmp_path: Path, name: str, given: dict[str, Any], begins_s: float) -> None:
    source = make_video(tmp_path / name, 3, 25, (320, 240), **given)
    path, page = preview_of(source)
    assert page.warnings == []
    assert probe(str(path)).obstacle == ""
    with av.open(str(path)) as container:
        assert container.streams.video[0].codec_context.profile.endswith("Baseline")
        times = [(frame.time, read_time_ms(frame.to_ndarray(format="rgb24"))) for frame in container.decode(video=0)]
    assert len(times) > 50
    assert [drawn / 1000 - begins_s for _, drawn in times] == pytest.approx([time for time, _ in times], abs=0.011)


def test_sound_keeps_its_times(tmp_path: Path) -> None:
    path, _ = preview_of(make_video(tmp_path / "a.mkv", 4, 25, (64, 48), audio=Sound(codec="ac3", rate_hz=48_000)))
    check_pitch(path)


def check_pitch(path: Path) -> None:
    with av.open(str(path)) as container:
        assert container.streams.audio[0].codec_context.name == "aac"
        rate_hz = container.streams.audio[0].codec_context.sample_rate
        frames = [(frame.time, frame.to_ndarray()[0]) for frame in container.decode(audio=0)]
    for second in range(1, 3):
        heard = np.concatenate([part for time, part in frames if second + 0.1 < time < second + 0.8])
        assert pitch_hz(heard, rate_hz) == pytest.approx(tone_hz(second), abs=8)


def test_a_sound_file_gets_one_too(tmp_path: Path) -> None:
    path, page = preview_of(make_sound(tmp_path / "a.mka", 4, Sound(codec="ac3", rate_hz=48_000)))
    assert page.preview == str(path)
    assert (probe(str(path)).kind, probe(str(path)).obstacle) == ("sound", "")
    check_pitch(path)


def test_a_stretch_begins_at_0(tmp_path: Path) -> None:
    """The page knows where the stretch begins in the source."""
    source = make_video(tmp_path / "a.mkv", 4, 25, (320, 240))
    page = PageSource(Recording(str(source)), str(source))
    make_preview(page, str(tmp_path / "p.mp4"), film_source({"start_ns": 2_000_000_000}))
    assert page.preview_start_s == 2.0
    with av.open(str(tmp_path / "p.mp4")) as container:
        first = next(container.decode(video=0))
        assert (first.time, read_time_ms(first.to_ndarray(format="rgb24"))) == (0, 2000)


def test_it_is_made_once_and_again_when_the_source_changes(tmp_path: Path) -> None:
    source = make_video(tmp_path / "a.mkv", 1, 25, (64, 48))
    path, _ = preview_of(source)
    assert is_preview_of(str(path), mark_of(str(source), film_source({})))
    made = path.stat().st_mtime_ns
    preview_of(source)
    assert path.stat().st_mtime_ns == made
    make_video(source, 2, 25, (64, 48))
    preview_of(source)
    assert path.stat().st_mtime_ns > made


def test_a_source_that_cannot_be_decoded_is_a_warning(tmp_path: Path) -> None:
    source = make_video(tmp_path / "a.mkv", 1, 25, (64, 48))
    page = PageSource(Recording(str(source)), str(source))
    source.write_bytes(source.read_bytes()[:600])
    make_preview(page, str(tmp_path / "p.mp4"), film_source({}))
    assert "no preview could be made" in page.warnings[0]
    assert not list(tmp_path.glob("*.mp4")) + list(tmp_path.glob(".*"))


def test_size_and_name() -> None:
    assert preview_size(1920, 1080) == (854, 480)
    assert preview_size(1080, 1920) == (480, 854)
    assert preview_size(321, 241) == (320, 240)
    assert min(preview_size(4096, 4096)) == MAX_SHORT_SIDE_PX
    assert [preview_path("out/talk.html", number) for number in (0, 1)] == [
        "out/talk-preview.mp4",
        "out/talk-preview-2.mp4",
    ]


def test_a_file_that_is_no_preview_is_never_replaced(tmp_path: Path) -> None:
    """Such as the source itself, or notes of the user."""
    page = str(tmp_path / "talk.html")
    for name in ("talk-preview.mp4", "talk-preview.2.mp4"):
        (tmp_path / name).write_text("notes")
    assert preview_path(page, 0) == str(tmp_path / "talk-preview.3.mp4")
    source = make_video(tmp_path / "own.mkv", seconds=1, audio=Sound())
    page_source = PageSource(Recording(str(source)), str(source))
    make_preview(page_source, preview_path(page, 0), film_source({}))
    assert page_source.preview == str(tmp_path / "talk-preview.3.mp4"), page_source.warnings
    assert preview_path(page, 0) == page_source.preview  # ours may be replaced
    assert (tmp_path / "talk-preview.mp4").read_text() == "notes"


def test_a_source_is_kept_even_if_it_is_a_preview_and_so_is_a_file_that_came_meanwhile(tmp_path: Path) -> None:
    path, _ = preview_of(make_video(tmp_path / "own.mkv", seconds=1, audio=Sound()))
    page = str(tmp_path / "page.html")
    assert preview_path(page, 0) == str(path)
    assert preview_path(page, 0, [str(path)]) == str(tmp_path / "page-preview.2.mp4")
    part = tmp_path / "part"
    part.write_text("new")
    theirs = make_video(tmp_path / "theirs.mp4", seconds=1)
    before = theirs.read_bytes()
    with pytest.raises(OutputError, match="was kept"):
        publish(str(part), str(theirs))
    assert theirs.read_bytes() == before
    publish(str(part), str(path))
    assert path.read_text() == "new"
