"""Tone mapping: HDR pictures (BT.2100 PQ and HLG) become SDR pictures (BT.709 primaries, BT.1886 display).

All steps are in linear light, in cd/m² of a display (nits):

1. PQ is absolute light. HLG is light of the scene, which the system gamma turns into light of a display of 1000 nits
   (BT.2100 tables 4 and 5).
2. The tone curve (EETF of BT.2390) compresses the highlights of each channel, from the peak of the source to 203 nits,
   the HDR reference white of BT.2408. Light below its knee (92 nits for a peak of 1000, 41 for 4000) stays as it is.
3. A matrix turns the primaries into those of BT.709. What is out of gamut is clipped.
4. 203 nits is full white in SDR; the signal is the inverse of the BT.1886 display, light to the power of 1/2.4.

With a peak of 1000 nits, an 18 % grey card (26 nits, 38 % of either signal) becomes 42.5 % of the SDR signal, as
BT.2408 has it, and HDR reference white (58 % of PQ, 75 % of HLG) becomes 90 %, with the highlights above it.
"""

from typing import Any

import numpy as np

from pipeline.arrays import Array
from stages.decode.side_data import side_data_of

PQ, HLG = 16, 18
"""Transfer characteristics as in ITU-T H.273."""
NAMES = {PQ: "PQ", HLG: "HLG"}
WHITE_NITS = 203.0
HLG_PEAK_NITS = 1000.0
DEFAULT_PEAK_NITS = 1000.0
PQ_PEAK_NITS = 10_000.0
BT709, BT2020, DISPLAY_P3 = 1, 9, 12
D65 = (0.3127, 0.3290)
PRIMARIES = {
    BT709: ((0.640, 0.330), (0.300, 0.600), (0.150, 0.060)),
    BT2020: ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046)),
    DISPLAY_P3: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060)),
}
"""x and y of red, green and blue, as numbered in ITU-T H.273."""
CODES = 1 << 16
BAND_PIXELS = 1 << 15
"""Pixels that are mapped at once, so that intermediate results stay in the cache."""


def is_hdr(frame: Any) -> bool:
    """Whether a decoded frame has a PQ or HLG signal."""
    return frame.color_trc in NAMES


def pq_to_nits(signal: Array) -> Array:
    """EOTF of PQ: signal in [0, 1] to nits."""
    root = signal ** (32 / 2523)
    linear = np.maximum(root - 107 / 128, 0) / (2413 / 128 - 2392 / 128 * root)
    return PQ_PEAK_NITS * linear ** (8192 / 1305)


def nits_to_pq(nits: Array) -> Array:
    """Inverse EOTF of PQ: nits to signal in [0, 1]."""
    power = (nits / PQ_PEAK_NITS) ** (1305 / 8192)
    return ((107 / 128 + 2413 / 128 * power) / (1 + 2392 / 128 * power)) ** (2523 / 32)


