#!/usr/bin/env bash
# FFmpeg invents the times of motion JPEG over HTTP: 25 frames per second, at any frame rate of the camera.
#
# Network cameras and microcontrollers send motion JPEG as one endless multipart HTTP response. It contains no times.
# FFmpeg numbers the pictures at 25 per second: 5 seconds of a camera at 5 frames per second become 1 second of video.
# Nothing distinguishes it from a stream with real times: pts, time base and durations are present. With the option
# use_wallclock_as_timestamps=1 the times are those of arrival.
#
# One would guess that the pts of a live stream follow the clock, at least on average.
#
# It matters for recordings and for everything that is computed per second: clips of two seconds last ten, speeds and
# sampling are off by the same factor, sound from another source drifts away, and a lag cannot be detected, because the
# times fall behind by themselves.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install -qq --disable-pip-version-check av==18.1.0 pillow==13.0.0 numpy==2.4.6

cd "$work"
"$work/venv/bin/python" - <<'PY'
import io
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import av
import numpy as np
from PIL import Image

RATES_HZ = (5, 10)
SECONDS = 4
SKIPPED = 3  # the first pictures arrive together, after the stream was probed


class Camera(BaseHTTPRequestHandler):
    """Motion JPEG, as cameras send it; the path is the frame rate."""

    def do_GET(self):
        rate_hz = int(self.path.strip("/"))
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.end_headers()
        try:
            for number in range(3 * SECONDS * rate_hz):
                picture = io.BytesIO()
                Image.fromarray(np.full((120, 160, 3), 5 * number % 256, np.uint8)).save(picture, "JPEG")
                head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {picture.tell()}\r\n\r\n"
                self.wfile.write(head.encode() + picture.getvalue() + b"\r\n")
                time.sleep(1 / rate_hz)
        except OSError:
            return  # the client has closed the connection

    def log_message(self, *_):
        pass


def seconds_of(url, frames, options):
    """The time in which the frames arrive, and the time according to the frames."""
    with av.open(url, timeout=20, options=options) as container:
        arrived, stamped = [], []
        for frame in container.decode(video=0):
            arrived.append(time.monotonic())
            stamped.append(frame.time)
            if len(stamped) == frames:
                break
        return arrived[-1] - arrived[SKIPPED], stamped[-1] - stamped[SKIPPED]


print("Versions")
print(f"  av {av.__version__} (libavformat {'.'.join(map(str, av.library_versions['libavformat']))})")
print("Expected: the times of the frames grow as fast as the clock.")
print("Seen:")
server = ThreadingHTTPServer(("127.0.0.1", 0), Camera)
threading.Thread(target=server.serve_forever, daemon=True).start()
changed = []
for rate_hz in RATES_HZ:
    for label, options in (("default", {}), ("use_wallclock_as_timestamps", {"use_wallclock_as_timestamps": "1"})):
        frames = SECONDS * rate_hz + SKIPPED + 1
        url = f"http://127.0.0.1:{server.server_port}/{rate_hz}"
        clock_s, stamped_s = seconds_of(url, frames, options)
        times = f"{clock_s:.2f} s by the clock, {stamped_s:.2f} s by the frames' times"
        print(f"  {rate_hz:2} frames/s, {label:28}: {times}")
        wanted_s = clock_s if options else SECONDS * rate_hz / 25
        if abs(stamped_s - wanted_s) > 0.5:
            changed.append(f"{rate_hz} frames/s, {label}: {stamped_s:.2f} s")
server.shutdown()
print("The behaviour has changed: " + "; ".join(changed) if changed else "The behaviour is as described.")
sys.exit(bool(changed))
PY
