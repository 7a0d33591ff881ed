"""The quick benchmark of GPUs: each step is bounded, and what was measured stays."""

import json
import sys
import time
from pathlib import Path

import psutil
import pytest

from benchmarks import gpu, gpu_quick
from benchmarks.gpu_quick import bounded, table


def script(folder: Path, name: str, then: str = "") -> list[str]:
    """A step that writes a figure, and then does something else."""
    path = folder / f"{name}.json"
    code = f"import pathlib, subprocess, sys; pathlib.Path({str(path)!r}).write_text('{{\"figure\": 7}}'); {then}"
    return [sys.executable, "-S", "-c", code]


def test_a_step_that_takes_too_long_is_ended_with_all_it_started_and_its_figures_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gpu_quick, "LEAST_S", 1.0)
    sleep = f"import time; child = subprocess.Popen([{sys.executable!r}, '-S', '-c', 'import time; time.sleep(600)'])"
    sleep += f"; pathlib.Path({str(tmp_path / 'child')!r}).write_text(str(child.pid)); time.sleep(600)"
    found = bounded(script(tmp_path, "long", sleep), 2.0, tmp_path, "long")
    assert found == {"figure": 7, "skipped": "ended after 2 s"}
    child = int((tmp_path / "child").read_text())
    deadline = time.monotonic() + 20
    while psutil.pid_exists(child) and psutil.Process(child).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline, "what a step started ends with it"
        time.sleep(0.05)


def test_a_step_that_fails_says_why_and_the_next_one_runs(tmp_path: Path) -> None:
    failed = bounded(script(tmp_path, "bad", "sys.exit('no such GPU')"), 60, tmp_path, "bad")
    assert (failed["figure"], failed["skipped"]) == (7, "no such GPU\n")
    assert bounded(script(tmp_path, "good"), 60, tmp_path, "good")["figure"] == 7


def test_a_step_without_time_is_not_begun_and_has_no_old_figures(tmp_path: Path) -> None:
    (tmp_path / "late.json").write_text('{"figure": 1}')
    assert bounded(script(tmp_path, "late"), 1.0, tmp_path, "late") == {"skipped": "no time was left"}
    assert gpu_quick.read(tmp_path, "late") == {}


def test_the_table_has_what_is_wanted_and_what_was_reached() -> None:
    lines = table({"films_720": {"x_real_time": 213.4, "seconds": 21.0}, "delay_32": {"skipped": "x\nno GPU"}}, 40)
    assert [line.split("  ")[0] for line in lines.splitlines()] == ["step", "films_720", "delay_32", "40 s in all"]
    assert [word for word in (">= 204", "213.4", "no GPU") if word not in lines] == []


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_small_steps_run_on_the_cpu_and_are_written_one_by_one(tmp_path: Path) -> None:
    out = tmp_path / "quick.json"
    words = f"--quick --device cpu --model tiny --seconds 2 --file-seconds 2 --shrink 8 --budget 200 --output {out}"
    options = gpu.make_parser().parse_args([*words.split(), "--folder", str(tmp_path), "--steps", "media,films_1080"])
    gpu_quick.run(options)
    found = json.loads(out.read_text())
    assert list(found)[-2:] == ["media", "films_1080"]
    assert found["films_1080"]["x_real_time"] > 0
    assert found["films_1080"]["media_s"] == pytest.approx(4 * 2, abs=1)
