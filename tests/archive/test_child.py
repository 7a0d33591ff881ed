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


def test_a_child_gets_its_order_its_cores_and_its_folder(tmp_path: Path) -> None:
    (tmp_path / "percept.py").write_text(
        "import os, sys\ndef main():\n"
        "    print(sys.argv[1:], sys.stdin.read(), os.environ['PERCEPT_CORES'], os.getcwd(), file=sys.stderr)"
    )
    code, said = run_child(["label", "--order"], b"an order", "/", 3, {"PYTHONPATH": str(tmp_path)})
    assert (code, said) == (0, "['label', '--order'] an order 3 /")


def test_a_child_ends_with_its_parent(tmp_path: Path) -> None:
    """Even one whose parent was killed, as a worker of a cluster may be."""
    (tmp_path / "percept.py").write_text("import time\ndef main():\n    time.sleep(600)")
    code = (
        "import sys, time\nfrom archive.child import Child\n"
        f"child = Child(['label'], b'', '/', 1, {{'PYTHONPATH': {str(tmp_path)!r}}})\n"
        "print(child.pid, flush=True)\ntime.sleep(600)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=os.environ | HERE
    ) as parent:
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))
        while "import ctypes" not in " ".join(child.cmdline()):
            time.sleep(0.01)  # it is not yet what it will be
        time.sleep(0.5)
        assert child.is_running()
        parent.send_signal(signal.SIGKILL)
        parent.wait(timeout=10)
    child.wait(timeout=60)


def test_ctrl_c_is_passed_on_and_closing_kills(tmp_path: Path) -> None:
    ready = "pathlib.Path(__file__).with_name(str(os.getpid())).touch()"
    (tmp_path / "percept.py").write_text(
        "import os, pathlib, sys, time\ndef main():\n"
        f"    try:\n        {ready}\n        time.sleep(600)\n    except KeyboardInterrupt:\n        sys.exit(130)"
    )
    more = {"PYTHONPATH": str(tmp_path)}
    children = [Child(["label"], b"", "/", 1, more) for _ in range(2)]
    until_s = time.monotonic() + 60
    while not all((tmp_path / str(child.pid)).exists() for child in children):
        assert time.monotonic() < until_s, "they do not start"
        time.sleep(0.02)
    assert [child.wait(0) for child in children] == [None, None]
    children[0].interrupt()
    assert children[0].wait(60) == 130
    process = psutil.Process(children[1].pid)
    for child in children:
        child.close()
    assert not process.is_running()
