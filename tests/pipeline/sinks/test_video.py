"""The labelled video of each source: drawn as records arrive, complete or absent."""

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from pipeline.build import film_source
from pipeline.clip import SourceInfo
from pipeline.errors import OutputError
from pipeline.result import ClipRecord, Label, Track
from pipeline.sinks.draw import track_colour
from pipeline.sinks.video import LabelledVideo
from pipeline.status import OutputSpec, VideoOptions
from tests.media import Sound, make_size_change, make_video
from tests.pipeline.sinks.films import pictures, times_s
from tests.pipeline.sinks.records import failed, result


def label_video(
    source: Path, path: Path, records: list[ClipRecord], panel: str = "below", **options: Any
) -> LabelledVideo:
    video = msgspec.convert({"panel": panel}, VideoOptions)
    spec = OutputSpec(kind="video", path=str(path), sources=(str(source),), film=film_source(options), video=video)
    sink = LabelledVideo(spec)
    sink.open()
    sink.source_started(SourceInfo(source=str(source), source_index=0))
    for record in records:
        sink.write(record)
    sink.source_ended(0, len(records))
    sink.close(complete=True)
    return sink


def clips(source: Path, count: int) -> list[ClipRecord]:
    return [result(clip, str(source), rain=0.8, dog=0.4) for clip in range(count)]


@pytest.fixture(scope="session")
def talk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_video(tmp_path_factory.mktemp("video") / "talk.mp4", seconds=4, fps=15, audio=Sound())


def test_a_complete_source_becomes_one_file_with_all_its_pictures(talk: Path, tmp_path: Path) -> None:
    sink = label_video(talk, tmp_path / "out.mp4", clips(talk, 2))
    assert times_s(tmp_path / "out.mp4") == pytest.approx(times_s(talk), abs=1e-3)
    assert sink.notes == []
    assert [file.name for file in tmp_path.iterdir()] == ["out.mp4"]


def labelled(source: Path, *spans_s: tuple[float, float]) -> list[ClipRecord]:
    """A clip per span, with one label more each time."""
    return [
        ClipRecord(
            source=str(source), epoch=0, clip=number, start_s=start_s, end_s=end_s,
            parts={"labels": [Label(f"label {label}", 0.9, 1.0) for label in range(number + 1)]},
        )
        for number, (start_s, end_s) in enumerate(spans_s)
    ]  # fmt: skip


def text_below(path: Path, height: int = 240) -> list[tuple[float, int]]:
    """Time of every picture, and how much is written below it."""
    return [(time_s, int((picture[height:] > 150).all(axis=2).sum())) for time_s, picture in pictures(path)]


def test_labels_are_shown_during_their_clip_and_the_picture_stays(talk: Path, tmp_path: Path) -> None:
    label_video(talk, tmp_path / "out.mp4", labelled(talk, (0.0, 2.0)))
    for (time_s, before), (_, after) in zip(pictures(talk), pictures(tmp_path / "out.mp4"), strict=True):
        assert after.shape[0] > 300
        assert after.shape[0] % 2 == 0
        assert np.abs(before.astype(int) - after[:240]).mean() < 6
        assert ((after[240:] > 150).sum() > 100) == (time_s < 2.0), time_s


def test_labels_in_a_corner_are_shown_during_their_clip(talk: Path, tmp_path: Path) -> None:
    label_video(talk, tmp_path / "out.mp4", labelled(talk, (0.0, 2.0)), panel="corner")
    changed = []
    for (time_s, before), (_, after) in zip(pictures(talk), pictures(tmp_path / "out.mp4"), strict=True):
        difference = np.abs(before.astype(int) - after).mean(axis=2)
        changed.append((time_s, max(difference[part].mean() for part in CORNERS) > 10))
    assert changed == [(time_s, time_s < 2.0) for time_s, _ in changed]


