"""Pictures that are left out: how many, and that no clip changes by it."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stages.decode import unused
from stages.decode.grid import PictureGrid
from stages.decode.key_frames import Place, Sent
from stages.decode.tiling import Tiling
from stages.decode.unused import Sparing, with_neighbours
from tests.media import make_size_change, make_video
from tests.stages.decode.reading import Reading, read

SECONDS = 9.2


def read_both(path: Path, monkeypatch: pytest.MonkeyPatch, **options: Any) -> tuple[Reading, Reading, int]:
    """What is read with pictures left out, and without, and how many might be."""
    told: list[bool] = []
    tell = Sparing.tell

    def counted(self: Sparing, *given: Any) -> bool:
        told.append(tell(self, *given))
        return told[-1]

    with monkeypatch.context() as patch:
        patch.setattr(Sparing, "tell", counted)
        few = read(path, **options)
        patch.setattr(unused, "CODECS", ())
        return few, read(path, **options), sum(told)


def assert_same(one: Reading, other: Reading) -> None:
    assert [clip.info for clip in one.clips] == [clip.info for clip in other.clips]
    for here, there in zip(one.clips, other.clips, strict=True):
        assert here.absent == there.absent
        assert here.arrays.keys() == there.arrays.keys()
        for name, array in here.arrays.items():
            assert np.array_equal(array, there.arrays[name]), f"{name} of clip {here.info.index}"


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("h264.mp4", {}),
        ("h264.ts", {"gop": 40}),
        ("hevc.mkv", {"codec": "libx265"}),
        ("uneven.mp4", {"vfr": True}),
        ("open.mp4", {"gop": 30, "options": {"x264-params": "open-gop=1:bframes=3", "crf": "20"}}),
    ],
)
def test_clips_stay_the_same(
    tmp_path: Path, name: str, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_video(tmp_path / name, SECONDS, size=(160, 96), **{"gop": 120, **options})
    few, whole, left_out = read_both(path, monkeypatch)
    assert_same(few, whole)
    assert left_out > 60


def test_clips_far_apart_begin_with_the_picture_that_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make_video(tmp_path / "far.ts", SECONDS, fps=25, size=(160, 96), gop=300)
    few, whole, left_out = read_both(path, monkeypatch, clip_ns=10**9, stride_ns=3_030_000_000, frame_rate_hz=3.0)
    assert_same(few, whole)
    assert left_out > 60


def test_the_first_pictures_of_another_size_are_those_of_their_clips(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_size_change(tmp_path / "turns.ts", [(160, 96), (96, 160), (160, 96)], 2.7)
    few, whole, left_out = read_both(path, monkeypatch)
    assert_same(few, whole)
    assert left_out > 0


@pytest.mark.parametrize(
    ("before_ms", "time_ms", "after_ms", "is_unused"),
    [
        (0, 40, 80, True),
        (0, 130, 170, False),  # the first of its cell
        (1900, 1950, 2010, True),
        (1900, 1950, 2200, False),  # shown when the next clip begins
        (1900, 1950, 5000, False),  # held for the clip between
        (3000, 3040, 3080, True),  # between clips
        (3900, 3950, 4010, True),
        (3900, 3950, 4200, False),
    ],
)
def test_a_picture_is_unused_if_no_clip_begins_with_it(
    before_ms: int, time_ms: int, after_ms: int, is_unused: bool
) -> None:
    stride_ms = 4000 if time_ms >= 3000 else 2000
    grid = PictureGrid.__new__(PictureGrid)
    grid.tiling = Tiling(0, 2_000_000_000, stride_ms * 1_000_000, 8.0)
    assert grid.is_unused(before_ms * 1_000_000, time_ms * 1_000_000, after_ms * 1_000_000) == is_unused


def test_neighbours_are_those_in_the_order_of_showing() -> None:
    class Packet:
        def __init__(self, pts: int | None) -> None:
            self.pts, self.is_discard = pts, False

    shown = [0, 4, 2, 1, 3, 8, 6, 5, 7, None, 9]
    looked = with_neighbours([Sent(Packet(pts), "decoder") for pts in shown], lambda packet: 10 * packet.pts)
    assert [(each.packet.pts, each.before, each.after) for each in looked] == [
        (
            pts,
            Place(10 * pts - 10, pts - 1) if pts else None,
            Place(10 * pts + 10, pts + 1) if pts in range(9) else None,
        )
        for pts in shown
    ]
