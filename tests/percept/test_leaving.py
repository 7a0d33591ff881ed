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
def run(): return percept.run('fake:clips=100000', config={config!r}, progress={shown})
"""


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
    with start(HEAD.format(config=config, shown=None) + WAYS[way], mark) as process:
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (0, "", "")
    wait_for(lambda: not marked(mark), timeout_s=20, what="the end of every process")


@pytest.mark.parametrize("shown", [None, True])
def test_an_interrupt_while_it_waits_ends_everything(shown: bool | None, config: str) -> None:
    mark = secrets.token_hex(8)
    code = HEAD.format(config=config, shown=shown) + "for result in run(): print(result.clip, flush=True)"
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
    code = HEAD.format(config=config, shown=None) + "for result in run(): print(result.clip, flush=True)"
    with start(code, mark) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    wait_for(lambda: not marked(mark), timeout_s=20, what="the end of every process")
