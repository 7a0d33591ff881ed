#!/usr/bin/env bash
# PyAV's `dst_color_trc` converts the light of the picture, although its documentation says that it only sets a tag.
#
# `frame.reformat(dst_color_trc=...)` "sets frame metadata only; it does not perform a pixel-level transfer function
# conversion", as of PyAV 18.1. But swscale's newer interface, which PyAV uses since 17, looks at the tags of both
# pictures and converts from one transfer function to the other. A PQ picture sent to BT.709 has other pixels with it
# than without: an 18 % grey card becomes 108 instead of 97. The conversion has no tone curve in this case: HDR
# reference white (203 nits) and all brighter light become the same white.
#
# One would guess, from the documentation, that the tag is harmless, or, from the pixels, that HDR is tone-mapped.
#
# It matters for HDR: who sets the tag of the target to be tidy gets clipped highlights, who leaves it out gets the flat
# grey of an HDR signal shown as SDR, and who tone-maps afterwards and sets the tag at once converts twice.
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
from av.video.reformatter import ColorTrc, Interpolation, VideoReformatter

SIGNALS = (0.0, 0.2, 0.38, 0.58, 0.65, 0.75, 0.85)  # of PQ: 0, 2.4, 26, 202, 391, 983 and 2,539 nits

frame = av.VideoFrame(32 * len(SIGNALS), 64, "yuv420p10le")
for number, plane in enumerate(frame.planes):
    samples = np.full((plane.height, plane.line_size // 2), 512, np.uint16)
    if number == 0:
        samples[:, : plane.width] = np.repeat([round(64 + 876 * signal) for signal in SIGNALS], 32)
    plane.update(samples.tobytes())
frame.color_trc, frame.color_primaries, frame.colorspace, frame.color_range = 16, 9, 9, 1  # PQ, BT.2020, limited


def greys(**tags):
    exact = Interpolation.BICUBIC | Interpolation.FULL_CHR_H_INT
    picture = frame.reformat(format="rgb24", dst_color_range=2, interpolation=exact, **tags)
    return picture.to_ndarray()[32, 16::32, 1].tolist(), int(picture.color_trc)


documented = "metadata only" in " ".join((VideoReformatter.reformat.__doc__ or "").split())
print("Versions")
print(f"  av {av.__version__} (libswscale {'.'.join(map(str, av.library_versions['libswscale']))})")
print("Expected: the same pixels with and without the tag, as documented.")
print(f"  the documentation says \"metadata only\": {documented}")
print(f"Seen: grey levels for PQ signals {list(SIGNALS)}")
plain, plain_tag = greys()
tagged, tagged_tag = greys(dst_color_trc=ColorTrc.BT709)
print(f"  without the tag    {plain} (color_trc {plain_tag})")
print(f"  with dst_color_trc {tagged} (color_trc {tagged_tag})")

changed = []
if not documented:
    changed.append("the documentation says something else")
if max(abs(one - 255 * signal) for one, signal in zip(plain, SIGNALS)) > 1.5:
    changed.append("without the tag, the picture is not the signal")
if abs(tagged[2] - plain[2]) < 5:
    changed.append("the tag leaves the pixels alone")
if min(tagged[3:]) < 252:
    changed.append("the highlights are not clipped")
print("The behaviour has changed: " + "; ".join(changed) if changed else "The behaviour is as described.")
sys.exit(bool(changed))
PY
