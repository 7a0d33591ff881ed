"""Clips of a file that show what an earlier one shows come without media, and all others come as they always did."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from pipeline.clip import DecodedClip
from stages.decode.unchanged import FRESH_S, Unchanged
from tests.stages.decode.reading import Reading, read, same

RATE, WIDTH, HEIGHT = 10, 192, 108
CLIPS = 30
WALKS = {9: (8, 14), 16: (3, 9), 17: (0, 20), 23: (12, 18)}
"""Clips in which somebody walks, and the pictures of theirs in which he is seen."""
CLEAN = {"preset": "ultrafast", "tune": "zerolatency", "sc_threshold": "0", "crf": "28"}


def write_scene(path: Path, gop: int, noise: float = 0.0, codec: str = "libx264", **options: str) -> Path:
    """A fixed camera before a still scene, through which somebody walks now and then."""
    texture = np.kron(np.random.default_rng(7).uniform(50, 190, (HEIGHT // 4, WIDTH // 4)), np.ones((4, 4)))
    walker = np.random.default_rng(3).uniform(20, 230, (40, 16))
    random = np.random.default_rng(1)
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(codec, RATE)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.codec_context.gop_size, stream.codec_context.options = gop, CLEAN | options
        for number in range(CLIPS * 2 * RATE):
            clip, place = divmod(number, 2 * RATE)
            picture = texture + random.normal(0, noise, texture.shape)
            first, end = WALKS.get(clip, (0, 0))
            if first <= place < end:
                picture[50:90, 20 + 6 * place : 36 + 6 * place] = walker
            frame = av.VideoFrame.from_ndarray(picture.clip(0, 255).astype(np.uint8), format="gray")
            frame = frame.reformat(format="yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, RATE)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_scene(tmp_path_factory.mktemp("clean") / "clean.mp4", gop=2 * RATE)


@pytest.fixture(scope="module")
def noisy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_scene(tmp_path_factory.mktemp("noisy") / "noisy.mp4", gop=100, noise=3.0, crf="20")


def reused(reading: Reading) -> list[int]:
    return [clip.info.index for clip in reading.clips if clip.info.reuse is not None]


def assert_the_rest_is_as_ever(reading: Reading, whole: Reading) -> None:
    """But for the picture before, where that was not decoded, and for what is kept."""
    for one, other in zip(reading.clips, whole.clips, strict=True):
        assert (one.info.start_ns, one.info.end_ns) == (other.info.start_ns, other.info.end_ns)
        if one.info.reuse is None:
            for name in ("frames", "frame_times_ns"):
                assert np.array_equal(one.arrays[name], other.arrays[name]), f"{name} of clip {one.info.index}"


@pytest.mark.parametrize("kind", ["clean", "noisy"])
def test_clips_in_which_nothing_changes_come_without_media(kind: str, request: pytest.FixtureRequest) -> None:
    path: Path = request.getfixturevalue(kind)
    found, whole = read(path, reuse=True), read(path)
    assert not set(reused(found)) & set(WALKS)
    assert len(reused(found)) >= CLIPS - len(WALKS) - 10
    assert all(clip.absent["frames"] == "not_asked" for clip in found.clips if clip.info.reuse is not None)
    assert_the_rest_is_as_ever(found, whole)


def test_they_name_a_kept_clip_before_them_and_after_a_walk_one_from_before_it(clean: Path) -> None:
    kept: dict[int, DecodedClip] = {}
    after_walks = set()
    for clip in read(clean, reuse=True).clips:
        if clip.info.kept_in >= 0:
            kept[clip.info.kept_in] = clip
        if (reuse := clip.info.reuse) is not None:
            assert kept[reuse.place].info.start_ns == reuse.start_ns < clip.info.start_ns
            assert clip.info.start_ns - reuse.start_ns < FRESH_S * 1e9
            if clip.info.index - 1 in WALKS:
                after_walks.add(reuse.start_ns < (clip.info.index - 1) * 2_000_000_000)
    assert after_walks == {True}


def test_where_packets_tell_enough_pictures_are_not_even_decoded(
    clean: Path, noisy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    undecoded: list[int] = []
    judge = Unchanged.undecoded

    def noted(self: Unchanged, *given: Any) -> DecodedClip | None:
        if (clip := judge(self, *given)) is not None:
            undecoded.append(clip.info.index)
        return clip

    monkeypatch.setattr(Unchanged, "undecoded", noted)
    found = reused(read(clean, reuse=True))
    assert len(undecoded) > len(found) / 4
    undecoded.clear()
    assert reused(read(noisy, reuse=True))
    assert not undecoded, "noise hides who walks, so all is decoded"


@pytest.mark.parametrize("kind", ["clean", "noisy"])
def test_the_same_file_is_read_the_same_again(kind: str, request: pytest.FixtureRequest) -> None:
    path: Path = request.getfixturevalue(kind)
    one, other = read(path, reuse=True), read(path, reuse=True)
    assert all(same(here, there) for here, there in zip(one.clips, other.clips, strict=True))


def test_a_later_start_takes_no_clip_before_it_as_known(clean: Path) -> None:
    later, whole = read(clean, 12, reuse=True), read(clean)
    assert [clip.info.index for clip in later.clips] == list(range(12, CLIPS))
    assert later.clips[0].info.reuse is None
    first_ns = later.clips[0].info.start_ns
    assert all(clip.info.reuse.start_ns >= first_ns for clip in later.clips if clip.info.reuse is not None)
    assert not set(reused(later)) & set(WALKS)
    assert_the_rest_is_as_ever(later, Reading(whole.info, whole.clips[12:]))


def test_b_pictures_and_other_containers_do_not_matter(tmp_path: Path) -> None:
    options = {"tune": "psnr", "preset": "fast", "x264-params": "bframes=3"}
    for name in ("b.mp4", "b.ts", "b.mkv"):
        path = write_scene(tmp_path / name, gop=2 * RATE, **options)
        found = read(path, reuse=True)
        assert not set(reused(found)) & set(WALKS)
        assert len(reused(found)) >= CLIPS - len(WALKS) - 6
        assert_the_rest_is_as_ever(found, read(path))
