#!/usr/bin/env bash
# FFmpeg's scaler takes grey pictures for full range, even if they are tagged as limited range.
#
# A monochrome HEVC video has limited range unless it says otherwise, so black is 16 and white is 235 of 255. FFmpeg
# decodes it to the pixel format `gray` (or `gray10le`, `gray12le`) and tags the frames as limited. Converted to RGB,
# black is still 16 and white 235: swscale ignores the tag of grey formats. The same greys in a format with chroma,
# yuv420p, become 0 and 255.
#
# One would guess that the range tag of a frame decides, whatever its format, or that a format without chroma is
# converted like the luma of one with chroma.
#
# It matters for thermal and night-vision cameras and for scanned black-and-white film: pictures are washed out, by up
# to 20 levels at both ends, in whatever is built on FFmpeg's conversion to RGB. The remedy is to stretch 16..235 to
# 0..255 in frames whose format begins with "gray" and whose `color_range` is 1 (limited), from more than 8 bits.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install -qq --disable-pip-version-check av==18.1.0 numpy==2.4.6

cd "$work"
"$work/venv/bin/python" - <<'PY'
import sys
from fractions import Fraction

import av
import numpy as np
from av.video.reformatter import Interpolation

LEVELS = (16, 64, 126, 192, 235)  # 8-bit codes of limited range: black, three greys, white
EXPECTED = [round((level - 16) * 255 / 219) for level in LEVELS]
LIMITED = 1
EXACT = Interpolation.BICUBIC | Interpolation.FULL_CHR_H_INT


def patches(pixel_format):
    """A frame of one stripe of 32 pixels per level."""
    frame = av.VideoFrame(32 * len(LEVELS), 64, pixel_format)
    shift = frame.format.components[0].bits - 8
    dtype = np.uint16 if shift else np.uint8
    for number, plane in enumerate(frame.planes):
        samples = np.full((plane.height, plane.line_size // np.dtype(dtype).itemsize), 128 << shift, dtype)
        if number == 0:
            samples[:, : plane.width] = np.repeat(np.array(LEVELS, dtype) << shift, 32)
        plane.update(samples.tobytes())
    frame.color_range = LIMITED
    return frame


def read_back(pixel_format):
    """(format and range as decoded, levels in RGB) of a lossless HEVC video."""
    source = patches(pixel_format)
    params = "lossless=1:log-level=none"
    with av.open("made.mp4", "w") as container:
        stream = container.add_stream("libx265", rate=25, options={"x265-params": params})
        stream.width, stream.height, stream.pix_fmt = source.width, source.height, pixel_format
        stream.codec_context.color_range = LIMITED
        for number in range(3):
            source.pts, source.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(source))
        container.mux(stream.encode())
    with av.open("made.mp4") as container:
        frame = next(container.decode(video=0))
        rgb = frame.reformat(format="rgb24", dst_color_range=2, interpolation=EXACT).to_ndarray()
    return frame.format.name, int(frame.color_range), rgb[32, 16::32, 0].tolist()


print("Versions")
print(f"  av {av.__version__} (libswscale {'.'.join(map(str, av.library_versions['libswscale']))})")
print(f"Expected: levels {list(LEVELS)} of limited range become {EXPECTED} in RGB, in every format.")
print(f"Seen: color_range {LIMITED} is limited")
seen = {}
for pixel_format in ("yuv420p", "yuv420p10le", "gray", "gray10le", "gray12le"):
    name, color_range, seen[pixel_format] = read_back(pixel_format)
    print(f"  {name:12} color_range {color_range}: {seen[pixel_format]}")

changed = []
for pixel_format, levels in seen.items():
    wanted = LEVELS if pixel_format.startswith("gray") else EXPECTED
    if max(abs(one - other) for one, other in zip(levels, wanted)) > 1:
        changed.append(f"{pixel_format} gives {levels}")
print("The behaviour has changed: " + "; ".join(changed) if changed else "The behaviour is as described.")
sys.exit(bool(changed))
PY
