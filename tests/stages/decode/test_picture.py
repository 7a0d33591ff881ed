"""Conversion of decoded pictures to RGB."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from stages.decode.picture import Orientation, PictureConverter, fit_size
from tests.media import make_video
from tests.stages.decode.patches import grey_codes, make_patches, patch_frame, read_patches, yuv_codes
from tests.stages.decode.reading import read

BIG = 10**9
GREYS = [level / 255 for level in (0, 16, 40, 100, 128, 180, 235, 255)]
SATURATED = [(0.9, 0.1, 0.1), (0.1, 0.8, 0.15), (0.1, 0.2, 0.9), (0.9, 0.8, 0.1), (0.1, 0.7, 0.8), (0.7, 0.1, 0.8)]


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


@pytest.mark.parametrize(
    ("codec", "suffix", "pixel_format", "full", "tag"),
    [
        ("libx265", "mp4", "yuv420p", False, 1),
        ("libx265", "mp4", "yuv420p10le", False, None),
        ("libx265", "mkv", "yuv420p10le", True, 2),
        ("libx265", "mp4", "yuv422p12le", False, 1),
        ("libx265", "mp4", "yuv444p12le", True, 2),
        ("libx265", "mp4", "gray", False, None),
        ("libx265", "mp4", "gray10le", False, 1),
        ("libx265", "mp4", "gray12le", True, 2),
        ("libx265", "mp4", "gbrp10le", True, 2),
        ("ffv1", "mkv", "gray16le", False, 1),
        ("ffv1", "mkv", "gray10le", True, None),
        ("ffv1", "mkv", "yuv422p12le", True, 2),
        ("ffv1", "mkv", "gbrp12le", True, None),
        ("libx264", "mp4", "yuvj420p", True, 2),
        ("libx264", "mp4", "yuv420p10le", False, None),
        ("prores_ks", "mov", "yuv422p10le", False, None),
        ("libvpx-vp9", "webm", "yuv420p", True, 2),
        ("mjpeg", "avi", "yuvj422p", True, None),
        ("mjpeg", "mkv", "yuvj444p", True, 2),
        ("rawvideo", "avi", "yuv420p", False, None),
        ("rawvideo", "avi", "gray", True, None),
        ("qtrle", "mov", "rgb24", True, None),
        ("png", "mov", "rgb48be", True, None),
    ],
)
def test_greys_of_every_depth_and_range_are_right(
    tmp_path: Path, codec: str, suffix: str, pixel_format: str, full: bool, tag: int | None
) -> None:
    bits = av.VideoFormat(pixel_format).components[0].bits
    if "rgb" in pixel_format or "gbr" in pixel_format:
        codes = [[(2**bits - 1) * level] * 3 for level in GREYS]
    else:
        codes = grey_codes(GREYS, bits, full=full)
    frame = patch_frame(pixel_format, [patch[: len(av.VideoFormat(pixel_format).components)] for patch in codes])
    options = {"lossless": "1"} if codec == "libvpx-vp9" else {}
    tags = {} if tag is None else {"color_range": tag}
    seen = read_patches(make_patches(tmp_path / f"grey.{suffix}", codec, frame, tags, **options))
    assert np.abs(seen - 255 * np.array(GREYS)[:, None]).max() <= 1


@pytest.mark.parametrize(
    ("pixel_format", "full", "tags", "kr", "kb"),
    [
        ("yuv444p", False, {"colorspace": 6}, 0.299, 0.114),
        ("yuv444p10le", True, {"colorspace": 5}, 0.299, 0.114),
        ("yuv444p", True, {"colorspace": 1}, 0.2126, 0.0722),
        ("yuv422p12le", False, {"colorspace": 1}, 0.2126, 0.0722),
        ("yuv420p10le", False, {"colorspace": 9}, 0.2627, 0.0593),
        ("yuv444p12le", True, {"colorspace": 9}, 0.2627, 0.0593),
        ("yuv420p", False, {}, 0.299, 0.114),
        ("yuv420p10le", False, {"color_primaries": 9, "color_trc": 14}, 0.2627, 0.0593),
    ],
)
def test_saturated_colours_need_the_right_matrix(
    tmp_path: Path, pixel_format: str, full: bool, tags: dict[str, int], kr: float, kb: float
) -> None:
    bits = av.VideoFormat(pixel_format).components[0].bits
    frame = patch_frame(pixel_format, yuv_codes(SATURATED, bits, full=full, kr=kr, kb=kb))
    path = make_patches(tmp_path / "colours.mkv", "ffv1", frame, tags | {"color_range": 2 if full else 1})
    assert np.abs(read_patches(path) - 255 * np.array(SATURATED)).max() <= 2


@pytest.mark.parametrize("options", [{}, {"flags": "+ildct+ilme", "x264-params": "tff=1"}])
def test_a_large_picture_without_a_matrix_has_that_of_bt_709(tmp_path: Path, options: dict[str, str]) -> None:
    frame = patch_frame("yuv420p", yuv_codes(SATURATED, 8, full=False, kr=0.2126, kb=0.0722), height=1080)
    path = make_patches(tmp_path / "large.mp4", "libx264", frame, {"color_range": 1}, **options)
    with av.open(str(path)) as container:
        assert next(container.decode(video=0)).interlaced_frame == bool(options)
    assert np.abs(read_patches(path) - 255 * np.array(SATURATED)).max() <= 3


def test_palettes_and_bitmaps_have_their_colours(tmp_path: Path) -> None:
    palette = np.zeros(256, np.uint32)
    palette[:3] = (0xFF_F0_20_40, 0xFF_10_E0_30, 0xFF_80_80_80)
    frame = patch_frame("pal8", [[0], [1], [2]])
    frame.planes[1].update(palette.tobytes())
    seen = read_patches(make_patches(tmp_path / "palette.avi", "rawvideo", frame, {}))
    assert seen.tolist() == [[0xF0, 0x20, 0x40], [0x10, 0xE0, 0x30], [0x80] * 3]
    bitmap = patch_frame("gray", [[0], [255], [0]]).reformat(format="monob")
    seen = read_patches(make_patches(tmp_path / "bitmap.nut", "rawvideo", bitmap, {}))
    assert seen.tolist() == [[0] * 3, [255] * 3, [0] * 3]


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


def test_interlaced_hdr_is_tone_mapped_from_one_field(tmp_path: Path) -> None:
    tags = {"color_trc": 18, "color_primaries": 9, "colorspace": 9, "color_range": 1}
    frame = patch_frame("yuv422p10le", grey_codes([0.38, 0.75], 10, full=False))
    options = {"flags": "+ildct+ilme", "x264-params": "tff=1"}
    path = make_patches(tmp_path / "fields.mkv", "libx264", frame, tags, **options)
    with av.open(str(path)) as container:
        assert next(container.decode(video=0)).interlaced_frame
    assert np.abs(read_patches(path) - [[108] * 3, [230] * 3]).max() <= 2


def test_pictures_beyond_the_limit_are_refused() -> None:
    with pytest.raises(ValueError, match="64x64 pixels, more than the limit of 100"):
        PictureConverter(8, 8, 100).convert(av.VideoFrame(64, 64, "yuv420p"))


@pytest.mark.parametrize("aspect", [Fraction(0), Fraction(1000), Fraction(1, 1000)])
def test_an_implausible_pixel_aspect_is_ignored(aspect: Fraction) -> None:
    from stages.decode.picture import upright_size

    assert upright_size(av.VideoFrame(64, 48, "yuv420p"), aspect) == (64, 48)
