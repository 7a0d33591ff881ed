"""The labelled video: timing, size, sound and what is drawn."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from pipeline.clip import SourceInfo
from pipeline.errors import OutputError
from pipeline.result import ClipRecord, Track
from pipeline.sinks.draw import Artist, TrackPath, plain, track_colour, track_paths
from pipeline.sinks.rewrite import output_size
from pipeline.sinks.video import LabelledVideo
from pipeline.status import OutputSpec, VideoOptions
from tests.media import Sound, make_video
from tests.pipeline.sinks.records import failed, result


def label_video(source: Path, path: Path, records: list[ClipRecord], **options: Any) -> LabelledVideo:
    spec = OutputSpec(kind="video", path=str(path), sources=(str(source),), video=VideoOptions(**options))
    sink = LabelledVideo(spec)
    sink.open()
    sink.source_started(SourceInfo(source=str(source), source_index=0))
    for record in records:
        sink.write(record)
    sink.source_ended(0, len(records))
    sink.close(complete=True)
    return sink


def pictures(path: Path) -> list[tuple[float, np.ndarray[Any, Any]]]:
    with av.open(str(path)) as container:
        return [(float(frame.time or 0), frame.to_ndarray(format="rgb24")) for frame in container.decode(video=0)]


def sound_s(path: Path) -> tuple[str, float]:
    with av.open(str(path)) as container:
        track = container.streams.audio[0]
        samples = sum(frame.samples for frame in container.decode(track))
        return track.codec_context.codec.canonical_name, samples / track.rate


def clips(source: Path, count: int) -> list[ClipRecord]:
    return [result(clip, str(source), rain=0.8, dog=0.4) for clip in range(count)]


@pytest.fixture(scope="session")
def talk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_video(tmp_path_factory.mktemp("video") / "talk.mp4", seconds=4, audio=Sound())


def test_every_picture_keeps_its_time(talk: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.mp4"
    sink = label_video(talk, out, clips(talk, 2))
    before, after = pictures(talk), pictures(out)
    assert [time for time, _ in after] == pytest.approx([time for time, _ in before], abs=1e-3)
    assert sink.notes == []
    assert [file.name for file in tmp_path.iterdir()] == ["out.mp4"]


@pytest.mark.parametrize(
    "more", [{"vfr": True}, {"start_s": 3.0}, {"fps": 29.97, "b_frames": 3}, {"interleaved": False}], ids=str
)
def test_odd_timing_is_kept(tmp_path: Path, more: dict[str, Any]) -> None:
    source = make_video(tmp_path / "talk.mp4", seconds=3, audio=Sound(), **more)
    label_video(source, tmp_path / "out.mp4", clips(source, 2))
    before, after = pictures(source), pictures(tmp_path / "out.mp4")
    times = [time - (before[0][0] if "start_s" in more else 0) for time, _ in before]
    assert [time - (after[0][0] if "start_s" in more else 0) for time, _ in after] == pytest.approx(times, abs=2e-3)
    assert sound_s(tmp_path / "out.mp4")[1] == pytest.approx(sound_s(source)[1], abs=0.05)


def test_a_turned_picture_stands_upright_and_pixels_become_square(tmp_path: Path) -> None:
    turned = make_video(tmp_path / "turned.mp4", seconds=1, size=(320, 240), rotation=90)
    label_video(turned, tmp_path / "out.mp4", [])
    assert pictures(tmp_path / "out.mp4")[0][1].shape == (320, 240, 3)
    wide = make_video(tmp_path / "wide.mp4", seconds=1, size=(320, 240), pixel_aspect=Fraction(2))
    label_video(wide, tmp_path / "out2.mp4", [])
    assert pictures(tmp_path / "out2.mp4")[0][1].shape == (240, 640, 3)


def test_sound_is_copied(talk: Path, tmp_path: Path) -> None:
    label_video(talk, tmp_path / "out.mp4", clips(talk, 2))
    assert sound_s(tmp_path / "out.mp4") == ("aac", pytest.approx(sound_s(talk)[1], abs=0.03))


def test_sound_that_mp4_cannot_hold_becomes_aac(tmp_path: Path) -> None:
    source = make_video(tmp_path / "talk.avi", seconds=3, audio=Sound(codec="pcm_s16le"))
    label_video(source, tmp_path / "out.mp4", clips(source, 2))
    codec, seconds = sound_s(tmp_path / "out.mp4")
    assert codec == "aac"
    assert seconds == pytest.approx(3.0, abs=0.1)


def test_labels_are_drawn_and_the_rest_stays(talk: Path, tmp_path: Path) -> None:
    label_video(talk, tmp_path / "out.mp4", clips(talk, 2)[:1])
    for (time, before), (_, after) in zip(pictures(talk), pictures(tmp_path / "out.mp4"), strict=True):
        scale = after.shape[0] / before.shape[0]
        assert scale >= 1.0
        if scale == 1.0 and time < 0.01:
            corner = np.s_[: before.shape[0] // 4, before.shape[1] * 3 // 4 :]
            assert np.abs(before[corner].astype(int) - after[corner]).mean() < 6


def test_a_stretch_is_cut_with_its_sound(talk: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.mp4"
    record = ClipRecord(source=str(talk), epoch=0, clip=0, start_s=1.0, end_s=3.0, parts={"labels": []})
    label_video(talk, out, [record], start_s=1.0, end_s=3.0)
    times = [time for time, _ in pictures(out)]
    assert times[0] == pytest.approx(0, abs=0.05)
    assert times[-1] == pytest.approx(2.0, abs=0.1)
    assert sound_s(out)[1] == pytest.approx(2.0, abs=0.06)


def test_an_error_and_a_clip_without_labels_are_drawn_too(talk: Path, tmp_path: Path) -> None:
    label_video(talk, tmp_path / "out.mp4", [failed(0, str(talk)), result(1, str(talk))])
    assert len(pictures(tmp_path / "out.mp4")) == len(pictures(talk))


def test_what_has_no_picture_is_a_note(tmp_path: Path) -> None:
    source = tmp_path / "noise.mp4"
    source.write_bytes(b"nothing of a video" * 100)
    sink = label_video(source, tmp_path / "out.mp4", [result(0, str(source))])
    assert "no labelled video was written" in sink.notes[0]
    assert not (tmp_path / "out.mp4").exists()


def test_an_interrupted_source_leaves_nothing(talk: Path, tmp_path: Path) -> None:
    sink = LabelledVideo(OutputSpec(kind="video", path=str(tmp_path / "o.mp4"), sources=(str(talk),)))
    sink.open()
    sink.source_started(SourceInfo(source=str(talk), source_index=0))
    sink.write(result(0, str(talk)))
    sink.write(result(1, str(talk)))
    sink.close(complete=False)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_said(talk: Path) -> None:
    with pytest.raises(OutputError, match="cannot write /proc/"):
        label_video(talk, Path("/proc/nowhere/out.mp4"), clips(talk, 1))


def test_sizes_are_even_and_readable() -> None:
    assert output_size(1280, 720) == (1280, 720)
    assert output_size(175, 143) == (294, 240)
    assert output_size(7680, 4320) == (1920, 1080)
    assert output_size(1, 1) == (240, 240)
    assert output_size(5000, 2) == (1920, 2)


def test_a_track_moves_evenly_between_its_boxes_and_across_clips() -> None:
    first = result(0).tracks or []
    path = track_paths([result(0), result(0)])[0]
    assert len(path.boxes) == len(first[0].boxes)
    boxes = [(0.0, 0.0, 0.0, 10.0, 10.0), (1.0, 10.0, 0.0, 20.0, 10.0), (5.0, 50.0, 0.0, 60.0, 10.0)]
    path = TrackPath(1, "", boxes)
    assert path.at(0.5) == (5.0, 0.0, 15.0, 10.0)
    assert path.at(1.2) == (10.0, 0.0, 20.0, 10.0)
    assert path.at(3.0) is None
    assert path.at(-1.0) is None


def test_tracks_of_two_clips_are_one_path() -> None:
    def record(clip: int, x: float) -> ClipRecord:
        track = Track(id=4, boxes=[(clip * 2.0, x, 0, x + 1, 1)], label="dog", probability=0.5)
        return ClipRecord(
            source="a", epoch=0, clip=clip, start_s=clip * 2.0, end_s=clip * 2.0 + 2, parts={"tracks": [track]}
        )

    paths = track_paths([record(0, 0.0), record(1, 8.0)])
    assert [(path.id, path.label, len(path.boxes)) for path in paths] == [(4, "dog 50%", 2)]


@pytest.mark.parametrize(("width", "height"), [(16, 16), (240, 2), (2, 240), (320, 240), (1920, 1080)])
def test_anything_can_be_drawn_on(width: int, height: int) -> None:
    artist = Artist(width, height)
    record = result(0, **{"x" * 300: 0.9, "犬": 0.5, "b": 0.0})
    panel = artist.panel(record)
    picture = np.zeros((height, width, 3), np.uint8)
    assert panel is not None
    panel.blend(picture)
    artist.tracks(picture, track_paths([record]), 0.1)
    assert picture.any()


def test_neighbouring_tracks_differ_in_colour() -> None:
    assert sum(abs(a - b) for a, b in zip(track_colour(1), track_colour(2), strict=True)) > 150


def test_text_without_a_typeface_is_ascii() -> None:
    assert plain("Ärger 犬…") == "Arger ?..."
