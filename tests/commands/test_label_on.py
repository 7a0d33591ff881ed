"""`percept label --on`: real children, a real Ray cluster, processes that are killed, and the same rows."""

import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest

from archive.shard import facts_of, read_table, vectors_in
from commands.label_on import where
from tests.conftest import ROOT
from tests.media import Sound, make_video

SOURCES = 24
TIMEOUT_S = 150.0


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sources of one or two clips, no two the same."""
    folder = tmp_path_factory.mktemp("many") / "videos"
    folder.mkdir()
    for number in range(SOURCES):
        make_video(folder / f"{number:02}.mp4", seconds=1.5 + number / 20, size=(64, 48), audio=Sound())
    return folder


@pytest.fixture(scope="module")
def expected(videos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    archive = tmp_path_factory.mktemp("expected")
    run = start(videos, archive)
    _, said = run.communicate(timeout=TIMEOUT_S)
    assert run.returncode == 0, said
    return archive


def start(videos: Path, archive: Path, *more: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [
            sys.executable,
            "-P",
            "-m",
            "commands.main",
            "label",
            str(videos),
            "-o",
            str(archive),
            "--labels",
            "dog, rain",
            *more,
        ],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT), "PERCEPT_TEST": str(archive)},
        stderr=subprocess.PIPE,
        text=True,
    )


def rows(archive: Path) -> dict[tuple[str, int], "np.typing.NDArray[np.float32]"]:
    """The picture's vector of every row. A row that is there twice is refused."""
    found = {}
    for path in archive.rglob("*.parquet"):
        table = read_table(str(path))
        vectors = vectors_in(table["image_vector"]).astype(np.float32)
        for source, clip, vector in zip(table["source"].to_pylist(), table["clip"].to_pylist(), vectors, strict=True):
            assert (source, clip) not in found
            found[source, clip] = vector
    return found


def same_rows(archive: Path, expected: Path) -> None:
    ours, theirs = rows(archive), rows(expected)
    assert ours.keys() == theirs.keys()
    assert len({source for source, _ in ours}) == SOURCES
    for key, vector in ours.items():
        assert vector @ theirs[key] > 0.999


def once_some_are_done(archive: Path, process: "subprocess.Popen[str]") -> None:
    until_s = time.monotonic() + TIMEOUT_S
    while len(list(archive.rglob("*.parquet"))) < 2:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until_s
        time.sleep(0.02)


def of_run(archive: Path) -> Iterator[psutil.Process]:
    """The processes of a run, wherever they were started from."""
    for process in psutil.process_iter():
        try:
            if process.environ().get("PERCEPT_TEST") == str(archive):
                yield process
        except psutil.Error:
            continue


def kill_one(archive: Path, is_wanted: Callable[[list[str]], bool]) -> None:
    """SIGKILL to one of those processes of a run whose command line is wanted, at a random moment."""
    time.sleep(random.uniform(0, 0.5))
    found = [process for process in of_run(archive) if is_wanted(process.cmdline())]
    assert found
    os.kill(random.choice(found).pid, signal.SIGKILL)


def is_child(command: list[str]) -> bool:
    return "--order" in command


@pytest.mark.minutes
@pytest.mark.timeout(400)
def test_a_killed_child_and_a_stopped_run_cost_no_rows(videos: Path, expected: Path, tmp_path: Path) -> None:
    archive = tmp_path / "labels"
    run = start(videos, archive, "--on", "local:2")
    once_some_are_done(archive, run)
    kill_one(archive, is_child)
    time.sleep(0.5)
    run.send_signal(signal.SIGINT)
    _, said = run.communicate(timeout=TIMEOUT_S)
    if run.returncode:  # unless it was done before
        assert run.returncode == 130, said
        assert not [process.cmdline() for process in of_run(archive)], "no process is left"
        assert int(re.findall(r"\bsources_left=(\d+)", said)[-1]) > 0
    run = start(videos, archive, "--on", "local:2")
    _, said = run.communicate(timeout=TIMEOUT_S)
    assert run.returncode == 0, said
    same_rows(archive, expected)


@pytest.mark.minutes
@pytest.mark.timeout(400)
def test_a_killed_worker_of_a_ray_cluster_costs_no_rows(videos: Path, expected: Path, tmp_path: Path) -> None:
    pytest.importorskip("ray")
    archive = tmp_path / "labels"
    run = start(videos, archive, "--on", "ray", "--cores-per-child", "1")
    once_some_are_done(archive, run)
    kill_one(archive, lambda command: bool(command) and command[0].startswith("ray::run_child"))
    _, said = run.communicate(timeout=TIMEOUT_S)
    assert run.returncode == 0, said
    assert "child processes that died: 1" in said
    assert f"sources={SOURCES} sources_labelled={SOURCES} sources_failed=0" in said
    same_rows(archive, expected)


@pytest.mark.minutes
def test_a_child_refuses_an_order_that_it_would_fulfil_otherwise(videos: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-P", "-m", "commands.main", "label", "-o", str(tmp_path), "--labels", "dog", "--order"],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        input='{"sources": [["/v/a.mp4", "v/a.mp4"]], "config": "another", "words": "another"}',
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 2
    assert "the config of this machine" in done.stderr
    assert not list(tmp_path.iterdir())


def test_places() -> None:
    assert where("local:4") == ("local", "4")
    assert where("ray") == ("ray", "")
    assert where("ray:auto") == ("ray", "auto")
    assert where("ray:10.0.0.1:6379") == ("ray", "10.0.0.1:6379")
    for wrong in ("", "local", "local:0", "local:-1", "local:x", "slurm"):
        with pytest.raises(Exception, match="is no place to run; expected local:N, ray or ray:ADDRESS"):
            where(wrong)


def test_a_failed_source_has_a_file_that_says_why(tmp_path: Path) -> None:
    from archive.batches import Task
    from archive.store import store_of
    from archive.verdict import Asked
    from commands.labelling_on import put_failed

    asked = Asked("c", "w", "m")
    put_failed(store_of(str(tmp_path)), Task("/v/a.mp4", "v/a.mp4"), "its process was killed by signal 9", asked)
    path = tmp_path / "v" / "a.mp4.parquet"
    facts = facts_of(str(path), "a")
    assert (facts.clips, facts.labelled, facts.config, facts.words) == (1, 0, "c", "w")
    assert facts.error == "/v/a.mp4: its process was killed by signal 9"
    assert read_table(str(path))["error"].to_pylist() == [facts.error]
    assert read_table(str(path))["clip"].to_pylist() == [-1]
