#!/usr/bin/env bash
# Reading `frame.side_data` in PyAV keeps every decoded picture in memory until the cyclic garbage collector runs.
#
# `frame.side_data` creates a container that refers to the frame, and the frame keeps the container. This is a reference
# cycle, so the frame is not freed with its last reference, but when Python's cyclic collector next runs. The collector
# counts objects, not bytes: a 720p picture of 1.4 MB is one small object to it. `frame.rotation`, which is computed
# from the same side data, makes no cycle.
#
# One would guess that reading an attribute changes nothing, and that a loop over `container.decode` keeps one picture
# at a time.
#
# It matters for everyone who reads the display matrix (the rotation of phone videos), motion vectors or captions of
# each frame: a decoder of 80 MB needs 200, more at higher resolution, and with `gc.disable()` around a hot loop it
# grows until memory runs out. The remedy is to read the side data once, or only when it can change.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install -qq --disable-pip-version-check av==18.1.0 numpy==2.4.6

cd "$work"
"$work/venv/bin/python" - <<'PY'
import subprocess
import sys

import av
import numpy as np

FRAMES = 200

CHILD = """
import gc, resource, sys
import av

look, collector = sys.argv[1:]
if collector == "off":
    gc.disable()
with av.open("made.mp4") as container:
    for frame in container.decode(video=0):
        if look == "side_data":
            frame.side_data
        elif look == "rotation":
            frame.rotation
del frame, container
kept = sum(isinstance(each, av.VideoFrame) for each in gc.get_objects())
print(kept, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


def make_video():
    """A white bar that moves over grey, 1280x720, H.264."""
    with av.open("made.mp4", "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = 1280, 720, "yuv420p"
        for number in range(FRAMES):
            picture = np.full((720, 1280, 3), 90, np.uint8)
            picture[:, 6 * number : 6 * number + 60] = 255
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())


print("Versions")
print(f"  av {av.__version__} (libavcodec {'.'.join(map(str, av.library_versions['libavcodec']))})")
print(f"Expected: after a loop over {FRAMES} frames none is alive, whatever attribute was read.")
print("Seen:")
make_video()
kept, peak = {}, {}
for case in (("nothing", "on"), ("rotation", "off"), ("side_data", "on"), ("side_data", "off")):
    child = subprocess.run([sys.executable, "-c", CHILD, *case], capture_output=True, text=True, check=True)
    kept[case], peak[case] = map(int, child.stdout.split())
    print(f"  reads {case[0]:9} collector {case[1]:3}: {kept[case]:3} frames alive, peak {peak[case]:3} MB")

changed = []
if kept["nothing", "on"] or kept["rotation", "off"]:
    changed.append("frames stay alive although no side data is read")
if kept["side_data", "off"] != FRAMES:
    changed.append("frames whose side data was read are freed without the cyclic collector")
if peak["side_data", "on"] < peak["nothing", "on"] + 50:
    changed.append("reading side data costs no memory")
print("The behaviour has changed: " + "; ".join(changed) if changed else "The behaviour is as described.")
sys.exit(bool(changed))
PY