def hlg_to_scene(signal: Array) -> Array:
    """Inverse OETF of HLG: signal in [0, 1] to light of the scene in [0, 1]."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    return np.where(signal <= 0.5, signal**2 / 3, (np.exp((signal - c) / a) + b) / 12)


def tone_curve(nits: Array, peak_nits: float) -> Array:
    """EETF of BT.2390: light up to `peak_nits` to light up to 203 nits; identity if the peak is not above that."""
    peak, white = nits_to_pq(np.array([max(peak_nits, WHITE_NITS), WHITE_NITS]))
    level = np.minimum(nits_to_pq(nits) / peak, 1)
    top = white / peak
    knee = 1.5 * top - 0.5
    t = np.maximum(level - knee, 0) / max(1 - knee, 1e-9)
    spline = (2 * t**3 - 3 * t**2 + 1) * knee + (t**3 - 2 * t**2 + t) * (1 - knee) + (3 * t**2 - 2 * t**3) * top
    return np.minimum(pq_to_nits(np.where(level < knee, level, spline) * peak), WHITE_NITS)


def rgb_to_xyz(primaries: int) -> Array:
    """Matrix from linear RGB with white D65 to CIE XYZ; its second row is the weights of luminance."""
    chromaticities = np.array([*PRIMARIES.get(primaries, PRIMARIES[BT2020]), D65])
    x, y = chromaticities.T
    xyz = np.stack([x / y, np.ones_like(x), (1 - x - y) / y])
    scales: Array = np.linalg.solve(xyz[:, :3], xyz[:, 3])
    return xyz[:, :3] * scales


def peak_nits(frame: Any) -> float:
    """Peak of a source: that of its content, else of the display it was mastered on, else 1000 nits; HLG has 1000."""
    if frame.color_trc == HLG:
        return HLG_PEAK_NITS
    content, mastering = (
        np.frombuffer(side_data_of(frame, name) or b"", np.int32)
        for name in ("CONTENT_LIGHT_LEVEL", "MASTERING_DISPLAY_METADATA")
    )
    if content.size >= 2 and 0 < content[0] <= PQ_PEAK_NITS:
        return float(content[0])
    if mastering.size >= 22 and mastering[21] and mastering[19] > 0:
        return float(min(mastering[18] / mastering[19], PQ_PEAK_NITS)) or DEFAULT_PEAK_NITS
    return DEFAULT_PEAK_NITS


class ToneMap:
    """Tone-maps 16-bit pictures with one transfer, primaries and peak. `codes` are those of black and white."""

    def __init__(self, transfer: int, primaries: int, peak_nits: float, codes: tuple[int, int]) -> None:
        black, white = codes
        signal = np.clip((np.arange(CODES) - black) / (white - black), 0, 1)
        to_xyz = rgb_to_xyz(primaries)
        self._luminance = to_xyz[1].astype(np.float32)
        self._gamut = (np.linalg.inv(rgb_to_xyz(BT709)) @ to_xyz).astype(np.float32)
        roots = np.linspace(0, 1, CODES)
        self._sdr_of_root = np.round(255 * roots ** (2 / 2.4)).astype(np.uint8)
        self._is_hlg = transfer == HLG
        if self._is_hlg:
            self._scene = hlg_to_scene(signal).astype(np.float32)
            self._light = light_of(HLG_PEAK_NITS * roots**2, peak_nits)
        else:
            self._light = light_of(pq_to_nits(signal), peak_nits)

    def apply(self, red: Array, green: Array, blue: Array) -> Array:
        """Planes of codes, uint16 "H W" each -> uint8 "H W 3"."""
        height, width = red.shape
        mapped = np.empty((height, width, 3), np.uint8)
        rows = max(1, BAND_PIXELS // width)
        for top in range(0, height, rows):
            band = slice(top, top + rows)
            light = self._light_of(red[band], green[band], blue[band])
            for channel, weights in enumerate(self._gamut):
                mixed = weights[0] * light[0] + weights[1] * light[1] + weights[2] * light[2]
                roots = np.sqrt(np.clip(mixed, 0, 1, out=mixed), out=mixed)
                mapped[band, :, channel] = self._sdr_of_root.take(places(roots))
        return mapped

    def _light_of(self, *codes: Array) -> list[Array]:
        """SDR light in [0, 1], float32, in the primaries of the source."""
        if not self._is_hlg:
            return [self._light.take(plane) for plane in codes]
        scene = [self._scene.take(plane) for plane in codes]
        luminance = sum(weight * plane for weight, plane in zip(self._luminance, scene, strict=True))
        gain = luminance ** np.float32(0.2)
        return [self._light.take(places(np.sqrt(plane * gain))) for plane in scene]


def light_of(nits: Array, peak_nits: float) -> Array:
    """SDR light in [0, 1], float32, for light of the HDR display."""
    return (tone_curve(nits, peak_nits) / WHITE_NITS).astype(np.float32)


def places(shares: Array) -> Array:
    """Places in a table of `CODES` entries for values in [0, 1]."""
    rounded: Array = np.minimum(shares * np.float32(CODES - 1) + np.float32(0.5), CODES - 1).astype(np.uint16)
    return rounded
