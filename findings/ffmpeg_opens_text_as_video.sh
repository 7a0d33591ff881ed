#!/usr/bin/env bash
# FFmpeg opens a plain text file as a video: a terminal in which the text is typed.
#
# A file of ordinary prose named .txt, .nfo or .diz has a video stream (codec "ansi", 640x400, 25 frames/s), a duration
# and frames that decode without an error. With another extension (.md, .log) the same text is refused.
#
# One would guess that "it opens, it has a video stream, and a frame can be decoded" proves that a file is a video.
#
# It matters for every upload check and every crawler that feeds a folder to a pipeline: readme files and licences are
# labelled, indexed and trained on as grey-on-black video. Refuse the text codecs (ansi, bintext, xbin, idf) by name.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install -qq --disable-pip-version-check av==18.1.0 opencv-python-headless==5.0.0.93 numpy==2.4.6

cd "$work"
export OPENCV_FFMPEG_LOGLEVEL=-8 OPENCV_LOG_LEVEL=ERROR
"$work/venv/bin/python" - <<'PY'
import sys
from pathlib import Path

import av
import cv2

TEXT = "Notes of the meeting\n\n" + "".join(f"{number}. Nobody has anything to add.\n" for number in range(1, 41))
ENDINGS = (".txt", ".nfo", ".diz", ".md", ".log", "")


def with_av(path):
    """The first video stream's codec, the frames that decode, and their size; None if the file is refused."""
    try:
        with av.open(path) as container:
            if not container.streams.video:
                return None
            codec = container.streams.video[0].codec_context.name
            frames = [(frame.width, frame.height) for frame in container.decode(video=0)]
            return codec, len(frames), frames[0]
    except av.error.FFmpegError:
        return None


print("Versions")
print(f"  av {av.__version__} (libavformat {'.'.join(map(str, av.library_versions['libavformat']))})")
print(f"  opencv {cv2.__version__}")
print("Expected: a text file is not a video.")
print("Seen:")
opened, by_cv = {}, {}
for ending in ENDINGS:
    path = f"notes{ending}"
    Path(path).write_text(TEXT)
    opened[ending] = with_av(path)
    by_cv[ending] = cv2.VideoCapture(path, cv2.CAP_FFMPEG).read()[0]
    shown = "refused"
    if opened[ending]:
        codec, frames, (width, height) = opened[ending]
        shown = f"codec {codec}, {frames} frames of {width}x{height}"
    print(f"  {path:10} PyAV: {shown:36} OpenCV: {'reads a frame' if by_cv[ending] else 'refused'}")

changed = []
for ending in ENDINGS:
    is_video = ending in (".txt", ".nfo", ".diz")
    if bool(opened[ending]) != is_video or (is_video and opened[ending][0] != "ansi"):
        changed.append(f"notes{ending}: {opened[ending] or 'refused'}")
print("The behaviour has changed: " + "; ".join(changed) if changed else "The behaviour is as described.")
sys.exit(bool(changed))
PY
