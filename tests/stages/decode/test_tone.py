"""Tone mapping of HDR, against the figures and formulas of BT.2100, BT.2390, BT.2408 and BT.2087."""

import math
from pathlib import Path

import av
import numpy as np
import pytest

from pipeline.errors import SourceError
from stages.decode.picture import PictureConverter
from stages.decode.tone import (
    BT709,
    BT2020,
    DISPLAY_P3,
    HLG,
    PQ,
    hlg_to_scene,
    nits_to_pq,
    pq_to_nits,
    rgb_to_xyz,
    tone_curve,
)
from tests.stages.decode.patches import grey_codes, make_patches, patch_frame, read_patches, yuv_codes
from tests.stages.decode.reading import read

MASTERED = "master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L({},1)"
GREYS = [0.0, 0.1, 0.2, 0.3, 0.38, 0.45, 0.5, 0.58, 0.65, 0.75, 0.85, 1.0]
COLOURS = [(0.6, 0.3, 0.3), (0.3, 0.6, 0.2), (0.2, 0.3, 0.7), (0.58, 0.5, 0.1), (0.75, 0.75, 0.3), (0.4, 0.42, 0.38)]
BT2087 = ((1.6605, -0.5876, -0.0728), (-0.1246, 1.1329, -0.0083), (-0.0182, -0.1006, 1.1187))
"""From BT.2020 to BT.709, as printed in BT.2407."""


def expected(colour: tuple[float, ...], transfer: int, peak: float) -> list[float]:
    """8-bit SDR of one HDR colour, number by number as the recommendations write it."""

    def eotf(signal: float) -> float:
        power = signal ** (1 / 78.84375)
        return 10_000 * (max(power - 0.8359375, 0) / (18.8515625 - 18.6875 * power)) ** (1 / 0.1593017578125)

    def inverse(nits: float) -> float:
        power = (nits / 10_000) ** 0.1593017578125
        return ((0.8359375 + 18.8515625 * power) / (1 + 18.6875 * power)) ** 78.84375

    def compressed(nits: float) -> float:
        e1, most = min(inverse(nits) / inverse(peak), 1), inverse(203) / inverse(peak)
        if peak <= 203 or e1 < 1.5 * most - 0.5:
            return min(nits, 203)
        knee = 1.5 * most - 0.5
        t = (e1 - knee) / (1 - knee)
        e2 = (2 * t**3 - 3 * t**2 + 1) * knee + (t**3 - 2 * t**2 + t) * (1 - knee) + (-2 * t**3 + 3 * t**2) * most
        return eotf(e2 * inverse(peak))

    if transfer == PQ:
        nits = [eotf(signal) for signal in colour]
    else:
        scene = [s * s / 3 if s <= 0.5 else (math.exp((s - 0.55991073) / 0.17883277) + 0.28466892) / 12 for s in colour]
        gain = 1000 * (0.2627 * scene[0] + 0.6780 * scene[1] + 0.0593 * scene[2]) ** 0.2
        nits = [gain * light for light in scene]
    light = [compressed(each) / 203 for each in nits]
    mixed = [sum(weight * each for weight, each in zip(row, light, strict=True)) for row in BT2087]
    return [255 * min(max(each, 0), 1) ** (1 / 2.4) for each in mixed]


def test_signals_have_the_light_of_bt_2408() -> None:
    assert pq_to_nits(np.array([0.58, 0.38])) == pytest.approx([203, 26], rel=0.01)
    assert pq_to_nits(np.array([0.0, 1.0])) == pytest.approx([0, 10_000])
    assert pq_to_nits(nits_to_pq(np.array([0.01, 1.0, 100.0, 4000.0]))) == pytest.approx([0.01, 1, 100, 4000])
    assert nits_to_pq(np.array([100.0, 1000.0])) == pytest.approx([0.508, 0.752], abs=5e-4)
    assert hlg_to_scene(np.array([0.0, 0.5, 1.0])) == pytest.approx([0, 1 / 12, 1], abs=1e-6)
    assert 1000 * hlg_to_scene(np.array([0.75, 0.38])) ** 1.2 == pytest.approx([203, 26], rel=0.01)


@pytest.mark.parametrize("peak", [100.0, 203.0, 600.0, 1000.0, 4000.0, 10_000.0])
def test_the_curve_rises_to_reference_white_and_leaves_the_dark_alone(peak: float) -> None:
    nits = np.linspace(0, max(peak, 203), 20_000)
    curve = tone_curve(nits, peak)
    assert (np.diff(curve) >= -1e-9).all()
    assert curve[-1] == pytest.approx(203, rel=1e-3)
    assert (curve <= nits + 1e-6).all()
    dark = nits < 20
    assert curve[dark] == pytest.approx(nits[dark], abs=1e-6)


def test_matrices_follow_from_the_primaries() -> None:
    to_bt709 = np.linalg.inv(rgb_to_xyz(BT709)) @ rgb_to_xyz(BT2020)
    assert to_bt709 == pytest.approx(np.array(BT2087), abs=1e-4)
    assert rgb_to_xyz(BT709)[1] == pytest.approx([0.2126, 0.7152, 0.0722], abs=1e-4)
    assert rgb_to_xyz(DISPLAY_P3)[1] == pytest.approx([0.2290, 0.6917, 0.0793], abs=1e-4)


