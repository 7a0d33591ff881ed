"""Conversion of decoded pictures to RGB."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from stages.decode.picture import Orientation, PictureConverter, fit_size
from tests.media import make_video
from tests.stages.decode.reading import read

BIG = 10**9


def smooth(width: int, height: int) -> np.ndarray:
    """A colourful picture without sharp edges, so that chroma subsampling hardly shows."""
    x, y = np.meshgrid(np.linspace(0, 1, width), np.linspace(0, 1, height))
    wave = np.stack([x, y, (np.sin(6 * x) * np.cos(5 * y) + 1) / 2], axis=2)
    return (30 + 190 * wave).astype(np.uint8)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ((1280, 720), (398, 224)),
        ((720, 1280), (224, 398)),
        ((100, 80), (100, 80)),
        ((4000, 400), (640, 64)),
        ((1, 5000), (1, 640)),
    ],
)
def test_sizes_fit_both_limits(source: tuple[int, int], expected: tuple[int, int]) -> None:
    assert fit_size(*source, 224, 640) == expected


def test_orientations_are_the_eight_of_a_square() -> None:
    picture = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    turned = {
        Orientation(transpose, x, y).apply(picture).tobytes()
        for transpose in (False, True)
        for x in (False, True)
        for y in (False, True)
    }
    assert len(turned) == 8
    assert np.array_equal(Orientation(True, False, True).apply(picture), np.rot90(picture))


@pytest.mark.parametrize("rotation", [90, 180, 270])
def test_every_quarter_turn_is_undone(tmp_path: Path, rotation: int) -> None:
    plain = read(make_video(tmp_path / "plain.mp4", 0.5)).clips[0].arrays["frames"][0]
    turned = read(make_video(tmp_path / "turned.mp4", 0.5, rotation=rotation)).clips[0].arrays["frames"][0]
    assert np.abs(np.rot90(plain, rotation // 90).astype(int) - turned).mean() < 2


@pytest.mark.parametrize(
    ("pixel_format", "matrix", "color_range"),
    [
        ("yuv420p", 1, 1),
        ("yuv420p", 5, 1),
        ("yuv420p", 1, 2),
        ("yuv444p", 6, 1),
        ("yuv420p10le", 9, 1),
        ("yuv422p10le", 1, 2),
        ("gray", 2, 2),
        ("rgb24", 0, 2),
    ],
)
def test_colours_are_kept_for_every_matrix_and_range(pixel_format: str, matrix: int, color_range: int) -> None:
    rgb = smooth(480, 360)
    if pixel_format == "gray":
        rgb = np.repeat(rgb[:, :, :1], 3, axis=2)
    frame = av.VideoFrame.from_ndarray(rgb)
    spaces = {1: 1, 5: 5, 6: 5, 9: 9}
    stored = frame.reformat(
        format=pixel_format, dst_colorspace=spaces.get(matrix), src_color_range=2, dst_color_range=color_range
    )
    if matrix:
        stored.colorspace = matrix
    stored.color_range = color_range
    picture = PictureConverter(240, 180, BIG).convert(stored)
    expected = rgb.reshape(180, 2, 240, 2, 3).mean(axis=(1, 3))
    assert picture.shape == (180, 240, 3)
    assert np.abs(picture - expected).mean() < 1.5


def test_scaling_is_close_to_pillows_bicubic(shared_data: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    path = shared_data / "clips" / "pouring_coffee_e1b0d5.mp4"
    with av.open(str(path)) as container:
        frame = next(container.decode(video=0))
        full = PictureConverter(frame.width, frame.height, BIG).convert(frame)
        picture = PictureConverter(398, 224, BIG).convert(frame)
    expected = np.asarray(image.fromarray(full).resize((398, 224), image.Resampling.BICUBIC))
    difference = np.abs(expected.astype(int) - picture)
    assert difference.mean() < 0.5
    assert np.percentile(difference, 99) <= 3


def test_interlaced_pictures_show_one_moment(tmp_path: Path) -> None:
    def stripes(time_s: float, width: int, height: int) -> np.ndarray:
        """A bright bar that moves 20 pixels from one field to the next."""
        picture = np.full((height, width, 3), 40, np.uint8)
        left = round(time_s * 1000) % 600
        picture[:, left : left + 40] = 220
        return picture

    path = make_video(
        tmp_path / "fields.mp4", 1.0, fps=25, size=(720, 576), interlaced=True, picture=stripes, options={"crf": "5"}
    )
    reading = read(path, short_side_px=576, long_side_px=720)
    picture = reading.clips[0].arrays["frames"][3].astype(int)
    combs = np.abs(picture[1:] - picture[:-1]).mean()
    assert reading.info.height == 576
    assert picture.shape == (576, 720, 3)
    assert combs < 1


def test_pictures_beyond_the_limit_are_refused() -> None:
    with pytest.raises(ValueError, match="64x64 pixels, more than the limit of 100"):
        PictureConverter(8, 8, 100).convert(av.VideoFrame(64, 64, "yuv420p"))


@pytest.mark.parametrize("aspect", [Fraction(0), Fraction(1000), Fraction(1, 1000)])
def test_an_implausible_pixel_aspect_is_ignored(aspect: Fraction) -> None:
    from stages.decode.picture import upright_size

    assert upright_size(av.VideoFrame(64, 48, "yuv420p"), aspect) == (64, 48)
