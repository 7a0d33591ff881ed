#!/usr/bin/env bash
# `import onnxruntime` starts a thread, opens a database in the home directory, and contacts the vendor.
#
# On Linux, with the plain CPU wheel, the import alone creates a folder under ~/.cache that contains a device id and an
# SQLite database of usage events, keeps the database open, and starts a background thread that sends the events after
# a few seconds. No session is needed. ORT_DISABLE_TELEMETRY=1, set before the import, prevents all of it.
# disable_telemetry_events(), which can only be called after the import, removes neither the thread nor the files.
#
# One would guess that importing a library has no effect outside the process, and that telemetry is for Windows only,
# where ONNX Runtime has long had it.
#
# It matters for servers and pipelines. A process that imports it and then forks workers forks with a thread running
# (Python 3.12 warns, and a lock held by that thread stays locked in the child), and the children inherit an open SQLite
# connection, which must not cross a fork. Containers get a file per home directory, and machines that should not make
# connections make them.
#
# For the imports this script sets a proxy of its own, which counts the connections and refuses them: nothing is sent.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install -qq --disable-pip-version-check onnxruntime==1.31.1 numpy==2.4.6

cd "$work"
"$work/venv/bin/python" - <<'PY'
import json
import os
import platform
import socketserver
import subprocess
import sys
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path

CHILD = """
import json, os, time
import numpy

before = set(os.listdir("/proc/self/task"))
import onnxruntime
if os.environ.get("AFTERWARDS"):
    onnxruntime.disable_telemetry_events()
time.sleep(15)
opened = [os.path.realpath(f"/proc/self/fd/{number}") for number in os.listdir("/proc/self/fd")]
home = os.path.realpath(os.environ["HOME"])
print(json.dumps({
    "threads": len(set(os.listdir("/proc/self/task")) - before),
    "open": sorted(os.path.basename(path) for path in opened if path.startswith(home)),
}))
"""

print("Versions")
print(f"  onnxruntime {version('onnxruntime')}\n  Python {platform.python_version()}, {sys.platform}")
if sys.platform != "linux":
    print("This script needs Linux. The behaviour cannot be shown here.")
    sys.exit(0)
print("Expected: an import starts no thread and leaves no files.")
print("Seen:")


class Refusal(socketserver.BaseRequestHandler):
    """A proxy that counts connections and refuses all of them."""

    def handle(self):
        self.server.calls += self.request.recv(1024).startswith(b"CONNECT ")
        self.request.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")


def imported(settings):
    """The effects of a process that imports onnxruntime in an empty home directory."""
    with tempfile.TemporaryDirectory() as home, socketserver.ThreadingTCPServer(("127.0.0.1", 0), Refusal) as proxy:
        proxy.calls = 0
        threading.Thread(target=proxy.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{proxy.server_address[1]}"
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": home,
            "OPENBLAS_NUM_THREADS": "1",
            "http_proxy": address,
            "https_proxy": address,
            **settings,
        }
        child = subprocess.run(
            [sys.executable, "-c", CHILD], env=environment, capture_output=True, text=True, check=True
        )
        proxy.shutdown()
        files = sorted(path.name for path in Path(home).rglob("*") if path.is_file())
        return json.loads(child.stdout) | {"left": files, "calls": proxy.calls}


CASES = {
    "as installed": {},
    "disable_telemetry_events() afterwards": {"AFTERWARDS": "1"},
    "ORT_DISABLE_TELEMETRY=1": {"ORT_DISABLE_TELEMETRY": "1"},
}
with ThreadPoolExecutor() as pool:
    seen = dict(zip(CASES, pool.map(imported, CASES.values())))
for name, did in seen.items():
    print(f"  {name}: {did['threads']} new threads, {did['calls']} calls within 15 s")
    print(f"    open in the home directory: {', '.join(did['open']) or 'nothing'}")
    print(f"    left there: {', '.join(did['left']) or 'nothing'}")

changed = []
for name, did in seen.items():
    acts = name != "ORT_DISABLE_TELEMETRY=1"
    if (did["threads"] > 0) != acts:
        changed.append(f"{name}: {did['threads']} new threads")
    if any(path.endswith(".db") for path in did["open"]) != acts or bool(did["left"]) != acts:
        changed.append(f"{name}: {len(did['left'])} files")
if not seen["as installed"]["calls"] or seen["ORT_DISABLE_TELEMETRY=1"]["calls"]:
    changed.append("calls are made in other cases")
print("The behaviour has changed: " + "; ".join(changed) if changed else "The behaviour is as described.")
sys.exit(bool(changed))
PY
