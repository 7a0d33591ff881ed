#!/usr/bin/env bash
# A model that OpenVINO has compiled for a CPU keeps its weights in memory twice: as mapped pages of the .bin file, all of
# which it has read, and as a copy of its own, arranged anew for the CPU. It never reads the mapped pages again.
#
# One would guess that weights are mapped in order not to be copied (`ENABLE_MMAP` is on by default, and is described as
# saving memory), or that the file is let go of once the copy is made. Neither is so while the compiled model lives. With
# `ENABLE_MMAP` off the file's own copy is private memory instead, which the kernel cannot take back at all.
#
# It matters where memory is counted or limited: pages that a process maps count as its own (RSS, PSS, a container's
# limit), in every process that opens the model. They can be given back with madvise(MADV_DONTNEED) after the first call:
# results stay the same, and no page comes back.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install -qq --disable-pip-version-check openvino==2026.4.1 numpy==2.4.6

cd "$work"
cat > make.py <<'PY'
import sys

sys.modules["openvino_telemetry"] = None  # it would report this import

import numpy as np
import openvino
from openvino import opset13

random = np.random.default_rng(0)
given = opset13.parameter([1, 1024], np.float32)
found = given
for _ in range(16):
    weights = random.normal(0, 1 / 32, (1024, 1024)).astype(np.float32)
    found = opset13.relu(opset13.matmul(found, opset13.constant(weights), False, False))
openvino.save_model(openvino.Model([found], [given]), "model.xml", compress_to_fp16=False)
PY
"$work/venv/bin/python" make.py
"$work/venv/bin/python" - <<'PY'
import sys

sys.modules["openvino_telemetry"] = None

import ctypes
from pathlib import Path

import numpy as np
import openvino

SIZE_MB = Path("model.bin").stat().st_size / 1e6
print(f"Versions\n  openvino {openvino.__version__}\n  a model with {SIZE_MB:.0f} MB of weights")
if not Path("/proc/self/smaps").is_file():
    print("This needs Linux. The behaviour cannot be shown here.")
    sys.exit(0)


def resident_mb():
    """In the mapped file, and in memory of the process's own."""
    found, name = {"file": 0, "own": 0}, ""
    for line in Path("/proc/self/smaps").read_text().splitlines():
        first, *rest = line.split()
        if not first.endswith(":"):
            name = rest[-1] if len(rest) > 4 else ""
        elif first == "Rss:" and name.endswith("model.bin"):
            found["file"] += int(rest[0]) * 1024 / 1e6
        elif first == "Anonymous:":
            found["own"] += int(rest[0]) * 1024 / 1e6
    return found


def give_back():
    for line in Path("/proc/self/maps").read_text().splitlines():
        if line.endswith("model.bin"):
            start, end = (int(each, 16) for each in line.split()[0].split("-"))
            ctypes.CDLL(None).madvise(ctypes.c_void_p(start), ctypes.c_size_t(end - start), 4)  # MADV_DONTNEED


core, picture = openvino.Core(), np.ones((1, 1024), np.float32)
before = resident_mb()
options = {"INFERENCE_NUM_THREADS": 1, "INFERENCE_PRECISION_HINT": "f32"}
compiled = core.compile_model("model.xml", "CPU", options)
first = compiled(picture)[0].copy()
for _ in range(20):
    compiled(picture)
used = resident_mb()
give_back()
given = resident_mb()
again = compiled(picture)[0].copy()
after = resident_mb()

print("Expected: the weights are in memory once, mapped or copied.")
print("Seen: MB in memory        of the file   of its own, since before")
for name, now in {"after 21 calls": used, "given back": given, "after one more": after}.items():
    print(f"  {name:22}{now['file']:13.0f}{now['own'] - before['own']:14.0f}")
print(f"  the same result: {np.array_equal(first, again)}")
is_twice = used["file"] > 0.9 * SIZE_MB and used["own"] - before["own"] > 0.9 * SIZE_MB
stays_away = after["file"] < 0.1 * SIZE_MB and np.array_equal(first, again)
print("The behaviour is as described." if is_twice and stays_away else "The behaviour has changed.")
sys.exit(not (is_twice and stays_away))
PY