CORNERS = [np.s_[y, x] for y in (np.s_[8:40], np.s_[200:232]) for x in (np.s_[8:80], np.s_[240:312])]


@pytest.mark.parametrize("rate", [2.0, 3.0, 25.0, 29.97])
def test_labels_change_with_the_clip_at_any_frame_rate(tmp_path: Path, rate: float) -> None:
    """Borders of clips between pictures of a slow film: the picture before is shown again with the new labels."""
    source = make_video(tmp_path / "film.mkv", seconds=7, fps=rate)
    spans = [(0.8, 2.25), (2.25, 4.05), (4.05, 6.0)]
    label_video(source, tmp_path / "out.mkv", labelled(source, *spans))
    written = text_below(tmp_path / "out.mkv")
    amounts = [written_by(written, (start_s + end_s) / 2) for start_s, end_s in spans]
    assert 0 < amounts[0] < amounts[1] < amounts[2]
    for at_s in np.arange(0.0, 7.0 - 1 / rate, 0.01):
        here = [amount for (start_s, end_s), amount in zip(spans, amounts, strict=True) if start_s <= at_s < end_s]
        near = any(0 <= at_s - border <= 0.11 for span in spans for border in span)
        assert near or written_by(written, at_s) == pytest.approx(sum(here), rel=0.2, abs=20), at_s


def written_by(written: list[tuple[float, int]], at_s: float) -> int:
    """How much is written below the picture that a player shows at a time."""
    return [amount for time_s, amount in written if time_s <= at_s + 1e-3][-1]


def test_labels_change_with_the_clip_if_the_frame_rate_varies(tmp_path: Path) -> None:
    times = [0.0, 0.04, 0.08, 0.9, 1.7, 1.74, 1.99, 2.0, 2.9, 3.96, 4.0, 4.04, 5.5]
    source = make_video(tmp_path / "film.mkv", times_s=times)
    label_video(source, tmp_path / "out.mkv", labelled(source, (0.0, 2.0), (2.0, 4.0), (4.0, 6.0)))
    written = text_below(tmp_path / "out.mkv")
    by_clip = [{amount for time_s, amount in written if int((time_s + 1e-3) / 2) == clip} for clip in range(3)]
    assert max(by_clip[0]) < min(by_clip[1]) <= max(by_clip[1]) < min(by_clip[2])
    assert set(np.round(times, 2)) <= {round(time_s, 2) for time_s, _ in written}


def test_tracks_are_drawn_across_the_border_of_clips(talk: Path, tmp_path: Path) -> None:
    """The box of the first clip moves evenly to that of the second; in between it crosses the middle."""

    def record(clip: int, x: float) -> ClipRecord:
        track = Track(id=1, boxes=[(clip * 2.0 + 1.6 - 1.2 * clip, x, 4.0, x + 40.0, 50.0)])
        start_s = clip * 2.0
        return ClipRecord(
            source=str(talk), epoch=0, clip=clip, start_s=start_s, end_s=start_s + 2.0, parts={"tracks": [track]}
        )

    label_video(talk, tmp_path / "out.mp4", [record(0, 20.0), record(1, 220.0)])
    red, green, blue = track_colour(1)
    drawn = pictures(tmp_path / "out.mp4")
    for time_s, left in ((1.6, 20), (2.0, 120), (2.4, 220)):
        picture = min(drawn, key=lambda pair: abs(pair[0] - time_s))[1]
        edge = picture[25:45, left - 14 : left + 15].astype(int)
        assert (np.abs(edge - (red, green, blue)).max(axis=2) < 110).any(axis=1).all(), time_s


