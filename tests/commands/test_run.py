"""`percept run` in a separate process, with fake sources and stages."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.pipeline.runs import ROOT, lines_in, read_records, wait_for

CONFIG = """
[[groups]]
name = "model"
stages = ["fake_model"]
workers = 2

[[groups]]
name = "track"
stages = ["fake_track"]
workers = 1

[decode]
factory = "tests.pipeline.fakes:make_reader"
short_side_px = 8
long_side_px = 8

[labels]
words = ["anything"]

[stages.fake_model]
class = "tests.pipeline.fakes:FakeModel"
busy_ms = 20.0

[stages.fake_track]
class = "tests.pipeline.fakes:FakeTrack"
"""


@pytest.fixture
def config(tmp_path: Path) -> str:
    path = tmp_path / "fake.toml"
    path.write_text(CONFIG)
    return str(path)


def start(config: str, *arguments: str, **more: Any) -> "subprocess.Popen[str]":
    more = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "cwd": Path(config).parent} | more
    command = [sys.executable, "-P", "-m", "commands.main", "run", "-c", config, *arguments]
    return subprocess.Popen(command, env=os.environ | {"PYTHONPATH": str(ROOT)}, text=True, **more)


def percept_run(config: str, *arguments: str) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of a run that is not interrupted."""
    child = start(config, *arguments)
    out, err = child.communicate(timeout=60)
    return child.returncode, out, err


def test_results_are_on_stdout_and_messages_on_stderr(config: str) -> None:
    code, out, err = percept_run(config, "fake:clips=3", "fake:clips=2", "--profile")
    assert code == 0, err
    assert [line.count('"labels"') for line in out.splitlines()] == [1] * 5
    assert "account clips_in=5 results=5 errors=0 drops=0 in_flight=0" in err
    assert "profile stage=decode took_s=" in err


def test_events_and_tables_are_written_next_to_the_results(config: str, tmp_path: Path) -> None:
    code, out, err = percept_run(config, "fake:clips=3", "-o", "out.jsonl", "-o", "out.csv", "--events", "*.vtt")
    assert (code, out) == (0, ""), err
    assert (tmp_path / "out.csv").read_text().splitlines()[1] == (
        "fake:clips=3,mean 0,00:00:00.000,00:00:02.000,00:00:02.000,0.000,2.000,2.000,0.9,0.9,1,,,"
    )
    assert (tmp_path / "fake:clips=3.vtt").read_text().count("-->") == 3
    assert "longest=" in err
    assert [path.name for path in tmp_path.glob("*.progress")] == ["out.jsonl.progress"]
    assert not list(tmp_path.glob(".*"))


def test_a_complete_file_is_not_resumed_with_other_labels(config: str, tmp_path: Path) -> None:
    assert percept_run(config, "fake:clips=3", "--labels", "dog", "-o", "out.jsonl")[0] == 0
    before = (tmp_path / "out.jsonl").read_bytes()
    code, _, err = percept_run(config, "fake:clips=3", "--labels", "cat", "-o", "out.jsonl", "--resume")
    assert code == 2
    assert "other labels" in err
    assert percept_run(config, "fake:clips=3", "--labels", "dog", "-o", "out.jsonl", "--resume")[0] == 0
    assert (tmp_path / "out.jsonl").read_bytes() == before


def test_failed_sources_set_the_exit_code(config: str) -> None:
    assert percept_run(config, "fake:clips=2", "fake:unopenable=1")[0] == 1
    code, out, err = percept_run(config, "fake:unopenable=1")
    assert code == 3
    assert "cannot be opened. Give a file that can." in out
    assert "cannot be opened. Give a file that can." in err


