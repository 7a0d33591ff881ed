"""The contract of every reader, on clean files."""

import itertools
from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import PerceptError, SourceError
from stages.decode.reader import NS, ReaderOptions, make_reader
from tests.media import Sound, make_video, pitch_hz, read_time_ms, tone_hz
from tests.stages.decode.reading import read, same

READERS = ("av", "decord")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("media")


@pytest.fixture(scope="module")
def talk(folder: Path) -> Path:
    """8.3 s of pictures and sound."""
    return make_video(folder / "talk.mp4", 8.3, audio=Sound())


@pytest.fixture(params=READERS)
def reader(request: pytest.FixtureRequest) -> str:
    if request.param == "decord":
        pytest.importorskip("decord")
    return str(request.param)


def test_clips_tile_the_source_and_a_short_tail_joins_the_last(talk: Path, reader: str) -> None:
    reading = read(talk, reader=reader)
    assert reading.spans_s[:3] == [(0, 2), (2, 4), (4, 6)]
    assert reading.spans_s[3] == (6, pytest.approx(8.3, abs=0.03))
    assert [clip.info.index for clip in reading.clips] == [0, 1, 2, 3]
    assert (reading.info.width, reading.info.height) == (320, 240)
    assert reading.gaps == []


def test_pictures_show_the_time_they_are_given(talk: Path, reader: str) -> None:
    for clip in read(talk, reader=reader).clips:
        for picture, time_ns in zip(clip.arrays["frames"], clip.arrays["frame_times_ns"], strict=True):
            assert abs(read_time_ms(picture) - time_ns / 1e6) < 1.5


def test_frames_are_on_the_grid(talk: Path, reader: str) -> None:
    clip = read(talk, reader=reader).clips[1]
    cells = (clip.arrays["frame_times_ns"] + 2_000_000 - clip.info.start_ns) * 8 // NS
    assert cells.tolist() == list(range(16))


@pytest.mark.parametrize("name", ["10:30:05.mp4", "file:a.mp4", "cam1:front.mp4"])
def test_a_name_with_a_colon_is_a_file(
    talk: Path, reader: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / name).symlink_to(talk)
    monkeypatch.chdir(tmp_path)
    reading = read(Path(name), reader=reader)
    assert reading.info.source == name
    assert len(reading.clips) == 4


def test_the_last_picture_is_passed_to_the_next_clip(talk: Path, reader: str) -> None:
    clips = read(talk, reader=reader).clips
    assert clips[0].absent["previous_frame"] == "too_short"
    for before, clip in itertools.pairwise(clips):
        assert np.array_equal(clip.arrays["previous_frame"], before.arrays["frames"][-1])
        assert clip.arrays["previous_time_ns"][0] == before.arrays["frame_times_ns"][-1]


def test_sound_is_at_the_right_time(talk: Path, reader: str) -> None:
    for clip in read(talk, reader=reader).clips[:3]:
        samples = clip.arrays["audio"]
        start_s = clip.info.start_ns / NS
        for second in range(2):
            heard = pitch_hz(samples[second * 16_000 + 2000 : (second + 1) * 16_000 - 2000], 16_000)
            assert heard == pytest.approx(tone_hz(start_s + second), abs=3)


def test_sound_includes_the_requested_context(talk: Path, reader: str) -> None:
    reading = read(talk, reader=reader, audio_context_s=5.0)
    first, third = reading.clips[0], reading.clips[2]
    assert len(first.arrays["audio"]) == len(third.arrays["audio"]) == 80_000
    assert not first.arrays["audio_mask"][:48_000].any()
    assert first.arrays["audio_mask"][48_100:].all()
    assert third.arrays["audio_start_ns"][0] == 1 * NS
    assert pitch_hz(third.arrays["audio"][:14_000], 16_000) == pytest.approx(tone_hz(1), abs=3)


@pytest.mark.parametrize("start_index", [1, 2, 3])
def test_a_later_start_yields_the_same_clips(talk: Path, reader: str, start_index: int) -> None:
    whole, part = read(talk, reader=reader), read(talk, start_index, reader=reader)
    assert len(part.clips) == len(whole.clips) - start_index
    assert all(same(one, other) for one, other in zip(whole.clips[start_index:], part.clips, strict=True))


def test_a_longer_stride_samples_the_source(talk: Path, reader: str) -> None:
    reading = read(talk, reader=reader, clip_ns=NS, stride_ns=3 * NS)
    assert reading.spans_s[:3] == [(0, 1), (3, 4), (6, 7)]
    for clip in reading.clips[:3]:
        assert len(clip.arrays["frames"]) == 8
        assert abs(read_time_ms(clip.arrays["frames"][0]) - clip.info.start_ns / 1e6) < 1.5
        assert clip.arrays["audio_mask"].all()
        assert clip.absent["previous_frame"] == ("too_short" if clip.info.index == 0 else "gap")


def test_start_and_end_limit_the_clips(talk: Path, reader: str) -> None:
    reading = read(talk, reader=reader, start_ns=3 * NS, end_ns=6 * NS)
    assert reading.spans_s == [(3, 5), (5, 6)]
    assert abs(read_time_ms(reading.clips[0].arrays["frames"][0]) - 3000) < 1.5
    assert len(reading.clips[1].arrays["frames"]) == 8


def test_a_rotated_video_is_turned_upright(folder: Path, reader: str) -> None:
    plain = read(make_video(folder / "plain.mp4", 1.0), reader=reader)
    turned = read(make_video(folder / "turned.mp4", 1.0, rotation=90), reader=reader)
    assert (turned.info.width, turned.info.height) == (240, 320)
    upright = np.rot90(plain.clips[0].arrays["frames"][0])
    difference = np.abs(turned.clips[0].arrays["frames"][0].astype(int) - upright)
    assert difference.mean() < 2


def test_a_slide_show_yields_few_frames(folder: Path, reader: str) -> None:
    clips = read(make_video(folder / "slides.mp4", 6.0, fps=1), reader=reader).clips
    assert [len(clip.arrays["frames"]) for clip in clips] == [2, 2, 2]


def test_a_slide_that_stays_is_in_every_clip(folder: Path, reader: str) -> None:
    path = make_video(folder / "stays.mp4", times_s=[0.0, 5.0, 6.0], fps=1)
    clips = read(path, reader=reader).clips
    assert [clip.arrays["frame_times_ns"].tolist() for clip in clips] == [[0], [2 * NS], [4 * NS, 5 * NS], [6 * NS]]
    assert [read_time_ms(picture) for clip in clips for picture in clip.arrays["frames"]] == [0, 0, 0, 5000, 6000]


@pytest.mark.parametrize(
    ("content", "words"), [(None, "no such file"), (b"", "empty"), (b"not a video at all" * 99, "cannot|Invalid")]
)
def test_a_file_that_is_not_a_video_is_reported_in_plain_words(
    folder: Path, reader: str, content: bytes | None, words: str
) -> None:
    path = folder / "broken.mp4"
    path.unlink(missing_ok=True)
    if content is not None:
        path.write_bytes(content)
    with make_reader(str(path), 0, ReaderOptions(reader=reader)) as opened, pytest.raises(SourceError, match=words):  # type: ignore[arg-type]
        opened.open()


def test_a_missing_decord_names_the_remedy(talk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "decord", None)
    with (
        make_reader(str(talk), 0, ReaderOptions(reader="decord")) as reader,
        pytest.raises(PerceptError, match=r"pip install 'percept-av\[decord\]'"),
    ):
        reader.open()
