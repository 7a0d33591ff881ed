"""Pictures whose shape changes under way: turned phones, switches between 4:3 and 16:9."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from stages.decode.reader import NS
from stages.decode.shape import are_alike, fit_within, with_bars
from tests.stages.decode.reading import Reading, read, same

FAST = {
    "libx264": {"preset": "ultrafast", "crf": "18", "threads": "1", "bf": "0"},
    "libvpx": {"deadline": "realtime", "cpu-used": "8", "b": "1M"},
    "mpeg2video": {"qscale": "2"},
}
Part = tuple[int, tuple[int, int], Fraction]
"""Count of pictures, stored width and height, and pixel aspect."""
SQUARE = Fraction(1)


def disc(size: tuple[int, int], aspect: Fraction) -> Any:
    """A white disc in the middle, round when pixels have this aspect."""
    width, height = size
    y, x = np.mgrid[:height, :width].astype(float)
    x = (x + 0.5 - width / 2) * float(aspect)
    radius = 0.3 * min(width * float(aspect), height)
    picture = np.repeat(((x**2 + (y + 0.5 - height / 2) ** 2 < radius**2) * 255)[..., None], 3, axis=2)
    return av.VideoFrame.from_ndarray(picture.astype(np.uint8)).reformat(format="yuv420p")


def make_turned(path: Path, parts: Sequence[Part], codec: str) -> Path:
    """A film at 25 pictures/s in parts of different shape; each part has an encoder of its own."""
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(codec, rate=25)
        stream.width, stream.height = parts[0][1]
        stream.pix_fmt = "yuv420p"
        stream.sample_aspect_ratio = parts[0][2]
        number = 0
        for count, size, aspect in parts:
            context: Any = av.CodecContext.create(codec, "w")
            context.width, context.height, context.pix_fmt = *size, "yuv420p"
            context.time_base, context.framerate = Fraction(1, 25), Fraction(25)
            context.sample_aspect_ratio, context.options = aspect, FAST[codec]
            picture = disc(size, aspect)
            for place in range(count + 1):
                if place < count:
                    picture.pts, picture.time_base = number, Fraction(1, 25)
                    number += 1
                for packet in context.encode(picture if place < count else None):
                    packet.stream, packet.time_base = stream, Fraction(1, 25)
                    container.mux(packet)
    return path


def ratios(reading: Reading) -> list[float]:
    """Width over height of the disc in the last picture of each clip."""
    found = []
    for clip in reading.clips:
        ys, xs = np.nonzero(clip.arrays["frames"][-1][..., 1] > 128)
        found.append(float(np.ptp(xs) + 1) / float(np.ptp(ys) + 1))
    return found


TURNED = [(100, (320, 180), SQUARE), (100, (180, 320), SQUARE)]
TURNED_BACK = [(60, (320, 180), SQUARE), (80, (180, 320), SQUARE), (110, (320, 180), SQUARE)]
SWITCHED = [(100, (352, 288), Fraction(12, 11)), (100, (352, 288), Fraction(16, 11))]
FILMS = {
    "turned.webm": ("libvpx", TURNED),
    "turned.ts": ("libx264", TURNED),
    "turned.mkv": ("libx264", TURNED),
    "back.webm": ("libvpx", TURNED_BACK),
    "aspect.ts": ("mpeg2video", SWITCHED),
    "aspect.mkv": ("libx264", SWITCHED),
}


@pytest.mark.parametrize("name", FILMS)
def test_pictures_have_their_shape_from_the_turn_on(tmp_path: Path, name: str) -> None:
    codec, parts = FILMS[name]
    reading = read(make_turned(tmp_path / name, parts, codec))
    assert ratios(reading) == [pytest.approx(1.0, abs=0.03)] * len(reading.clips)
    turns_s = np.cumsum([count for count, _, _ in parts]) / 25
    assert [max(end for _, end in reading.spans_s if end <= turn_s + 0.1) for turn_s in turns_s] == [
        pytest.approx(turn_s, abs=0.09) for turn_s in turns_s
    ]
    for clip in reading.clips:
        middle_s = (clip.info.start_ns + clip.info.end_ns) / 2 / NS
        _, (width, height), aspect = parts[int(np.searchsorted(turns_s, middle_s))]
        assert (clip.info.width, clip.info.height) == (round(width * aspect), height)
        assert clip.arrays["frames"].shape[1] == (180 if height == 180 else min(height, 224) if width > height else 320)
    assert [clip.info.epoch for clip in reading.clips] == sorted(clip.info.epoch for clip in reading.clips)
    assert reading.clips[-1].info.epoch == len(parts) - 1
    assert reading.gaps == []


@pytest.mark.parametrize("name", ["back.webm", "turned.mkv"])
def test_a_later_start_yields_the_same_clips(tmp_path: Path, name: str) -> None:
    codec, parts = FILMS[name]
    path = make_turned(tmp_path / name, parts, codec)
    whole = read(path)
    for start_index in range(1, len(whole.clips)):
        part = read(path, start_index)
        assert all(same(one, other) for one, other in zip(whole.clips[start_index:], part.clips, strict=True))


def test_a_change_of_resolution_is_no_turn(tmp_path: Path) -> None:
    parts = [(50, (320, 180), SQUARE), (50, (640, 360), SQUARE), (50, (480, 272), SQUARE)]
    reading = read(make_turned(tmp_path / "call.webm", parts, "libvpx"))
    assert {clip.arrays["frames"].shape[1:3] for clip in reading.clips} == {(180, 320)}
    assert {(clip.info.width, clip.info.height, clip.info.epoch) for clip in reading.clips} == {(320, 180, 0)}
    assert ratios(reading) == [pytest.approx(1.0, abs=0.03)] * 3


def test_one_picture_of_another_shape_gets_bars(tmp_path: Path) -> None:
    parts = [(50, (320, 180), SQUARE), (1, (180, 320), SQUARE), (49, (320, 180), SQUARE)]
    reading = read(make_turned(tmp_path / "glitch.webm", parts, "libvpx"))
    assert [clip.info.epoch for clip in reading.clips] == [0, 0]
    glitch = reading.clips[1].arrays["frames"][0]
    assert glitch.shape == (180, 320, 3)
    assert glitch[:, :100].max() < 30
    ys, xs = np.nonzero(glitch[..., 1] > 128)
    assert (np.ptp(xs) + 1) / (np.ptp(ys) + 1) == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize(
    ("size", "into", "fitted"),
    [((180, 320), (320, 180), (101, 180)), ((320, 180), (320, 180), (320, 180)), ((640, 362), (320, 180), (320, 180))],
)
def test_a_picture_fits_with_its_shape(size: tuple[int, int], into: tuple[int, int], fitted: tuple[int, int]) -> None:
    assert fit_within(size, into) == fitted
    picture = with_bars(np.full((fitted[1], fitted[0], 3), 9, np.uint8), into)
    assert picture.shape == (into[1], into[0], 3)
    assert (picture == 9).sum() == fitted[0] * fitted[1] * 3
    assert are_alike(fitted, size)
