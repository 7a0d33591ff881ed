"""Videos of flat patches side by side, whose stored codes a test chooses."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from tests.media import default_options
from tests.stages.decode.reading import read

PATCH_PX = 32
LOSSLESS = {
    "libx265": {"x265-params": "lossless=1:log-level=none:pools=none:frame-threads=1", "preset": "ultrafast"},
    "libx264": {"qp": "0", "preset": "ultrafast"},
    "mjpeg": {"qscale": "1", "flags": "+qscale"},
    "prores_ks": {"profile": "4444", "qscale": "1"},
}


def patch_frame(pixel_format: str, codes: Sequence[Sequence[float]], height: int = 64) -> Any:
    """A frame of one vertical stripe per entry of `codes`, which has a code for each component in FFmpeg's order."""
    frame = av.VideoFrame(PATCH_PX * len(codes), height, pixel_format)
    components = frame.format.components
    dtype = np.uint16 if components[0].bits > 8 else np.uint8
    for number, plane in enumerate(frame.planes[: len(components)]):
        packed = len(components) if len(frame.planes) == 1 else 1
        columns = np.repeat(np.array([patch[number : number + packed] for patch in codes]).round(), PATCH_PX, axis=0)
        row = columns[:: frame.width // plane.width].astype(dtype).ravel()
        samples = np.zeros((plane.height, plane.line_size // np.dtype(dtype).itemsize), dtype)
        samples[:, : len(row)] = row
        plane.update(samples.tobytes())
    return frame


def make_patches(path: Path, codec: str, frame: Any, tags: dict[str, int], **options: str) -> Path:
    """A second of `frame`, encoded without loss where the codec can. `tags` are attributes of frame and encoder."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=5, options=default_options(codec) | LOSSLESS.get(codec, {}) | options)
        stream.width, stream.height, stream.pix_fmt = frame.width, frame.height, frame.format.name
        for name, value in tags.items():
            setattr(stream.codec_context, name, value)
            setattr(frame, name, value)
        for number in range(5):
            frame.pts, frame.time_base = number, Fraction(1, 5)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def read_patches(path: Path, **options: Any) -> NDArray[np.int64]:
    """Colours of the patches in the last frame, as the default reader gives them: "N 3"."""
    frame = read(path, short_side_px=4096, long_side_px=4096, **options).clips[0].arrays["frames"][-1]
    return frame[len(frame) // 2, PATCH_PX // 2 :: PATCH_PX].astype(np.int64)


def grey_codes(levels: Sequence[float], bits: int, *, full: bool) -> list[list[float]]:
    """Y, Cb, Cr of greys in [0, 1]."""
    return yuv_codes([(level,) * 3 for level in levels], bits, full=full, kr=0.2126, kb=0.0722)


def yuv_codes(colours: Sequence[Sequence[float]], bits: int, *, full: bool, kr: float, kb: float) -> list[list[float]]:
    """Y, Cb, Cr of R'G'B' in [0, 1], as BT.601, BT.709 and BT.2100 quantise them."""
    step, top, codes = 2 ** (bits - 8), 2**bits - 1, []
    for r, g, b in colours:
        y = kr * r + (1 - kr - kb) * g + kb * b
        cb, cr = (b - y) / 2 / (1 - kb), (r - y) / 2 / (1 - kr)
        if full:
            codes.append([top * y, top * cb + 128 * step, top * cr + 128 * step])
        else:
            codes.append([step * (16 + 219 * y), step * (128 + 224 * cb), step * (128 + 224 * cr)])
    return codes
