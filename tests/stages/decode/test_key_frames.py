"""Reading key frames only: which pictures come out, how long they stay, and that nothing else changes."""

import logging
from pathlib import Path

import numpy as np
import pytest

from stages.decode.reader import NS, ReaderOptions
from stages.decode.reader_av import AvPictures, AvReader
from tests.media import Sound, damage, make_video, read_time_ms
from tests.stages.decode.reading import Reading, read, same

SECONDS = 8.3
GOP = 45
"""Pictures: a key frame every 1.5 s."""
SHOWN_MS = [[0, 1500], [1500, 3000], [3000, 4500], [6000, 7500]]
"""What is shown in each clip: its own key frames, and the one before where a clip does not begin with one."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("media")


def shown_ms(reading: Reading) -> list[list[int]]:
    return [[read_time_ms(picture) for picture in clip.arrays["frames"]] for clip in reading.clips]


@pytest.mark.parametrize(
    ("name", "codec"),
    [("h264.mp4", "libx264"), ("h264.ts", "libx264"), ("vp9.mkv", "libvpx-vp9"), ("mpeg2.mkv", "mpeg2video")],
)
def test_a_clip_has_its_key_frames_and_the_one_that_is_shown_when_it_starts(
    folder: Path, name: str, codec: str
) -> None:
    path = make_video(folder / name, SECONDS, size=(160, 96), codec=codec, gop=GOP, b_frames=0)
    whole, few = read(path), read(path, key_frames=True)
    assert few.spans_s == whole.spans_s
    assert shown_ms(few) == SHOWN_MS
    assert sum(clip.info.decode_errors for clip in few.clips) == 0


def test_key_frames_and_sound_are_those_of_a_full_reading(folder: Path) -> None:
    path = make_video(folder / "sound.mp4", SECONDS, size=(160, 96), gop=GOP, audio=Sound())
    whole, few = read(path), read(path, key_frames=True)
    assert few.spans_s == whole.spans_s
    for one, other in zip(whole.clips, few.clips, strict=True):
        assert np.array_equal(one.arrays["audio"], other.arrays["audio"])
        pictures = dict(zip(one.arrays["frame_times_ns"].tolist(), one.arrays["frames"], strict=True))
        for time_ns, picture in zip(other.arrays["frame_times_ns"].tolist(), other.arrays["frames"], strict=True):
            if read_time_ms(picture) * 1_000_000 == time_ns:
                assert np.array_equal(pictures[time_ns], picture)


def test_the_last_key_frame_stays_to_the_end_of_the_pictures(folder: Path) -> None:
    path = make_video(folder / "one.mp4", 5.0, size=(160, 96), gop=1000)
    reading = read(path, key_frames=True)
    assert reading.spans_s == [(0, 2), (2, 4), (4, 5)]
    assert shown_ms(reading) == [[0], [0], [0]]


def test_key_frames_far_apart_are_warned_of_once(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    times_s, options = [float(second) for second in range(71)], {"sc_threshold": "0", "preset": "veryfast"}
    path = make_video(folder / "rare.mp4", times_s=times_s, fps=1, size=(64, 48), gop=35, options=options)
    with caplog.at_level(logging.WARNING):
        read(path, key_frames=True)
    assert [record.getMessage() for record in caplog.records] == [
        f"{path}: at 0.0 s there is no key frame for 35 s: its picture stays"
    ]


def test_a_longer_stride_and_a_later_start_give_the_same_clips(folder: Path) -> None:
    path = make_video(folder / "stride.mp4", 12.0, size=(160, 96), gop=GOP, audio=Sound())
    options = {"key_frames": True, "clip_ns": NS, "stride_ns": 4 * NS}
    whole = read(path, **options)
    assert shown_ms(whole) == [[0], [3000, 4500], [7500]]
    for start in (1, 2):
        later = read(path, start, **options)
        assert all(same(one, other) for one, other in zip(whole.clips[start:], later.clips, strict=True))


def test_a_damaged_key_frame_costs_its_own_stretch_only(folder: Path) -> None:
    good = make_video(folder / "good.ts", SECONDS, size=(160, 96), gop=GOP)
    bad = damage(good, folder / "bad.ts", start=0.45, zeros=6000)
    reading = read(bad, key_frames=True)
    assert reading.spans_s[0] == (0, 2)
    assert [read_time_ms(picture) for picture in reading.clips[-1].arrays["frames"]][-1] == 7500


def test_without_an_index_what_lies_between_clips_is_not_decoded_and_clips_are_the_same(folder: Path) -> None:
    mp4 = make_video(folder / "sparse.mp4", 14.0, size=(160, 96), gop=GOP, audio=Sound())
    ts = make_video(folder / "sparse.ts", 14.0, size=(160, 96), gop=GOP, audio=Sound())
    decoded = counted_pictures(ts, clip_ns=NS, stride_ns=4 * NS)
    assert decoded < 0.6 * 14 * 30
    whole = {clip.info.start_ns: clip for clip in read(ts, clip_ns=NS).clips}
    sparse = read(ts, clip_ns=NS, stride_ns=4 * NS)
    assert sparse.spans_s == read(mp4, clip_ns=NS, stride_ns=4 * NS).spans_s
    for clip in sparse.clips:
        full = whole[clip.info.start_ns]
        for name in ("frames", "frame_times_ns", "audio", "audio_mask"):
            assert np.array_equal(clip.arrays[name], full.arrays[name])


def counted_pictures(path: Path, **options: int) -> int:
    """How many pictures are decoded."""
    with AvReader(str(path), 0, ReaderOptions(**options)) as reader:  # type: ignore[arg-type]
        reader.open()
        pictures = reader.media.pictures
        assert isinstance(pictures, AvPictures)
        taken, pop = [], pictures.stream.pop
        pictures.stream.pop = lambda: taken.append(1) or pop()  # type: ignore[method-assign, func-returns-value]
        for _ in reader.clips():
            pass
        return len(taken)
