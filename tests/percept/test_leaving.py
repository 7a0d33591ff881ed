"""However a loop is left, no process stays behind and nothing warns."""

import os
import secrets
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.commands.test_run import CONFIG
from tests.conftest import ROOT
from tests.percept.marks import marked
from tests.pipeline.runs import wait_for

WAYS = {
    "break": "for result in run():\n    break",
    "error in the loop": "try:\n    for result in run(): 1 / 0\nexcept ZeroDivisionError: pass",
    "interrupt in the loop": "try:\n    for result in run(): raise KeyboardInterrupt\nexcept KeyboardInterrupt: pass",
    "close": "results = run()\nnext(results)\nresults.close()\nassert next(results, None) is None",
    "with": "with run() as results: next(results)",
    "forgotten": "results = run()\nnext(results)\ndel results",
    "forgotten in a cycle": "class A: pass\na = A()\na.a, a.results = a, run()\nnext(a.results)\ndel a\ngc.collect()",
    "end of the program": "results = run()\nnext(results)",
    "never started": "results = run()",
}
HEAD = """\
import gc, percept, signal
signal.signal(signal.SIGINT, signal.default_int_handler)  # it is ignored in a job that a shell put in the background
def run(): return percept.run('fake:clips={clips}', config={config!r}, progress={shown})
"""


KILLED = """
import os, pathlib
results = run()
next(results)
print(pathlib.Path(f"/proc/self/task/{os.getpid()}/children").read_text(), flush=True)
try:
    for result in results: pass
except percept.PerceptError as error: print(error)
"""
WAITS = """
results = run()
while next(results).clip < 1: pass
print("done", flush=True)
next(results)
"""


@pytest.fixture
def builds(tmp_path: Path) -> str:
    """A config whose model is built for much longer than a test takes."""
    path = tmp_path / "builds.toml"
    path.write_text(CONFIG.replace("fakes:FakeModel", "fakes:Improves").replace("busy_ms = 20.0", "build_s = 600.0"))
    return str(path)


def head(config: str, shown: bool | None, clips: int = 100_000) -> str:
    return HEAD.format(config=config, shown=shown, clips=clips)


@pytest.fixture
def config(tmp_path: Path) -> str:
    path = tmp_path / "fake.toml"
    path.write_text(CONFIG)
    return str(path)


def start(code: str, mark: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-X", "dev", "-W", "error", "-c", code]
    return subprocess.Popen(
        command, cwd=ROOT, env=os.environ | {"LEAVING": mark}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


@pytest.mark.parametrize("way", WAYS)
def test_no_process_is_left(way: str, config: str) -> None:
    mark = secrets.token_hex(8)
    with start(head(config, None) + WAYS[way], mark) as process:
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (0, "", "")
    wait_for(lambda: not marked(mark), timeout_s=20, what="the end of every process")


@pytest.mark.parametrize("shown", [None, True])
def test_an_interrupt_while_it_waits_ends_everything(shown: bool | None, config: str) -> None:
    mark = secrets.token_hex(8)
    code = head(config, shown) + "for result in run(): print(result.clip, flush=True)"
    with start(code, mark) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "0\n"
        assert len(marked(mark)) > 1
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert err.rstrip().endswith("KeyboardInterrupt")
    assert "Warning" not in err
    assert ("stopped: " in err) is bool(shown)
    wait_for(lambda: not marked(mark), timeout_s=20, what="the end of every process")


def test_two_interrupts_leave_no_process_either(config: str) -> None:
    mark = secrets.token_hex(8)
    code = head(config, None) + "for result in run(): print(result.clip, flush=True)"
    with start(code, mark) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    wait_for(lambda: not marked(mark), timeout_s=20, what="the end of every process")


def test_a_loop_that_waits_for_engines_says_so_once_and_an_interrupt_ends_everything(builds: str) -> None:
    mark = secrets.token_hex(8)
    with start(head(builds, None, clips=2) + WAITS, mark) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == "done\n"
        said = process.stderr.readline()
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert "Engines are being built now, once" in said
    assert err.rstrip().endswith("KeyboardInterrupt")
    assert "being built" not in err
    wait_for(lambda: not marked(mark), timeout_s=20, what="the end of every process")


def test_closing_a_run_that_only_builds_engines_ends_everything(builds: str) -> None:
    mark = secrets.token_hex(8)
    code = head(builds, None, clips=2) + (
        "import time\nresults = run()\nwhile next(results).clip < 1: pass\ntime.sleep(2)\nresults.close()"
    )
    with start(code, mark) as process:
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (0, "", "")
    wait_for(lambda: not marked(mark), timeout_s=20, what="the end of every process")


def test_a_loop_ends_with_its_process_whatever_else_holds_its_output(config: str) -> None:
    """Workers whose parent was killed may still hold the pipe for a while."""
    mark = secrets.token_hex(8)
    code = head(config, None) + KILLED
    with start(code, mark) as process:
        assert process.stdout is not None
        os.kill(int(process.stdout.readline()), signal.SIGKILL)
        out, err = process.communicate(timeout=60)
    assert "percept run was killed by signal 9" in out
    assert err == ""
    wait_for(lambda: not marked(mark), timeout_s=20, what="the end of every process")
