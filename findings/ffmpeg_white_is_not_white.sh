#!/usr/bin/env bash
# White of a video is 253 in 8-bit RGB from FFmpeg by default, and 65283, 65472 or 65520 in 16-bit RGB, by the source.
#
# In 8 bits, white of limited range becomes 253 with swscale's default flags, which are those of PyAV's
# `frame.to_ndarray(format="rgb24")`; with the flag FULL_CHR_H_INT it becomes 255. In 16 bits, swscale moves bits to the
# left where it should scale: white of limited range becomes 255 << 8 (and a rounding of 3), whatever its depth; that of
# full range becomes 1023 << 6 from 10 bits and 4095 << 4 from 12. The formats rgb48 and gbrp16 have this, and gbrpf32
# too: there, white is 0.996, not 1.
#
# One would guess that white becomes the largest code of the target.
#
# It matters for everyone who continues in 16 bits or float, to keep precision, as for HDR: 0.4 % of a PQ signal is 2 %
# of its light at the level of white paper. The remedy is to divide by the white of the source: 65280 for limited range,
# ((1 << bits) - 1) << (16 - bits) for full range; and FULL_CHR_H_INT in 8 bits.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install -qq --disable-pip-version-check av==18.1.0 numpy==2.4.6

cd "$work"
"$work/venv/bin/python" - <<'PY'
import sys

import av
import numpy as np
from av.video.reformatter import Interpolation

LIMITED, FULL = 1, 2
EXACT = Interpolation.BICUBIC | Interpolation.FULL_CHR_H_INT
SOURCES = (("yuv420p", LIMITED), ("yuv420p10le", LIMITED), ("yuv420p12le", LIMITED),
           ("yuv420p", FULL), ("yuv420p10le", FULL), ("yuv420p12le", FULL), ("gbrp10le", FULL))
TARGETS = ("rgb24", "rgb24, exact", "rgb48le", "gbrp16le", "gbrpf32le")


def white(pixel_format, color_range):
    """A white frame."""
    frame = av.VideoFrame(64, 64, pixel_format)
    bits = frame.format.components[0].bits
    for number, plane in enumerate(frame.planes):
        code = (1 << bits) - 1 if color_range == FULL else 235 << bits - 8
        if number and not frame.format.is_rgb:
            code = 128 << bits - 8
        dtype = np.uint16 if bits > 8 else np.uint8
        plane.update(np.full(plane.buffer_size // np.dtype(dtype).itemsize, code, dtype).tobytes())
    frame.color_range = color_range
    return frame


print("Versions")
print(f"  av {av.__version__} (libswscale {'.'.join(map(str, av.library_versions['libswscale']))})")
print("Expected: white becomes 255, 255, 65535, 65535 and 1.0.")
print("Seen: red of a white picture")
print(f"  {'':24}" + "".join(f"{target:>14}" for target in TARGETS))
seen = {}
for source in SOURCES:
    frame = white(*source)
    for target in TARGETS:
        options = {"interpolation": EXACT} if target != "rgb24" else {}
        picture = frame.reformat(32, 32, target.split(",")[0], dst_color_range=FULL, **options).to_ndarray()
        seen[*source, target] = float(picture[16, 16, 0])
    name = f"{source[0]} {'limited' if source[1] == LIMITED else 'full'}"
    print(f"  {name:24}" + "".join(f"{seen[*source, target]:14.6g}" for target in TARGETS))

changed = []
for (pixel_format, color_range, target), red in seen.items():
    bits = av.VideoFormat(pixel_format).components[0].bits
    wide = 255 << 8 if color_range == LIMITED else ((1 << bits) - 1) << 16 - bits
    quick = 253 if color_range == LIMITED else 255
    wanted = {"rgb24": quick, "rgb24, exact": 255, "gbrpf32le": wide / 65535}.get(target, wide)
    if abs(red - wanted) > {"gbrpf32le": 0.0001, "rgb24": 0, "rgb24, exact": 0}.get(target, 4):
        changed.append(f"{pixel_format} to {target} gives {red:g}")
print("The behaviour has changed: " + "; ".join(changed) if changed else "The behaviour is as described.")
sys.exit(bool(changed))
PY
