"""Clips that follow shots. Each scene is a texture of its own under a moving square, so that each cut is known."""

import itertools
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stages.decode.reader import NS, ReaderOptions
from tests.media import Sound, draw, make_video, read_time_ms
from tests.stages.decode.reading import read, same

SIZE = (320, 180)
Picture = Callable[[float, int, int], Any]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("media")


@cache
def texture(number: int, width: int, height: int) -> Any:
    levels = np.random.default_rng(number).integers(20, 230, (height // 8 + 2, 2 * width // 8, 3), np.uint8)
    return np.kron(levels, np.ones((8, 8, 1), np.uint8))[:height]


def scenes(cuts_s: Sequence[float], px_per_s: float = 20.0) -> Picture:
    """A pan over a texture that changes at each cut."""

    def picture(time_s: float, width: int, height: int) -> Any:
        since_s = [0.0, *(cut_s for cut_s in cuts_s if cut_s <= time_s + 1e-6)]
        left = int((time_s - since_s[-1]) * px_per_s)
        shown = texture(len(since_s), width, height)[:, left : left + width].copy()
        x = int(time_s * 60) % (width - 30)
        shown[height // 3 : height // 3 + 30, x : x + 30] = (250, 20, 20)
        return shown

    return picture


def with_light(picture: Picture, light: Callable[[float], float]) -> Picture:
    """The same, darker or brighter."""
    return lambda time_s, width, height: np.clip(picture(time_s, width, height) * light(time_s), 0, 255).astype(
        np.uint8
    )


def video(folder: Path, name: str, picture: Picture, seconds: float, **more: Any) -> Path:
    return make_video(folder / name, seconds, size=SIZE, picture=picture, **more)


def starts_s(path: Path, **options: Any) -> list[float]:
    return [start for start, _ in read(path, shots=True, **options).spans_s]


def test_clips_begin_where_shots_begin_and_long_shots_are_tiled(folder: Path) -> None:
    reading = read(video(folder, "cuts.mp4", scenes([1.5, 6.2]), 8.0, audio=Sound()), shots=True)
    assert reading.spans_s[:4] == [(0, 1.5), (1.5, 3.5), (3.5, 5.5), (5.5, 6.2)]
    assert reading.spans_s[4] == (6.2, pytest.approx(8.0, abs=0.05))
    assert [clip.info.index for clip in reading.clips] == list(range(5))
    assert {clip.info.epoch for clip in reading.clips} == {0}
    assert reading.gaps == []


def test_no_picture_of_another_shot_is_in_a_clip(folder: Path) -> None:
    path = video(folder, "pure.mp4", scenes([0.9, 2.1, 3.3]), 4.5)
    for clip in read(path, shots=True).clips:
        frames = clip.arrays["frames"].astype(int)
        steps = [np.abs(one - other).mean() for one, other in itertools.pairwise(frames)]
        assert max(steps) < 40  # another texture differs by 60
        assert clip.absent["previous_frame"] == "too_short"


def test_a_rest_of_a_shot_joins_the_clip_before_it(folder: Path) -> None:
    assert starts_s(video(folder, "rest.mp4", scenes([2.3]), 4.0)) == [0, 2.3]


def test_a_shot_that_is_too_short_joins_the_next_one(folder: Path) -> None:
    assert starts_s(video(folder, "short.mp4", scenes([1.5, 1.8]), 3.2)) == [0, 1.5]


def test_a_short_shot_at_the_end_joins_the_one_before(folder: Path) -> None:
    assert starts_s(video(folder, "end.mp4", scenes([1.5, 2.9]), 3.0)) == [0, 1.5]


def test_a_flash_is_no_cut(folder: Path) -> None:
    flashes = with_light(scenes([]), lambda time_s: 20.0 if 0.8 <= time_s < 0.9 else 1.0)
    assert starts_s(video(folder, "flash.mp4", flashes, 2.0)) == [0]


def test_the_shot_after_a_fade_begins_when_it_is_seen(folder: Path) -> None:
    fades = with_light(scenes([1.5]), lambda time_s: min(1.0, abs(time_s - 1.5) * 2))
    found = starts_s(video(folder, "fade.mp4", fades, 3.4))
    assert found == [0, pytest.approx(1.55, abs=0.1)]


@pytest.mark.parametrize("px_per_s", [0.0, 30.0, 150.0])
def test_a_moving_camera_is_no_cut(folder: Path, px_per_s: float) -> None:
    assert starts_s(video(folder, f"pan{px_per_s}.mp4", scenes([], px_per_s), 2.0)) == [0]


def test_every_slide_is_a_shot(folder: Path) -> None:
    path = video(folder, "slides.mp4", scenes([1.0, 2.0, 4.0], 0.0), 0, fps=1, times_s=[0.0, 1.0, 2.0, 4.0])
    assert starts_s(path)[:4] == [0, 1, 2, 4]


def test_a_later_start_yields_the_same_clips(folder: Path) -> None:
    path = video(folder, "later.mp4", scenes([1.5, 2.6]), 5.0, audio=Sound())
    whole = read(path, shots=True)
    for start in (1, 3):
        later = read(path, start, shots=True)
        assert len(later.clips) == len(whole.clips) - start
        assert all(same(one, other) for one, other in zip(whole.clips[start:], later.clips, strict=True))


def test_start_and_end_limit_shots(folder: Path) -> None:
    path = video(folder, "limits.mp4", scenes([1.5, 3.0]), 5.0)
    assert read(path, shots=True, start_ns=NS, end_ns=4 * NS).spans_s == [(1, 1.5), (1.5, 3), (3, 4)]


def test_sound_of_a_clip_reaches_back_over_a_cut(folder: Path) -> None:
    path = video(folder, "context.mp4", scenes([1.5]), 3.0, audio=Sound())
    second = read(path, shots=True, audio_context_s=3.0).clips[1]
    assert second.arrays["audio_mask"][:16_000].any()


def test_a_source_without_cuts_is_read_as_ever(folder: Path) -> None:
    path = make_video(folder / "plain.mp4", 4.4, picture=draw, audio=Sound())
    plain, shots = read(path), read(path, shots=True)
    assert all(same(one, other) for one, other in zip(plain.clips, shots.clips, strict=True))
    assert read_time_ms(shots.clips[1].arrays["frames"][0]) == 2000


@pytest.mark.parametrize("more", [{"key_frames": True}, {"stride_ns": 4 * NS}])
def test_shots_need_all_pictures(more: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="all pictures"):
        ReaderOptions(shots=True, **more)