@pytest.mark.parametrize(
    ("codec", "suffix", "pixel_format", "full", "transfer", "light", "peak"),
    [
        ("libx265", "mp4", "yuv420p10le", False, PQ, "", 1000),
        ("libx265", "mp4", "yuv420p10le", False, HLG, "", 1000),
        ("libx265", "mkv", "yuv422p10le", True, PQ, MASTERED.format(40_000_000), 4000),
        ("libx265", "mp4", "yuv444p12le", False, PQ, MASTERED.format(10_000_000) + ":max-cll=600,100", 600),
        ("libx265", "mp4", "yuv420p10le", False, PQ, MASTERED.format(1_000_000), 100),
        ("libx265", "mp4", "yuv420p10le", False, HLG, MASTERED.format(40_000_000), 1000),
        ("ffv1", "mkv", "yuv422p12le", True, HLG, "", 1000),
        ("ffv1", "mkv", "gbrp10le", True, PQ, "", 1000),
        ("libx264", "mp4", "yuv420p10le", True, HLG, "", 1000),
        ("prores_ks", "mov", "yuv444p10le", False, PQ, "", 1000),
    ],
)
def test_patches_come_out_as_the_formulas_say(
    tmp_path: Path, codec: str, suffix: str, pixel_format: str, full: bool, transfer: int, light: str, peak: float
) -> None:
    colours = [(grey, grey, grey) for grey in GREYS] + COLOURS
    bits = 12 if "12" in pixel_format else 10
    if pixel_format.startswith("gbr"):
        codes = [[1023 * g, 1023 * b, 1023 * r] for r, g, b in colours]
    else:
        codes = yuv_codes(colours, bits, full=full, kr=0.2627, kb=0.0593)
    tags = {"color_trc": transfer, "color_primaries": 9, "colorspace": 9, "color_range": 2 if full else 1}
    if pixel_format.startswith("gbr"):
        tags["colorspace"] = 0
    options = {}
    if light:
        options["x265-params"] = f"lossless=1:log-level=none:pools=none:frame-threads=1:{light}"
    path = make_patches(tmp_path / f"hdr.{suffix}", codec, patch_frame(pixel_format, codes), tags, **options)
    seen = read_patches(path)
    wanted = np.array([expected(colour, transfer, peak) for colour in colours])
    assert np.abs(seen[: len(GREYS)] - wanted[: len(GREYS)]).max() <= (2 if codec == "prores_ks" else 1.2)
    assert np.abs(seen[len(GREYS) :] - wanted[len(GREYS) :]).max() <= 4


@pytest.mark.parametrize(("transfer", "white"), [(PQ, 0.58), (HLG, 0.75)])
def test_reference_white_is_near_white_and_an_18_percent_grey_card_is_42_percent(
    tmp_path: Path, transfer: int, white: float
) -> None:
    tags = {"color_trc": transfer, "color_primaries": 9, "colorspace": 9, "color_range": 1}
    frame = patch_frame("yuv420p10le", grey_codes([0.38, white], 10, full=False))
    path = make_patches(tmp_path / "hdr.mp4", "libx265", frame, tags)
    grey, reference = read_patches(path)
    assert grey == pytest.approx(0.425 * 255, abs=1.5)
    assert reference == pytest.approx(0.904 * 255, abs=2)
    name = {PQ: "PQ", HLG: "HLG"}[transfer]
    assert f"HDR ({name}) is tone-mapped" in read(path).info.notes


def test_the_peak_is_that_of_the_first_picture_wherever_reading_begins(tmp_path: Path) -> None:
    tags = {"color_trc": PQ, "color_primaries": 9, "colorspace": 9, "color_range": 1}
    bare = patch_frame("yuv420p10le", grey_codes([0.58] * 2, 10, full=False))
    params = f"lossless=1:log-level=none:pools=none:frame-threads=1:{MASTERED.format(40_000_000)}"
    path = make_patches(tmp_path / "hdr.mp4", "libx265", bare, tags, **{"x265-params": params})
    with av.open(str(path)) as container:
        first = next(container.decode(video=0))
    informed = PictureConverter(8, 8, 10**6).starting_with(first).convert(bare)
    assert informed[4, 4] == pytest.approx(expected((0.58,) * 3, PQ, 4000), abs=1.2)
    assert PictureConverter(8, 8, 10**6).convert(bare)[4, 4] == pytest.approx(expected((0.58,) * 3, PQ, 1000), abs=1.2)


def test_the_decord_reader_refuses_hdr(tmp_path: Path) -> None:
    pytest.importorskip("decord")
    tags = {"color_trc": HLG, "color_primaries": 9, "colorspace": 9, "color_range": 1}
    frame = patch_frame("yuv420p10le", grey_codes([0.2, 0.5], 10, full=False))
    path = make_patches(tmp_path / "hdr.mp4", "libx265", frame, tags)
    with pytest.raises(SourceError, match=r"HDR.*Choose the reader av"):
        read(path, reader="decord")
