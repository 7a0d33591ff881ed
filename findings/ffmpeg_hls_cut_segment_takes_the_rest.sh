#!/usr/bin/env bash
# One HLS segment of fragmented MP4 that was cut off costs all segments after it, and no error says so.
#
# FFmpeg reads an HLS source as one stream: it joins the bytes of all segments. A segment of fragmented MP4 says how long
# it is, so if its file ends early, the reader takes the bytes of the next segments for the rest of it, and finds no
# further segment. Demuxing then ends like that of a whole file. The pictures of the cut segment are made of bytes of the
# others; their decode errors are the only ones. After a seek to the next segment, everything is read. With MPEG-TS, only
# the cut part is lost.
#
# One would guess that a damaged segment costs that segment, whatever the format: segments are made to be read alone.
#
# It matters for everyone who reads recordings of live streams, in which a segment is cut when the recorder, the network or
# the disk failed: the rest of the recording seems not to exist, and `duration` still has its full length. A
# missing or empty segment is passed over in the same silence, but the times of what follows are right.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install -qq --disable-pip-version-check av==18.1.0 numpy==2.4.6

cd "$work"
"$work/venv/bin/python" - <<'PY'
import sys
from pathlib import Path

import av
import numpy as np

SECONDS, RATE_HZ = 12, 25
WHOLE = SECONDS * RATE_HZ


def write(folder, segment_type):
    """A recorded playlist with six segments of two seconds."""
    folder.mkdir()
    options = {"hls_time": "2", "hls_list_size": "0", "hls_segment_type": segment_type}
    with av.open(str(folder / "film.m3u8"), "w", format="hls", options=options) as container:
        stream = container.add_stream("libx264", rate=RATE_HZ, options={"g": "50", "bf": "0", "sc_threshold": "0"})
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        noise = np.random.default_rng(1).integers(0, 255, (240, 640, 3), np.uint8)
        for number in range(WHOLE):
            picture = np.ascontiguousarray(noise[:, number : number + 320])
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())


def read(path):
    """Number of pictures, when the last one is shown, errors; and the number after a seek to 6 s."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        counts, errors, last = [0, 0], 0, 0.0
        for run in (0, 1):
            for packet in container.demux(stream):
                try:
                    frames = packet.decode()
                except av.error.FFmpegError:
                    errors += 1
                    continue
                counts[run] += len(frames)
                if frames and run == 0:
                    last = frames[-1].time - container.start_time / 1e6
            if run == 0:
                container.seek(container.start_time + 6_050_000)
        return counts[0], last, errors, counts[1], container.duration / 1e6


print("Versions")
print(f"  av {av.__version__} (libavformat {'.'.join(map(str, av.library_versions['libavformat']))})")
print(f"Expected: of {WHOLE} pictures, at most the 50 of the third segment are lost.")
print("Seen:")
seen = {}
for segment_type, suffix in (("mpegts", "ts"), ("fmp4", "m4s")):
    folder = Path(segment_type)
    write(folder, segment_type)
    third = folder / f"film2.{suffix}"
    for state in ("whole", "cut", "empty"):
        if state == "cut":
            third.write_bytes(third.read_bytes()[: third.stat().st_size // 2])
        elif state == "empty":
            third.write_bytes(b"")
        count, last, errors, after, duration = seen[segment_type, state] = read(folder / "film.m3u8")
        print(
            f"  {segment_type:6} {state:5}: {count} pictures, the last at {last:5.2f} s of {duration:g} s, "
            f"{errors} errors; after a seek to 6 s: {after}"
        )

changed = []
if seen["fmp4", "cut"][0] > WHOLE // 2 or seen["fmp4", "cut"][1] > 6.5:
    changed.append("fragmented MP4 is read beyond the cut segment")
if seen["fmp4", "cut"][3] != WHOLE // 2:
    changed.append("a seek does not lead to the segments after the cut one")
if seen["mpegts", "cut"][1] < 11.5 or seen["mpegts", "cut"][0] < WHOLE - 50:
    changed.append("MPEG-TS loses more than the cut segment")
if seen["fmp4", "empty"][0] != WHOLE - 50 or seen["fmp4", "empty"][2]:
    changed.append("an empty segment is no longer passed over in silence")
print("The behaviour has changed: " + "; ".join(changed) if changed else "The behaviour is as described.")
sys.exit(bool(changed))
PY
