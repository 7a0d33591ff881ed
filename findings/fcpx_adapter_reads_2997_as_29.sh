#!/usr/bin/env bash
# OpenTimelineIO's adapter for Final Cut Pro X reads a sequence of 29.97 frames per second as one of 29.
#
# FCPXML gives a frame as "1001/30000s". The adapter takes the whole part of the rate: a clip of 300 frames comes back as
# one of 290, a marker at frame 150 is at frame 145, and a marker of one frame has a duration of 0. The same holds for
# 23.976 (23) and 59.94 (59). Whole rates such as 25 are right. Nothing is said.
#
# One would guess that RationalTime, which is made for such rates, has the rate of the file, or that a rate that cannot be
# kept is refused: seconds are nearly right, so a look at the times in seconds shows nothing.
#
# It matters to whoever exchanges markers or cuts with Final Cut through OpenTimelineIO, and to whoever checks an export
# of FCPXML by reading it back: frame numbers must be computed from the fractions in the file itself.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install -qq --disable-pip-version-check opentimelineio==0.18.1 otio-fcpx-xml-adapter==1.0.0

cd "$work"
"$work/venv/bin/python" - <<'PY'
import sys
from importlib.metadata import version

import opentimelineio as otio

TEXT = """<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE fcpxml>
<fcpxml version="1.8">
  <resources>
    <format id="r1" frameDuration="{one}s" width="1280" height="720"/>
    <asset id="r2" name="a" src="file:///a.mov" start="0s" duration="{all}s" hasVideo="1" format="r1"/>
  </resources>
  <library><event name="event"><project name="project"><sequence format="r1" duration="{all}s" tcStart="0s"><spine>
    <asset-clip ref="r2" name="a" offset="0s" start="0s" duration="{all}s" format="r1">
      <marker start="{half}s" duration="{one}s" value="here"/>
    </asset-clip>
  </spine></sequence></project></event></library>
</fcpxml>
"""
RATES = {"25": (1, 25), "29.97": (1001, 30000), "23.976": (1001, 24000), "59.94": (1001, 60000)}
WANTED = {"25": (25, 300, 150, 1), "29.97": (29, 290, 145, 0), "23.976": (23, 287, 143, 0), "59.94": (59, 295, 147, 0)}

print("opentimelineio", version("opentimelineio"), "otio-fcpx-xml-adapter", version("otio-fcpx-xml-adapter"))
print("in every file: a clip of 300 frames, a marker of one frame at frame 150")
found = {}
for name, (top, bottom) in RATES.items():
    times = {key: f"{top * frames}/{bottom}" for key, frames in (("one", 1), ("all", 300), ("half", 150))}
    read = otio.adapters.read_from_string(TEXT.format(**times), "fcpx_xml")
    (clip,) = read[0].find_clips()
    (marker,) = clip.markers
    length, where = clip.source_range.duration, marker.marked_range
    found[name] = (length.rate, length.value, where.start_time.value, where.duration.value)
    print(
        f"{name} frames/s: read as rate {length.rate:g}, {length.value:g} frames, "
        f"marker at {where.start_time.value:g}, {where.duration.value:g} long"
    )
if found != WANTED:
    sys.exit(f"this has changed; expected {WANTED}, got {found}")
PY
