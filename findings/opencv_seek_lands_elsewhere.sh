#!/usr/bin/env bash
# OpenCV's seek to frame n returns another frame if the frame rate varies, and at the start of a transport stream.
#
# VideoCapture.set(CAP_PROP_POS_FRAMES, n) converts n into a time with one frame rate for the whole file. In a video
# whose rate varies (phones, screen recordings, conference calls) it is off by many frames, and near the end it may find
# no frame at all. CAP_PROP_POS_MSEC uses frame numbers too, and is off by almost two seconds here. In Matroska even the
# number of frames is invented: duration times nominal rate. In a transport stream, even of constant rate, a seek does
# not get back to frame 0. Reading from start to end is right in all of them.
#
# One would guess that POS_FRAMES counts frames, and that POS_MSEC, a time, is safe at any rate.
#
# It matters for everyone who samples frames evenly ("16 frames of the clip") or looks up annotated frames by number:
# the wrong pictures come back without an error.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install -qq --disable-pip-version-check opencv-python-headless==5.0.0.93 av==18.1.0 numpy==2.4.6

cd "$work"
export OPENCV_FFMPEG_LOGLEVEL=-8 OPENCV_LOG_LEVEL=ERROR
"$work/venv/bin/python" - <<'PY'
import sys
from fractions import Fraction

import av
import cv2
import numpy as np

FRAMES = 120
ASKED = (0, 20, 40, 60, 80, 100, 119)
ASKED_S = (1, 2, 4)
STRIPES = 8


def make_video(path, steps_ms):
    """Each picture shows its number as stripes, one per bit. Returns the times of all frames in ms."""
    times_ms = np.cumsum([0, *steps_ms])[:FRAMES]
    with av.open(path, "w") as container:
        stream = container.add_stream("libx264", rate=30, options={"g": "12"})
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        stream.time_base = stream.codec_context.time_base = Fraction(1, 1000)
        for number, time_ms in enumerate(times_ms):
            picture = np.zeros((240, 320, 3), np.uint8)
            for stripe in range(STRIPES):
                picture[:, 40 * stripe : 40 * stripe + 40] = 255 * (number >> stripe & 1)
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = int(time_ms), Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return times_ms


def next_number(capture):
    """The number that the next frame shows; None if there is no next frame."""
    is_read, picture = capture.read()
    if not is_read:
        return None
    return sum(int(picture[120, 40 * stripe + 20].mean() > 128) << stripe for stripe in range(STRIPES))


def after_seek(capture, which, place):
    capture.set(which, place)
    return next_number(capture)


print("Versions")
print(f"  opencv {cv2.__version__}\n  av {av.__version__} (to make the videos)")
print(f"Expected: {FRAMES} frames; frame n for n; for a time the frame that is shown at that time, plus or minus one.")
print("Seen:")
constant, varying = [40] * FRAMES, [33] * 60 + [100] * 60
seen = {}
for name, path, steps_ms in (
    ("constant rate, MP4", "constant.mp4", constant),
    ("30 then 10 frames/s, MP4", "varying.mp4", varying),
    ("30 then 10 frames/s, Matroska", "varying.mkv", varying),
    ("constant rate, MPEG-TS", "constant.ts", constant),
):
    times_ms = make_video(path, steps_ms)
    capture = cv2.VideoCapture(path)
    count = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
    in_order = [next_number(capture) for _ in range(FRAMES)] == list(range(FRAMES))
    capture = cv2.VideoCapture(path)
    numbers = [after_seek(capture, cv2.CAP_PROP_POS_FRAMES, number) for number in ASKED]
    shown = [int(np.searchsorted(times_ms, 1000 * asked_s, "right")) - 1 for asked_s in ASKED_S]
    at_times = [after_seek(capture, cv2.CAP_PROP_POS_MSEC, 1000 * asked_s) for asked_s in ASKED_S]
    seen[name] = (count, in_order, numbers, [a is not None and abs(a - b) <= 1 for a, b in zip(at_times, shown)])
    print(f"  {name}: reports {count} frames; read in order, {'all right' if in_order else 'wrong'}")
    print(f"    frames {list(ASKED)} -> {numbers}")
    print(f"    at {', '.join(map(str, ASKED_S))} s frames {shown} -> {at_times}")

changed = []
if any(not in_order for _, in_order, _, _ in seen.values()):
    changed.append("reading in order is wrong")
if seen["constant rate, MP4"] != (FRAMES, True, list(ASKED), [True] * 3):
    changed.append("MP4 of constant rate is wrong")
for name in list(seen)[1:]:
    if seen[name][2] == list(ASKED):
        changed.append(f"{name}: all frames are found")
for name in list(seen)[1:3]:
    if all(seen[name][3]):
        changed.append(f"{name}: all times are found")
if seen["30 then 10 frames/s, Matroska"][0] == FRAMES:
    changed.append("the number of frames of a Matroska file is right")
print("The behaviour has changed: " + "; ".join(changed) if changed else "The behaviour is as described.")
sys.exit(bool(changed))
PY
