"""Children of a labelling run: their order, their last words, and their end."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil

from archive.child import Child, run_child
from tests.conftest import ROOT

HERE = {"PYTHONPATH": str(ROOT)}


def test_a_child_runs_percept_and_says_why_it_failed() -> None:
    assert run_child(["--version"], b"", "/", 1, HERE)[0] == 0
    code, said = run_child(["labell"], b"", "/nowhere", 1, HERE)
    assert code == 2
    assert "unknown command" in said


def test_a_child_gets_its_order_and_its_cores() -> None:
    child = Child(["label", "-o", "/tmp/none", "--order"], b"no order", "/", 3, HERE)
    try:
        assert Path(f"/proc/{child._process.pid}/environ").read_bytes().split(b"\0").count(b"PERCEPT_CORES=3") == 1
        code = child.wait(60)
        assert code is not None
        assert code != 0
        assert "order" in child.said() or "JSON" in child.said()
    finally:
        child.close()


def test_a_child_ends_with_its_parent() -> None:
    """Even one whose parent was killed, as a worker of a cluster may be."""
    code = (
        "import sys, time\nfrom archive.child import Child\n"
        f"child = Child(['label', '-o', '/tmp/none', '--order'], b'', '/', 1, {HERE!r})\n"
        "print(child._process.pid, flush=True)\ntime.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=os.environ | HERE
    ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        parent.send_signal(signal.SIGKILL)
        parent.wait(timeout=10)
    until_s = time.monotonic() + 30
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < until_s
        time.sleep(0.05)
