#!/usr/bin/env bash
# FFmpeg reads other files than the one it is given if the name of an image has %d in it: all numbered files beside it.
#
# The demuxer of images takes a name with %d or %03d for a pattern, also if a file of exactly this name exists. It reads
# the numbered files that fit, as a video of 25 pictures per second, and the file itself never. If none fits, the file
# itself is opened, as if nothing were special about its name.
#
# One would guess that an existing file is opened, as it is for any other kind of media.
#
# It matters for everyone who opens images whose names come from elsewhere, such as uploads or exports in which a
# template was left (IMG_%04d.jpg): the wrong pictures are read without an error, and their content reaches whoever
# may name a file. The remedy is the option `pattern_type=none`.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install -qq --disable-pip-version-check av==18.1.0 numpy==2.4.6 pillow==13.0.0

cd "$work"
"$work/venv/bin/python" - <<'PY'
import sys

import av
import numpy as np
from PIL import Image


def make_image(name, grey):
    Image.fromarray(np.full((32, 32, 3), grey, np.uint8)).save(name)


def greys(name, **options):
    """The grey of each picture that is decoded."""
    with av.open(name, options=options) as container:
        return [round(float(frame.to_ndarray(format="gray").mean())) for frame in container.decode(video=0)]


print("Versions")
print(f"  av {av.__version__} (FFmpeg {av.ffmpeg_version_info})")
print("Expected: IMG_%03d.EXT, which exists and is white, is opened: one white picture.")
print("Seen:")
seen = {}
for suffix in ("jpg", "png", "webp", "bmp"):
    name = f"IMG_%03d.{suffix}"
    make_image(name, 255)
    alone = greys(name)
    for number, grey in ((1, 60), (2, 120)):
        make_image(f"IMG_{number:03}.{suffix}", grey)
    seen[suffix] = alone, greys(name), greys(name, pattern_type="none")
    print(f"  {suffix:4}: greys {alone} alone, {seen[suffix][1]} beside 001 and 002, {seen[suffix][2]} with the option")

changed = []
if any(len(beside) != 2 or max(beside) > 200 for _, beside, _ in seen.values()):
    changed.append("the file itself is read")
if any(len(alone) != 1 or alone[0] < 200 for alone, _, _ in seen.values()):
    changed.append("the file is not read if it is alone")
if any(len(plain) != 1 or plain[0] < 200 for _, _, plain in seen.values()):
    changed.append("pattern_type=none does not help")
print("The behaviour has changed: " + "; ".join(changed) if changed else "The behaviour is as described.")
sys.exit(bool(changed))
PY
