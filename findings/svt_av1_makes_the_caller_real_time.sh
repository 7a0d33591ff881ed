#!/usr/bin/env bash
# Encoding AV1 as root makes the calling process a real-time one, and all that it starts afterwards.
#
# PyAV's wheel encodes AV1 with SVT-AV1 (libsvtav1) only. When its encoder is opened by root, as in most containers, it
# sets the scheduling of the thread that opened it to SCHED_FIFO with priority 99, the highest there is, and leaves it so
# when the encoder is closed. Child processes inherit it. There is no message and no codec option in the call.
#
# Why it matters: a service that has written one AV1 film starts its ffmpeg, its model servers and its workers real-time
# ever after. They preempt everything else: on a machine of few cores, other processes stand still while they compute,
# `nice` has no effect, and measurements of latency taken beside them are wrong. libx264 and libvpx do no such
# thing. Remedy: encode AV1 in a process of its own, or set the scheduling back afterwards with os.sched_setscheduler.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
if [[ $(id -u) != 0 ]]; then
    echo "cannot be shown: only root's processes become real-time"
    exit 0
fi
"${PYTHON:-python3}" -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet --disable-pip-version-check av==18.1.0 numpy==2.4.6
SVT_LOG=1 "$folder/env/bin/python" - <<'PYTHON'
import io
import os
import subprocess
import sys

import av
import numpy as np

NAMES = {os.SCHED_OTHER: "SCHED_OTHER", os.SCHED_FIFO: "SCHED_FIFO", os.SCHED_RR: "SCHED_RR"}


def now() -> tuple[str, int]:
    return NAMES[os.sched_getscheduler(0)], os.sched_getparam(0).sched_priority


def encode(codec: str) -> None:
    with av.open(io.BytesIO(), "w", format="matroska") as container:
        stream = container.add_stream(codec, rate=25)
        stream.width = stream.height = 128
        stream.pix_fmt = "yuv420p"
        for _ in range(3):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((128, 128, 3), np.uint8))))
        container.mux(stream.encode())


print("PyAV", av.__version__, {name: version for name, version in av.library_versions.items() if name == "libavcodec"})
found = {"at first": now()}
for codec in ("libx264", "libvpx-vp9", "libsvtav1"):
    encode(codec)
    found[codec] = now()
script = "import os; print(os.sched_getscheduler(0), os.sched_getparam(0).sched_priority)"
policy, priority = map(int, subprocess.check_output([sys.executable, "-c", script]).split())
found["a child process afterwards"] = NAMES[policy], priority
for name, (policy_name, level) in found.items():
    print(f"{name:28} {policy_name} {level}")
os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
usual, real_time = ("SCHED_OTHER", 0), ("SCHED_FIFO", 99)
expected = [usual, usual, usual, real_time, real_time]
sys.exit(0 if list(found.values()) == expected else "this has changed")
PYTHON
