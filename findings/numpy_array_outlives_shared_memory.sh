#!/usr/bin/env bash
# SharedMemory.close() unmaps memory under a live numpy array, without the BufferError that protects other views.
#
# np.ndarray(shape, dtype, buffer=shm.buf), which Python's own documentation shows, keeps the address and releases the
# buffer: the exporter has no record of the view, so close() succeeds and unmaps the pages. The array remains, with its
# shape, and the first access to it ends the process (SIGSEGV; this script reads the process's memory map and does not
# try it). np.frombuffer keeps the buffer: with it close() raises BufferError. mmap.mmap behaves the same way.
#
# One would guess that Python's buffer protocol protects every array made over a buffer, as "cannot close exported
# pointers exist" seems to promise.
#
# It matters for pipelines that pass frames between processes in shared memory. A worker that closes its segment while a
# batch, a tensor made with torch.from_numpy, or a callback still has a view dies without a traceback, often later and
# elsewhere. Use np.frombuffer(shm.buf, dtype).reshape(shape): an early close then raises an exception at the right
# place.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install -qq --disable-pip-version-check numpy==2.4.6

cd "$work"
"$work/venv/bin/python" - <<'PY'
import mmap
import platform
import sys
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path

import numpy as np

SIZE = 1 << 20
SHAPE = (512, 2048)

print("Versions")
print(f"  numpy {np.__version__}\n  Python {platform.python_version()}, {sys.platform}")
if not Path("/proc/self/maps").is_file():
    print("This script needs /proc/self/maps. The behaviour cannot be shown here.")
    sys.exit(0)


def is_mapped(address):
    """Whether the address is mapped in this process."""
    ranges = (line.split()[0].split("-") for line in Path("/proc/self/maps").read_text().splitlines())
    return any(int(start, 16) <= address < int(end, 16) for start, end in ranges)


VIEWS = {
    "np.ndarray(buffer=...)": lambda buffer: np.ndarray(SHAPE, np.uint8, buffer=buffer),
    "np.frombuffer(...)": lambda buffer: np.frombuffer(buffer, np.uint8).reshape(SHAPE),
}


def closed(owner, array):
    """What close() does, and whether the array's memory is still mapped."""
    array[:] = 7
    address = array.__array_interface__["data"][0]
    assert is_mapped(address)
    try:
        owner.close()
        done = "succeeds"
    except BufferError:
        done = "raises BufferError"
    return done, is_mapped(address)


print("Expected: close() raises BufferError while an array uses the memory.")
print("Seen:")
seen = {}
for name, view in VIEWS.items():
    memory = SharedMemory(create=True, size=SIZE)
    memory.unlink()
    array = view(memory.buf)
    seen["SharedMemory", name] = closed(memory, array)
    del array
    memory.close()
    mapped = mmap.mmap(-1, SIZE)
    array = view(mapped)
    seen["mmap", name] = closed(mapped, array)
    del array
for (owner, name), (done, is_there) in seen.items():
    print(f"  {owner:12} {name:23} close() {done:18} memory is {'still mapped' if is_there else 'gone'}")

changed = []
for (owner, name), got in seen.items():
    wanted = ("succeeds", False) if name.startswith("np.ndarray") else ("raises BufferError", True)
    if got != wanted:
        changed.append(f"{owner}, {name}: close() {got[0]}")
print("The behaviour has changed: " + "; ".join(changed) if changed else "The behaviour is as described.")
sys.exit(bool(changed))
PY
