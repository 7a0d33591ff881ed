#!/usr/bin/env bash
# PyAV refuses all side data of a photo that has Exif, and with it the orientation, which FFmpeg has read from the Exif.
#
# Since FFmpeg 8.1, the decoders of JPEG, PNG, WebP and TIFF attach two things to a photo with Exif: the Exif itself, as
# a kind of side data that is new (31), and a display matrix made from its orientation. `frame.side_data` of PyAV lists
# the kinds it knows in an enumeration, which ends before this one, and looks up every kind of a frame when it is first
# read. So it raises "31 is not a valid Type", and the display matrix beside it cannot be reached. `frame.rotation`
# still answers, but an angle does not tell a mirrored photo from a turned one: orientation 2 (mirrored) gives the
# same as 3 (upside down), and 7 (mirrored and turned) the same as 8.
#
# One would guess that an unknown kind is left out, or is an unknown kind, and that a program that turns phone videos
# upright by their display matrix does the same for phone photos.
#
# It matters for everyone who reads images, or motion JPEG of cameras that write Exif, with PyAV: the exception comes
# with nearly every photo of a phone or camera, and with no image that a test has drawn. A remedy is to give the
# enumeration a `_missing_`, which returns a new member for an unknown value.
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

ORIENTATION = 0x112


def make_photo(name, orientation):
    """Left half black, right half white, 64x48, with Exif unless `orientation` is None."""
    picture = np.zeros((48, 64, 3), np.uint8)
    picture[:, 32:] = 255
    exif = Image.Exif()
    if orientation is not None:
        exif[ORIENTATION] = orientation
    Image.fromarray(picture).save(name, exif=exif)


def look(name):
    """The kinds of side data or the exception, and the rotation."""
    with av.open(name) as container:
        frame = next(container.decode(video=0))
    try:
        kinds = ", ".join(each.type.name for each in frame.side_data) or "none"
    except ValueError as error:
        kinds = repr(error)
    return kinds, frame.rotation


print("Versions")
print(f"  av {av.__version__} (FFmpeg {av.ffmpeg_version_info})")
print("Expected: the side data of a photo with Exif can be read, and tells all eight orientations apart.")
print("Seen:")
found = {}
for suffix in ("jpg", "png", "webp", "tiff"):
    for orientation in (None, 1, 2, 3, 7, 8):
        if orientation is None and suffix in ("tiff", "webp"):  # as Pillow writes them, they always have Exif
            continue
        make_photo(f"photo.{suffix}", orientation)
        kinds, rotation = found[suffix, orientation] = look(f"photo.{suffix}")
        text = "no Exif      " if orientation is None else f"orientation {orientation}"
        print(f"  {suffix:4} {text}: side data {kinds:40} rotation {rotation}")

changed = []
if any("not a valid Type" not in kinds for (_, orientation), (kinds, _) in found.items() if orientation):
    changed.append("the side data of a photo with Exif can be read")
if any(kinds != "none" for (_, orientation), (kinds, _) in found.items() if orientation is None):
    changed.append("a photo without Exif has side data")
if abs(found["jpg", 2][1]) != abs(found["jpg", 3][1]) or found["jpg", 7][1] != found["jpg", 8][1]:
    changed.append("the rotation tells mirrored photos from others")
print("The behaviour has changed: " + "; ".join(changed) if changed else "The behaviour is as described.")
sys.exit(bool(changed))
PY
