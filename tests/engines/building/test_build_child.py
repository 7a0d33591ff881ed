"""A build in a child process: whatever happens to it, its parent gets a ModelError and no process is left over."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from engines.backends.backend import Order
from engines.building.build_child import build_in_child, cancelled, open_in_child
from engines.engine import Port
from pipeline.errors import ModelError

BAD = "tests.engines.stubs.bad_backend:BACKEND"
ROOT = Path(__file__).resolve().parents[3]


def order(how: str) -> Order:
    return Order("clip_vision", how, (Port("x", "float32", "B 4"),), (Port("y", "float32", "B 2"),), "fp32", "cpu")


def build(how: str, into: Path, timeout_s: float = 30.0) -> list[str]:
    lines: list[str] = []
    build_in_child(BAD, order(how), None, into, lines.append, timeout_s)
    return lines


def pid_in(line: str) -> int:
    return int(line.removeprefix("pid "))


def wait_for_end(pid: int) -> None:
    for _ in range(400):
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return
        time.sleep(0.025)
    pytest.fail(f"process {pid} is still running")


def test_lines_arrive_despite_output_of_libraries(tmp_path: Path) -> None:
    assert build("noise", tmp_path)[1:] == ["half way"]
    assert (tmp_path / "plan.bin").read_bytes() == b"plan"


def test_an_error_of_the_build_is_the_same_error_here(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"^network.onnx: it is a tea pot; expected a network$"):
        build("refuse", tmp_path)


def test_a_crash_names_the_signal_and_the_last_lines(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"(?s)building clip_vision with .*-fp32: .* ended by SIGSEGV.*about to crash"):
        build("crash", tmp_path)


def test_an_exit_names_its_code(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="ended with exit code 3"):
        build("exit", tmp_path)


def test_a_bug_shows_its_traceback(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"(?s)exit code 1.*KeyError: 'a bug of ours'"):
        build("bug", tmp_path)


def test_an_unknown_backend_is_reported(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no_such"):
        build_in_child("no_such", order(""), None, tmp_path, lambda text: None, 30.0)


def test_a_build_that_reports_progress_does_not_time_out(tmp_path: Path) -> None:
    begin_s = time.monotonic()
    lines = build("slow", tmp_path, timeout_s=3.0)
    assert lines[1:] == [f"{10 * tenth} %" for tenth in range(10)]
    assert time.monotonic() - begin_s > 4.0


def test_a_build_without_progress_is_killed(tmp_path: Path) -> None:
    lines: list[str] = []
    with pytest.raises(ModelError, match=r"no progress for 2 s; stopped"):
        build_in_child(BAD, order("hang"), None, tmp_path, lines.append, 2.0)
    assert not psutil.pid_exists(pid_in(lines[0]))


def test_an_exception_from_the_report_asks_the_child_to_stop(tmp_path: Path) -> None:
    def stop(line: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_in_child(BAD, order("wait"), None, tmp_path, stop, 30.0)
    assert (tmp_path / "stopped").read_text() == "by itself"


def test_sigterm_to_the_child_cancels_its_build(tmp_path: Path) -> None:
    def terminate(line: str) -> None:
        os.kill(pid_in(line), signal.SIGTERM)

    with pytest.raises(ModelError, match=r"^cancelled$"):
        build_in_child(BAD, order("wait"), None, tmp_path, terminate, 30.0)


def test_no_child_survives_its_parent(tmp_path: Path) -> None:
    script = f"""
from pathlib import Path
from tests.engines.building.test_build_child import build_in_child, order, BAD
build_in_child(BAD, order("hang"), None, Path({str(tmp_path)!r}), lambda line: print(line, flush=True), 60.0)
"""
    with subprocess.Popen(
        [sys.executable, "-c", script],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": "."},
    ) as parent:
        assert parent.stdout is not None
        child = pid_in(parent.stdout.readline())
        assert psutil.pid_exists(child)
        parent.kill()
    wait_for_end(child)


def test_cancelled_is_false_outside_a_build() -> None:
    assert not cancelled()


def open_built(how: str, timeout_s: float = 30.0) -> None:
    open_in_child(BAD, order(how), None, Path(), lambda text: None, timeout_s)


def test_an_engine_is_opened_and_closed_in_a_child_process(tmp_path: Path) -> None:
    open_in_child(BAD, order("good"), None, tmp_path, lambda text: None, 30.0)
    events = (tmp_path / "events").read_text().splitlines()
    assert [event.split()[0] for event in events] == ["opened", "closed"]
    assert str(os.getpid()) not in events[0]


def test_a_crash_while_opening_ends_only_that_process() -> None:
    with pytest.raises(ModelError, match=r"(?s)^opening clip_vision with .*: its process was ended by SIGSEGV.*crash"):
        open_built("crash")


def test_an_error_while_opening_is_the_same_error_here() -> None:
    with pytest.raises(ModelError, match=r"^plan.bin: of another GPU; expected this one$"):
        open_built("refuse")


def test_opening_that_hangs_is_killed() -> None:
    with pytest.raises(ModelError, match=r"opening clip_vision with .*: no progress for 3 s; stopped"):
        open_built("hang", 3.0)
