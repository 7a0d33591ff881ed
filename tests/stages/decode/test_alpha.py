"""Pictures with an alpha channel."""

from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from stages.decode.alpha import has_alpha, on_black
from stages.decode.picture import PictureConverter
from tests.stages.decode.hevc_alpha import write_hevc_with_alpha
from tests.stages.decode.patches import grey_codes, make_patches, patch_frame, read_patches, yuv_codes

COLOURS = [(0.8, 0.8, 0.8), (0.8, 0.2, 0.2), (0.3, 0.7, 0.4), (0.5, 0.5, 0.5), (0.2, 0.4, 0.9), (1.0, 1.0, 1.0)]
ALPHAS = [1.0, 1.0, 0.5, 0.25, 0.0, 0.0]


def shown(colours: list[tuple[float, ...]], alphas: list[float]) -> NDArray[np.float64]:
    return 255 * np.array(colours) * np.array(alphas)[:, None]


def frame_of(pixel_format: str, colours: list[tuple[float, ...]], alphas: list[float]) -> Any:
    top = 2 ** av.VideoFormat(pixel_format).components[0].bits - 1
    if pixel_format.startswith("yuva"):
        bits = int(top).bit_length()
        codes = yuv_codes(colours, bits, full=False, kr=0.299, kb=0.114)
        return patch_frame(pixel_format, [[*code, top * alpha] for code, alpha in zip(codes, alphas, strict=True)])
    order = {"argb": (3, 0, 1, 2), "rgba": (0, 1, 2, 3), "bgra": (2, 1, 0, 3), "gbrap10le": (1, 2, 0, 3)}[pixel_format]
    rgba = [(*colour, alpha) for colour, alpha in zip(colours, alphas, strict=True)]
    return patch_frame(pixel_format, [[top * patch[place] for place in order] for patch in rgba])


@pytest.mark.parametrize(
    ("name", "expected"),
    [("yuva444p12le", True), ("argb", True), ("ya8", True), ("pal8", True), ("yuv420p", False), ("gray", False)],
)
def test_formats_with_alpha_are_known(name: str, expected: bool) -> None:
    assert has_alpha(name) == expected


@pytest.mark.parametrize(
    ("codec", "suffix", "pixel_format"),
    [
        ("qtrle", "mov", "argb"),
        ("png", "mov", "rgba"),
        ("ffv1", "mkv", "yuva420p"),
        ("ffv1", "mkv", "gbrap10le"),
        ("prores_ks", "mov", "yuva444p10le"),
        ("rawvideo", "nut", "bgra"),
        ("utvideo", "avi", "gbrap"),
    ],
)
def test_what_is_transparent_becomes_black(tmp_path: Path, codec: str, suffix: str, pixel_format: str) -> None:
    if pixel_format == "gbrap":
        frame = frame_of("rgba", COLOURS, ALPHAS).reformat(format="gbrap")
    else:
        frame = frame_of(pixel_format, COLOURS, ALPHAS)
    tags = {"color_range": 1} if pixel_format.startswith("yuva") else {}
    seen = read_patches(make_patches(tmp_path / f"alpha.{suffix}", codec, frame, tags))
    assert np.abs(seen - shown(COLOURS, ALPHAS)).max() <= (4 if "yuv" in pixel_format else 1)


def test_an_alpha_channel_that_nobody_filled_is_ignored(tmp_path: Path) -> None:
    frame = frame_of("argb", COLOURS, [0.0] * len(COLOURS))
    seen = read_patches(make_patches(tmp_path / "empty.mov", "qtrle", frame, {}))
    assert np.abs(seen - shown(COLOURS, [1.0] * len(COLOURS))).max() <= 1


def test_hidden_colours_do_not_bleed_into_what_is_seen() -> None:
    """Scaled down, the edge between opaque grey and transparent white stays between grey and black."""
    rgba = np.full((64, 90, 4), 255, np.uint8)
    rgba[:, :43, :3], rgba[:, 43:, 3] = 120, 0
    picture = PictureConverter(30, 21, 10**6).convert(av.VideoFrame.from_ndarray(rgba, format="rgba"))
    assert picture.max() <= 128
    assert picture[10, 5, 0] == 120
    assert picture[10, 25, 0] == 0


def test_palettes_with_transparent_entries_are_on_black(tmp_path: Path) -> None:
    palette = np.zeros(256, np.uint32)
    palette[1:4] = (0xFF_C0_40_20, 0x80_C0_40_20, 0x00_C0_40_20)
    frame = patch_frame("pal8", [[1], [2], [3]])
    frame.planes[1].update(palette.tobytes())
    seen = read_patches(make_patches(tmp_path / "palette.mov", "png", frame, {}))
    assert seen.tolist() == [[0xC0, 0x40, 0x20], [0x60, 0x20, 0x10], [0, 0, 0]]


def test_hdr_with_alpha_is_tone_mapped_on_black(tmp_path: Path) -> None:
    tags = {"color_trc": 16, "color_primaries": 9, "colorspace": 9, "color_range": 1}
    codes = grey_codes([0.38, 0.58, 0.58], 10, full=False)
    opaque = [[*code, 1023] for code in codes]
    path = make_patches(tmp_path / "opaque.mov", "prores_ks", patch_frame("yuva444p10le", opaque), tags)
    cut = make_patches(
        tmp_path / "cut.mov", "prores_ks", patch_frame("yuva444p10le", [*opaque[:2], [*codes[2], 0]]), tags
    )
    whole, part = read_patches(path), read_patches(cut)
    assert np.abs(whole[:2] - part[:2]).max() <= 1
    assert abs(part[0] - 108).max() <= 2
    assert part[2].tolist() == [0, 0, 0]
    assert whole[2].min() > 220


def test_hevc_with_an_alpha_layer_has_one_size_and_its_colours(tmp_path: Path) -> None:
    """FFmpeg leaves the alpha layer out by default; with it, the picture is on black."""
    picture = patch_frame("yuv420p", yuv_codes(COLOURS, 8, full=False, kr=0.299, kb=0.114))
    alpha = patch_frame("yuv420p", [[255 * level, 128, 128] for level in ALPHAS])
    path = write_hevc_with_alpha(tmp_path / "layers.hevc", picture, alpha, 10)
    with av.open(str(path)) as container:
        frames = [(frame.format.name, frame.width, frame.height) for frame in container.decode(video=0)]
    assert len(frames) == 10
    assert len(set(frames)) == 1
    name, *size = frames[0]
    assert size == [picture.width, picture.height]
    alphas = ALPHAS if has_alpha(name) else [1.0] * len(COLOURS)
    assert np.abs(read_patches(path) - shown(COLOURS, alphas)).max() <= 3


@pytest.mark.parametrize(("dtype", "white", "opaque"), [(np.uint8, 255, 255), (np.uint16, 65_280, 65_472)])
def test_colours_are_multiplied_by_alpha(dtype: Any, white: int, opaque: int) -> None:
    top = np.iinfo(dtype).max
    rgba = np.array([[[white, white // 2, 0, opaque], [white, white, white, opaque // 4]]], dtype)
    mixed = on_black(rgba, white, opaque)
    assert mixed is not None
    assert mixed.dtype == dtype
    assert np.abs(mixed / top - [[[1, 0.5, 0], [0.25, 0.25, 0.25]]]).max() < 1 / 200
    assert on_black(rgba[:, :1], white, opaque) is None
    assert on_black(rgba * np.array([1, 1, 1, 0], dtype), white, opaque) is None
