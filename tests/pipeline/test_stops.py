"""How the outside ends a run: Ctrl-C, `kill -9`, closed pipes, slow readers, full disks. Each in its own process."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from pipeline.config import make_config
from pipeline.run import run
from pipeline.status import OutputSpec, Status
from tests.pipeline.fakes import fake_config
from tests.pipeline.runs import (
    children,
    end,
    lines_in,
    read_records,
    run_fakes,
    start_run,
    using,
    wait_for,
    without_tries,
)

SLOW = "fake:clips=400,slow_decode_ms=15"


def account_of(process: "subprocess.Popen[bytes]") -> tuple[dict[str, Any], str]:
    """Wait for the end. Returns the account, and everything on stderr."""
    _, stderr = process.communicate(timeout=60)
    text = stderr.decode()
    account = json.loads(text.strip().splitlines()[-1])
    assert account["clips_in"] == sum(account[name] for name in ("results", "errors", "drops", "in_flight"))
    return account, text


# -- Ctrl-C -----------------------------------------------------------------------------------------------------------


def test_the_first_interrupt_finishes_what_is_in_flight(tmp_path: Path) -> None:
    process, out = start_run(tmp_path, SLOW, "fake:clips=5"), tmp_path / "out.jsonl"
    try:
        wait_for(lambda: lines_in(out) > 5, what="results")
        process.send_signal(signal.SIGINT)
        account, stderr = account_of(process)
    finally:
        end(process)
    assert process.returncode == 130
    assert account["in_flight"] == 0
    assert account["interrupted"]
    assert "interrupted: finishing what is in flight" in stderr
    records = read_records(out)
    assert [record["clip"] for record in records] == list(range(account["results"]))
    assert len(records) < 400


def test_the_second_interrupt_stops_at_once(tmp_path: Path) -> None:
    stages = fake_config()["stages"]
    stages["fake_model"] = stages["fake_model"] | {"busy_ms": 30_000.0}
    process = start_run(tmp_path, "fake:clips=10", stages=stages)
    try:
        wait_for(lambda: len(children(process.pid)) >= 6, what="the workers")
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        time.sleep(0.5)
        assert process.poll() is None, "the first one waits for the clips in flight"
        began_s = time.monotonic()
        process.send_signal(signal.SIGINT)
        account, _ = account_of(process)
    finally:
        end(process)
    assert process.returncode == 130
    assert time.monotonic() - began_s < 10
    assert account["interrupted"]


def test_an_interrupt_before_anything_is_ready_ends_the_run(tmp_path: Path) -> None:
    process = start_run(tmp_path, SLOW)
    try:
        wait_for(lambda: children(process.pid), what="the fork servers")
        process.send_signal(signal.SIGINT)
        account_of(process)
    finally:
        end(process)
    assert process.returncode == 130


# -- kill -9 of the supervisor ----------------------------------------------------------------------------------------


def test_killing_the_supervisor_leaves_nothing_behind(tmp_path: Path) -> None:
    shared_before = set(os.listdir("/dev/shm"))
    process, out = start_run(tmp_path, SLOW), tmp_path / "out.jsonl"
    try:
        wait_for(lambda: lines_in(out) > 5, what="results")
        family = children(process.pid)
        assert len(family) >= 7, "three fork servers, and workers"
        process.kill()
        process.wait(timeout=30)
        wait_for(lambda: not any(alive(pid) for pid in family), 20, "the workers to end")
        wait_for(lambda: not using(tmp_path / "tmp"), 20, "everything of the run to end")
        wait_for(lambda: not list((tmp_path / "tmp").iterdir()), 20, "the run's directory to go")
    finally:
        end(process)
    assert set(os.listdir("/dev/shm")) <= shared_before


def test_killing_the_supervisor_while_its_servers_still_load_leaves_nothing_behind(tmp_path: Path) -> None:
    stages = fake_config()["stages"]
    stages["fake_model"] = {"class": "tests.pipeline.fakes:SlowToLoad"}
    process = start_run(tmp_path, SLOW, stages=stages)
    try:
        wait_for(lambda: len(children(process.pid)) >= 3, what="the fork servers")
        family = children(process.pid)
        process.kill()
        process.wait(timeout=30)
        wait_for(lambda: not any(alive(pid) for pid in family), 20, "the fork servers to end")
        wait_for(lambda: not list((tmp_path / "tmp").iterdir()), 20, "the run's directory to go")
    finally:
        end(process)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_an_ordinary_run_leaves_nothing_behind(tmp_path: Path) -> None:
    process = start_run(tmp_path, "fake:clips=5")
    try:
        account_of(process)
    finally:
        end(process)
    assert process.returncode == 0
    assert not using(tmp_path / "tmp")
    assert not list((tmp_path / "tmp").iterdir())


@pytest.mark.slow
def test_resuming_after_a_kill_gives_the_file_of_a_clean_run(tmp_path: Path) -> None:
    sources = ("fake:clips=60,slow_decode_ms=5,gap=20", "fake:clips=60,slow_decode_ms=5,gap=7")
    clean = run_fakes(tmp_path, *sources, name="clean.jsonl")
    out = tmp_path / "out.jsonl"
    for at_least in (10, 30, 75):
        process = start_run(tmp_path, *sources, resume=True)
        try:
            wait_for(lambda least=at_least: lines_in(out) > least, what="results")
            process.kill()
        finally:
            end(process)
    process = start_run(tmp_path, *sources, resume=True)
    try:
        account, _ = account_of(process)
    finally:
        end(process)
    assert process.returncode == 0
    records = read_records(out)
    assert account["clips_before"] >= 70
    assert without_tracks(records) == without_tracks(clean.records)


def without_tracks(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The state of a fold is not kept across runs: track ids start again."""
    return [{key: value for key, value in record.items() if key != "tracks"} for record in without_tries(records)]