def test_a_picture_that_stays_shows_the_labels_of_every_clip_and_none_in_a_gap(tmp_path: Path) -> None:
    source = make_video(tmp_path / "slides.mkv", times_s=[0.0, 1.0, 17.0], audio=Sound(seconds=20.0))
    records = [
        ClipRecord(
            source=str(source), epoch=0, clip=clip, start_s=start_s, end_s=start_s + 4,
            parts={"labels": [Label(f"a label {number}", 0.9, 1.0) for number in range(count)]},
        )
        for clip, (start_s, count) in enumerate([(0.0, 1), (4.0, 4), (12.0, 1), (16.0, 4)])
    ]  # fmt: skip
    pause = ClipRecord(source=str(source), epoch=1, clip=-1, start_s=8.0, end_s=12.0, gap=True)
    label_video(source, tmp_path / "out.mp4", [*records[:2], pause, *records[2:]])
    plain = pictures(source)
    changed = {}
    for time_s, picture in pictures(tmp_path / "out.mp4"):
        before = [shown for at_s, shown in plain if at_s < time_s + 0.01][-1]
        assert np.abs(picture[:240].astype(int) - before).mean() < 6
        changed[round(time_s)] = int((picture[240:] > 150).all(axis=2).sum())
    assert sorted(changed) == [0, 1, 4, 8, 12, 16, 17]
    assert changed[8] == 0
    for one, four in ((0, 4), (1, 16), (12, 17)):
        assert 400 < 2 * changed[one] < changed[four]


def test_boxes_follow_a_picture_that_turns(tmp_path: Path) -> None:
    """A box over the right half of the picture, first upright and then across."""
    source = make_size_change(tmp_path / "turned.ts", [(320, 240), (240, 320)], seconds_each=1.0)

    def record(clip: int, width: int, height: int) -> ClipRecord:
        track = Track(id=1, boxes=[(clip + 0.1, width / 2, 60.0, width - 20.0, height - 40.0)])
        return ClipRecord(
            source=str(source), epoch=clip, clip=clip, start_s=clip, end_s=clip + 1, parts={"tracks": [track]},
            width=width, height=height,
        )  # fmt: skip

    label_video(source, tmp_path / "out.mp4", [record(0, 320, 240), record(1, 240, 320)])
    colour = np.array(track_colour(1))
    for at_s, lines, left, right in ((0.2, slice(90, 180), 160, 300), (1.2, slice(70, 200), 160, 235)):
        picture = min(pictures(tmp_path / "out.mp4"), key=lambda pair: abs(pair[0] - at_s))[1]
        near = np.abs(picture[lines].astype(int) - colour).max(axis=2) < 110
        for x in (left, right):
            assert near[:, x - 2 : x + 3].any(axis=1).mean() > 0.9, (at_s, x)
        assert near[:, left + 10 : right - 10].mean() < 0.1


def test_an_error_and_a_clip_without_labels_are_drawn_too(talk: Path, tmp_path: Path) -> None:
    label_video(talk, tmp_path / "out.mp4", [failed(0, str(talk)), result(1, str(talk))])
    assert len(pictures(tmp_path / "out.mp4")) == len(pictures(talk))


def test_a_source_without_pictures_is_a_note(tmp_path: Path) -> None:
    source = tmp_path / "noise.mp4"
    source.write_bytes(b"nothing of a video" * 100)
    sink = label_video(source, tmp_path / "out.mp4", [result(0, str(source))])
    assert "no labelled video was written" in sink.notes[0]
    assert not (tmp_path / "out.mp4").exists()


def test_an_interrupted_source_leaves_nothing(talk: Path, tmp_path: Path) -> None:
    sink = LabelledVideo(
        OutputSpec(kind="video", path=str(tmp_path / "o.mp4"), sources=(str(talk),), film=film_source({}))
    )
    sink.open()
    sink.source_started(SourceInfo(source=str(talk), source_index=0))
    sink.write(result(0, str(talk)))
    sink.write(result(1, str(talk)))
    sink.close(complete=False)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_reported(talk: Path) -> None:
    with pytest.raises(OutputError, match="cannot write /proc/"):
        label_video(talk, Path("/proc/nowhere/out.mp4"), clips(talk, 1))
