#!/usr/bin/env bash
# decord returns other frames than requested, without an error: with open GOPs, in AVI, and in MPEG transport streams.
#
# decord.VideoReader(path)[n] seeks to the key frame before n and counts decoded frames from there. With open GOPs,
# which are x265's default, pictures just before a key frame in display order come after it in the file. After a seek
# they cannot be decoded, so decord's count is off by their number. In AVI, which stores no times for reordered
# pictures, nearly all frames are off after a seek. In a transport stream even reading from 0 upwards in a new reader
# starts a group of pictures too late, because opening the file builds an index and then seeks back.
#
# One would guess that random access is exact, since decord builds an index of all frames and promises accurate seeks,
# and that a wrong frame would cause an error or at least a gap in time.
#
# It matters for training and evaluation on video: decord is common in video data loaders, samples are random, and the
# wrong frames look like right ones. Reading 0, 1, 2 and so on from a new reader is right in MP4 and AVI, and decoding
# from start to end with FFmpeg itself is right in all of these files.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install -qq --disable-pip-version-check decord==0.6.0 av==18.1.0 numpy==2.4.6

cd "$work"
"$work/venv/bin/python" - 2>errors <<'PY' || { status=$?; tail -n 20 errors >&2; exit "$status"; }
import sys

import av
import decord
import numpy as np

FRAMES = 120
STRIPES = 8


def make_video(path, codec, options):
    """Each picture shows its number as stripes, one per bit; a key frame every 15."""
    with av.open(path, "w") as container:
        stream = container.add_stream(codec, rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        for number in range(FRAMES):
            picture = np.zeros((240, 320, 3), np.uint8)
            for stripe in range(STRIPES):
                picture[:, 40 * stripe : 40 * stripe + 40] = 255 * (number >> stripe & 1)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())


def shown_number(picture):
    return sum(int(picture[120, 40 * stripe + 20].mean() > 128) << stripe for stripe in range(STRIPES))


def in_order_by_av(path):
    with av.open(path) as container:
        return [shown_number(frame.to_ndarray(format="rgb24")) for frame in container.decode(video=0)]


def wrong_by_decord(path, order):
    """The frames that show another number than their own, with that number."""
    reader = decord.VideoReader(path)
    shown = {int(number): shown_number(reader[int(number)].asnumpy()) for number in order}
    return {number: shown[number] for number in sorted(shown) if shown[number] != number}


print("Versions")
print(f"  decord {decord.__version__}\n  av {av.__version__} (to make the videos)")
print(f"Expected: each of the {FRAMES} frames shows its own number, in whatever order they are read.")
print("Seen:")
CLOSED = {"g": "15", "bf": "3", "sc_threshold": "0"}
wrong = {}
changed = []
for name, path, codec, options in (
    ("H.264 in MP4, closed GOPs", "closed.mp4", "libx264", CLOSED),
    ("H.264 in MP4, open GOPs", "open.mp4", "libx264", CLOSED | {"x264-params": "open-gop=1"}),
    ("HEVC in MP4, x265 as it comes", "hevc.mp4", "libx265", {"x265-params": "keyint=15:min-keyint=15:log-level=none"}),
    ("MPEG-4 in AVI, B-frames", "mpeg4.avi", "mpeg4", {"g": "15", "bf": "2"}),
    ("H.264 in MPEG-TS, closed GOPs", "closed.ts", "libx264", CLOSED),
):
    make_video(path, codec, options)
    if in_order_by_av(path) != list(range(FRAMES)):
        changed.append(f"{name}: the video was not made as it should be")
    forward = wrong_by_decord(path, range(FRAMES))
    at_random = wrong_by_decord(path, np.random.default_rng(0).permutation(FRAMES))
    wrong[path] = (len(forward), len(at_random))
    first = ", ".join(f"{number} -> {shown}" for number, shown in list(at_random.items())[:4])
    print(f"  {name:31} wrong in order {len(forward):3}, at random {len(at_random):3}  {first}".rstrip())

if wrong["closed.mp4"] != (0, 0):
    changed.append("closed GOPs in MP4 are wrong")
for path in ("open.mp4", "hevc.mp4", "mpeg4.avi"):
    if wrong[path][0] or not wrong[path][1]:
        changed.append(f"{path}: {wrong[path][0]} wrong in order, {wrong[path][1]} at random")
if not wrong["closed.ts"][0]:
    changed.append("MPEG-TS is right in order")
print("The behaviour has changed: " + "; ".join(changed) if changed else "The behaviour is as described.")
sys.exit(bool(changed))
PY