# -- readers and disks ------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_slow_reader_costs_no_record_and_meets_no_deadline(tmp_path: Path) -> None:
    deadlines = {"clip_s": 1.0, "decode_s": 1.0, "load_s": 20.0}
    source = "fake:clips=4000"
    process = start_run(
        tmp_path, source, output="-", stdout=subprocess.PIPE, deadlines=deadlines, queue={"results_waiting": 50}
    )
    assert process.stdout is not None
    try:
        time.sleep(3)
        assert process.poll() is None, "a pipe holds 64 KB, then the run waits for its reader"
        out, stderr = process.communicate(timeout=60)
        account = json.loads(stderr.decode().strip().splitlines()[-1])
    finally:
        end(process)
    assert [json.loads(line)["clip"] for line in out.splitlines()] == list(range(4000))
    assert account["results"] == 4000
    assert b"hung" not in stderr
    assert process.returncode == 0


def test_an_interrupt_ends_the_run_even_if_nobody_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.supervisor.CLOSING_S", 0.5)
    fifo, source = tmp_path / "fifo", "fake:clips=4000"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    interrupted: list[float] = []

    def interrupt(status: Status) -> None:
        if status.results > 500 and not interrupted:
            interrupted.append(status.elapsed_s)
            signal.raise_signal(signal.SIGTERM)

    config = fake_config(deadlines={"drain_s": 0.5}, queue={"results_waiting": 200})
    try:
        account = run(
            make_config(config), [source], [OutputSpec(path=str(fifo), sources=(source,))], on_status=interrupt
        )
    finally:
        os.close(reader)
    assert account.exit_code == 130
    assert account.elapsed_s - interrupted[0] < 10


def test_a_closed_stdout_ends_the_run_as_a_broken_pipe_does(tmp_path: Path) -> None:
    process = start_run(tmp_path, SLOW, output="-", stdout=subprocess.PIPE)
    assert process.stdout is not None
    try:
        for _ in range(3):
            process.stdout.readline()
        process.stdout.close()
        process.stdout = None
        account, _ = account_of(process)
    finally:
        end(process)
    assert process.returncode == 141
    assert "cannot write to stdout: its reader has closed it after" in account["messages"][0]


def test_a_full_disk_is_reported(tmp_path: Path) -> None:
    process = start_run(tmp_path, SLOW, output="/dev/full")
    try:
        account, _ = account_of(process)
    finally:
        end(process)
    assert process.returncode == 5
    assert "cannot write /dev/full: no space left on device" in account["messages"][0]


def test_a_file_size_limit_is_reported_and_the_written_lines_are_whole(tmp_path: Path) -> None:
    import resource

    process, out = start_run(tmp_path, SLOW), tmp_path / "out.jsonl"
    try:
        wait_for(lambda: lines_in(out) > 0, what="results")
        for pid in children(process.pid):
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (4096, 4096))
        account, _ = account_of(process)
    finally:
        end(process)
    assert process.returncode == 5
    assert "file size limit reached" in account["messages"][0]
    assert "--resume" in account["messages"][0]
    assert [record["clip"] for record in read_records(out)] == list(range(lines_in(out)))