def test_after_kill_9_resume_finishes_without_duplicates(config: str, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    arguments = ["fake:clips=3", "fake:clips=120", "fake:clips=4", "-o", "out.jsonl", "--events"]
    child = start(config, *arguments)
    wait_for(lambda: lines_in(out) > 15, what="some results")
    child.kill()
    child.communicate(timeout=20)
    before = lines_in(out)
    code, _, err = percept_run(config, *arguments, "--resume")
    assert code == 0, err
    records = [record for record in read_records(out) if "clip" in record]
    assert [record["clip"] for record in records] == [*range(3), *range(120), *range(4)]
    assert [record["tracks"][0]["id"] for record in records[3:123]] == list(range(1, 121))
    assert lines_in(out) > before
    assert sum("summary" in record for record in read_records(out)) == 3


def test_ctrl_c_finishes_clips_in_flight_and_the_run_can_be_resumed(config: str, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    child = start(config, "fake:clips=200", "-o", "out.jsonl", "-o", "out.csv")
    wait_for(lambda: lines_in(out) > 5, what="some results")
    child.send_signal(signal.SIGINT)
    _, err = child.communicate(timeout=30)
    assert child.returncode == 130
    assert "interrupted=True" in err
    records = read_records(out)
    assert [record["clip"] for record in records] == list(range(len(records)))
    assert f"results={len(records)} " in err
    assert not (tmp_path / "out.csv").exists()
    code, _, err = percept_run(config, "fake:clips=200", "-o", "out.jsonl", "-o", "out.csv", "--resume")
    assert code == 0, err
    assert f"clips_before={len(records)}" in err
    assert [record["clip"] for record in read_records(out)] == list(range(200))
    assert len((tmp_path / "out.csv").read_text().splitlines()) == 201


def test_resuming_a_complete_run_changes_nothing(config: str, tmp_path: Path) -> None:
    percept_run(config, "fake:clips=3", "-o", "out.jsonl")
    before = (tmp_path / "out.jsonl").read_bytes()
    code, _, err = percept_run(config, "fake:clips=3", "-o", "out.jsonl", "--resume")
    assert code == 0, err
    assert (tmp_path / "out.jsonl").read_bytes() == before


@pytest.mark.parametrize("format_name", ["jsonl", "json", "table", "csv"])
def test_a_reader_that_has_seen_enough_ends_the_run_quietly(config: str, format_name: str) -> None:
    at_the_end = format_name == "csv"  # a table of events is written at the end of a source
    child = start(config, f"fake:clips={30 if at_the_end else 3000}", "--format", format_name)
    assert child.stdout is not None
    if not at_the_end:
        child.stdout.readline()
    child.stdout.close()
    _, err = child.communicate(timeout=60)
    assert child.returncode == 141  # as a shell reports SIGPIPE
    assert err == ""


def test_a_full_disk_is_reported(config: str) -> None:
    code, _, err = percept_run(config, "fake:clips=50", "-o", "/dev/full")
    assert code == 5
    assert "cannot write /dev/full: no space left on device; 0 results are safe" in err


def test_other_labels_cannot_be_mixed_into_a_resumed_file(config: str, tmp_path: Path) -> None:
    child = start(config, "fake:clips=200", "-o", "out.jsonl")
    wait_for(lambda: lines_in(tmp_path / "out.jsonl") > 3, what="some results")
    child.send_signal(signal.SIGINT)
    child.communicate(timeout=30)
    code, _, err = percept_run(config, "fake:clips=200", "-o", "out.jsonl", "--resume", "--labels", "other")
    assert code == 2
    assert "was written with other labels" in err


def percept(config: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-P", "-m", "commands.main", *arguments]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(
        command, env=environment, text=True, capture_output=True, timeout=60, check=False, cwd=Path(config).parent
    )


def test_check_prints_the_plan_and_the_sources(config: str) -> None:
    done = percept(config, "check", "-v", "-c", config, "fake:clips=3")
    assert done.returncode == 0, done.stderr
    assert "fake_model  model   frames" in done.stdout
    assert "track   1          " in done.stdout
    assert "MB of shared memory" in done.stdout
    assert "fake:clips=3:  64×48" in done.stdout
    assert done.stdout.startswith("sources\n"), "they are opened before networks are loaded"
    assert percept(config, "check", "-c", config, "fake:unopenable=1").returncode == 3


def test_engine_build_prepares_the_engines(config: str) -> None:
    done = percept(config, "engine", "build", "-c", config)
    assert done.returncode == 0
    networks = [line.split("  ")[0] for line in done.stdout.splitlines() if not line.startswith(" ")]
    assert networks == ["image", "motion", "audio", "detector", "image with motion", "image with audio"]
    assert "ready" in done.stderr
    assert percept(config, "engine", "bild").returncode == 2


def test_a_name_that_is_not_utf8_is_refused(config: str, tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9.mp4")
    (tmp_path / name).write_bytes(b"")
    code, _, err = percept_run(config, "*.mp4")
    assert code == 2
    assert "caf\\udce9.mp4: the name is not UTF-8" in err


def test_the_password_and_token_of_a_url_are_never_written(config: str, tmp_path: Path) -> None:
    url, output = "http://user:pass-word@127.0.0.1:9/talk.mp4?token=to-ken", tmp_path / "out.jsonl"
    code, out, err = percept_run(
        config, url, "-o", str(output), "--events", "--set", "decode.factory=stages.decode.reader:make_reader"
    )
    assert code == 3
    (record,) = (json.loads(line) for line in output.read_text().splitlines() if '"summary"' not in line)
    assert record["source"] == "http://***@127.0.0.1:9/talk.mp4?token=***"
    assert "Connection refused" in record["error"]
    written = out + err + "".join(path.read_text() for path in tmp_path.iterdir() if path.suffix != ".toml")
    assert "pass-word" not in written
    assert "to-ken" not in written
