#!/usr/bin/env bash
# A transport stream may change its programme table under way: after an advert, a broadcaster's picture and sound go on
# under other PIDs. FFmpeg then adds streams to the open container. One would expect PyAV's `demux()` to yield their
# packets, or to say that it cannot. It passes over every one of them without a word. Only after the last packet, where all
# decoders are to be flushed, does `demux()` end with an IndexError, as there are more streams than `container.streams` has;
# so it does if streams are named in the call. FFmpeg reads the first 5 MB and the end of a file before it opens it, so a short test file
# shows all its streams at once, and the loss appears only with real recordings.
#
# Why it matters: half an evening's recording can be missing from the results of a program that reads every packet it is
# given. A reader has to notice by itself that many bytes went by without a packet, and open the file again there.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install -qq --disable-pip-version-check av==18.1.0 numpy==2.4.6

cd "$work"
cat > show.py <<'PY'
import sys
from collections import Counter
from fractions import Fraction

import av
import numpy as np


def part(name, pid, begin):
    """Four seconds of noise, about 4 MB, as MPEG-2 video on one PID."""
    random = np.random.default_rng(pid)
    options = {"mpegts_start_pid": str(pid), "output_ts_offset": str(begin)}
    with av.open(name, "w", format="mpegts", options=options) as container:
        stream = container.add_stream("mpeg2video", rate=25, options={"qscale": "2"})
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        for number in range(100):
            picture = random.integers(0, 255, (240, 320, 3), np.uint8)
            frame = av.VideoFrame.from_ndarray(picture).reformat(format="yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with open(name, "rb") as file:
        return file.read()


usual, other = (256, 512)
data = [part("a.ts", usual, 0), part("b.ts", usual, 4), part("c.ts", other, 8), part("d.ts", usual, 12), part("e.ts", usual, 16)]
with open("evening.ts", "wb") as file:
    file.write(b"".join(data))
print("av", av.__version__, "FFmpeg", av.ffmpeg_version_info)
print("five parts of 100 pictures,", sum(map(len, data)) // 1_000_000, "MB; the third is on PID", other)


def read(names_streams):
    found, ended = Counter(), "normally"
    with av.open("evening.ts") as container:
        known = [stream.id for stream in container.streams]
        try:
            for packet in container.demux(*(container.streams if names_streams else ())):
                if packet.size:
                    found[packet.stream.id] += 1
        except IndexError as error:
            ended = f"with IndexError: {error}"
    return known, dict(found), ended


plain, named = read(False), read(True)
print("streams at open:", plain[0])
print("demux():            packets by PID", plain[1], "and it ends", plain[2])
print("demux(all streams): packets by PID", named[1], "and it ends", named[2])
print("expected: 500 packets, or an error where the third part begins")
is_as_described = (
    plain[0] == [usual]
    and other not in plain[1]
    and 395 <= plain[1][usual] <= 400
    and "IndexError" in plain[2]
    and named == plain
)
print("as described" if is_as_described else "CHANGED")
sys.exit(0 if is_as_described else 1)
PY
venv/bin/python show.py
