"""HEVC with alpha, as a bitstream of two layers, made of two intra-only streams that share their parameter sets.

The second stream gets `nuh_layer_id` 1, and the video parameter set (VPS) gets the extension that declares the layer as
alpha: ITU-T H.265 sections 7.3.2.1 and F.7.3.2.1.
"""

import re
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

VPS, FIRST_NON_SLICE = 32, 32
START = b"\0\0\0\1"
LEVEL_BITS = 8
PTL_BITS = 88 + LEVEL_BITS
"""Profile, tier and level."""
PARAMS = "lossless=1:keyint=1:log-level=none:info=0:repeat-headers=1:annexb=1:pools=none:frame-threads=1"


def write_hevc_with_alpha(path: Path, picture: Any, alpha: Any, count: int) -> Path:
    """`count` times the yuv420p frame `picture`, with the luma of `alpha` as alpha: a bare stream (.hevc)."""
    alphas = [unit for unit in units(alpha, count) if kind(unit) < FIRST_NON_SLICE]
    written = b""
    for unit in units(picture, count):
        written += START + (declaring_alpha(unit, picture.width, picture.height) if kind(unit) == VPS else unit)
        if kind(unit) < FIRST_NON_SLICE:
            layer = alphas.pop(0)
            written += START + bytes([layer[0], layer[1] | 1 << 3]) + layer[2:]
    path.write_bytes(written)
    return path


def units(frame: Any, count: int) -> list[bytes]:
    """NAL units of a stream that repeats a frame."""
    context: Any = av.CodecContext.create("libx265", "w")
    context.width, context.height, context.pix_fmt = frame.width, frame.height, "yuv420p"
    context.framerate, context.time_base = Fraction(25), Fraction(1, 25)
    context.options = {"preset": "ultrafast", "x265-params": PARAMS}
    stream = b""
    for number in range(count):
        frame.pts, frame.time_base = number, Fraction(1, 25)
        stream += b"".join(bytes(packet) for packet in context.encode(frame))
    stream += b"".join(bytes(packet) for packet in context.encode(None))
    return [unit for unit in re.split(rb"\x00\x00\x00?\x01", stream) if unit]


def kind(unit: bytes) -> int:
    return unit[0] >> 1 & 63


def declaring_alpha(vps: bytes, width: int, height: int) -> bytes:
    """A VPS with the profile of `vps` for two layers, of which the second is alpha and does not depend on the first."""
    plain = "".join(f"{byte:08b}" for byte in vps[2:].replace(b"\0\0\3", b"\0\0"))
    profile = plain[32 : 32 + PTL_BITS]
    buffering = golomb(4) + golomb(0) + golomb(0)
    bits = "0000" + "11" + f"{1:06b}" + "000" + "1" + "1" * 16 + profile + "1" + buffering
    bits += f"{1:06b}" + golomb(1) + "11" + "0" + "1"  # two layer sets, the second of both layers; an extension
    bits += "1" * (-len(bits) % 8)
    bits += profile[-LEVEL_BITS:]
    bits += "0" + f"{1 << 12:016b}" + "000" + "0" + "1"  # scalability is auxiliary, and the second layer is alpha
    bits += "0000" + "0" + golomb(0)  # no views, no dependency
    bits += "000" + golomb(1) + golomb(0) + "00" + "01"  # profiles of the layers in the second set
    bits += golomb(0) + f"{width:016b}{height:016b}" + "1" + "01" + "0000" * 2 + "0"
    bits += "101"  # no order counts in the slices of the second layer
    bits += "0" + golomb(4) * 2 + golomb(0) * 2 + golomb(0) + "0" + golomb(0) + "0" + "0"
    bits += "1"
    bits += "0" * (-len(bits) % 8)
    return vps[:2] + escaped(int(bits, 2).to_bytes(len(bits) // 8, "big"))


def golomb(value: int) -> str:
    """Exp-Golomb code, ue(v)."""
    digits = f"{value + 1:b}"
    return "0" * (len(digits) - 1) + digits


def escaped(payload: bytes) -> bytes:
    """With emulation prevention."""
    return re.sub(rb"\x00\x00(?=[\x00-\x03])", b"\0\0\3", payload)
