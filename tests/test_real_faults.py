"""The real pipeline, with real stages on real media, while its processes are killed."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from pipeline.config import Config, make_config
from pipeline.run import run
from pipeline.status import OutputSpec
from tests.media import Sound, make_video
from tests.pipeline.harassed import Killer, assert_nothing_leaked, harassed_run_of
from tests.pipeline.runs import read_records

ROOT = Path(__file__).resolve().parent.parent
SAMPLE = ROOT / "engines" / "bundled" / "sample.mp4"
WORDS = ["dog", "sheep", "rain", "birds singing", "siren"]
KILLS = 10


def config_of(**sections: Any) -> Config:
    return make_config({"labels": {"words": WORDS}, **sections})


def clean_results(folder: Path, *sources: Path) -> dict[tuple[str, int], dict[str, Any]]:
    """The records of an undisturbed run by name of the source and clip."""
    names, path = tuple(map(str, sources)), folder / "clean.jsonl"
    account = run(config_of(), names, [OutputSpec(path=str(path), sources=names)])
    assert account.exit_code == 0, account.messages
    return {(Path(record["source"]).name, record["clip"]): record for record in read_records(path)}


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_ten_kills_give_the_results_of_a_clean_run(tmp_path: Path) -> None:
    """Every kind of process is killed but the output process, whose death ends a run by design."""
    film = make_video(tmp_path / "film.mp4", seconds=12, fps=12.5, audio=Sound(), options={"bf": "3", "g": "50"})
    clean = clean_results(tmp_path, SAMPLE, film)
    sources = []
    for number in range(3):
        for source in (SAMPLE, film):
            link = tmp_path / str(number) / source.name
            link.parent.mkdir(exist_ok=True)
            link.symlink_to(source)
            sources.append(str(link))
    seed = int(time.time())
    print(f"seed {seed}")
    killer = Killer(seed, KILLS, every_clips=3, least_ready=2)
    slow = config_of(queue={"slots": 3, "credit": 1})
    ran, supervisor = harassed_run_of(slow, tmp_path, killer, *sources)
    assert killer.left == 0, "the run ended before all kills"
    assert killer.killed.keys() == {"decode", "group 0", "group 1", "light", "heavy"}
    assert ran.account.exit_code == 0, ran.account.messages
    assert_nothing_leaked(supervisor)
    assert [(record["source"], record["clip"]) for record in ran.records] == [
        (source, clip) for source in sources for name, clip in clean if name == Path(source).name
    ]
    for record in ran.records:
        check_same(record, clean[Path(record["source"]).name, record["clip"]])


def check_same(record: dict[str, Any], clean: dict[str, Any]) -> None:
    where = (record["source"], record["clip"])
    assert record["tracks"] == clean["tracks"], where
    assert record.get("absent") == clean.get("absent"), where
    labels = {label["label"]: label for label in record["labels"]}
    for label in clean["labels"]:
        same = labels[label["label"]]
        assert abs(same["probability"] - label["probability"]) < 1e-3, where
        assert same["evidence"].keys() == label["evidence"].keys(), where


@pytest.mark.slow
def test_killing_the_supervisor_leaves_no_process_and_no_memory(tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    arguments = [*[str(SAMPLE)] * 20, "--labels", ", ".join(WORDS), "-o", str(out)]
    shared_before = set(os.listdir("/dev/shm"))
    with subprocess.Popen(
        [sys.executable, "-m", "commands.main", "run", *arguments],
        cwd=ROOT,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"TMPDIR": str(tmp_path)},
    ) as process:
        deadline = time.monotonic() + 60
        while not out.exists() or not out.stat().st_size:
            assert time.monotonic() < deadline, "no result in 60 s"
            time.sleep(0.1)
        family = psutil.Process(process.pid).children(recursive=True)
        assert len(family) >= 5
        process.send_signal(signal.SIGKILL)
        process.wait(timeout=10)
        _, left = psutil.wait_procs(family, timeout=10)
    assert left == []
    assert set(os.listdir("/dev/shm")) <= shared_before
    assert list(tmp_path.glob("percept-*")) == []
    assert all(json.loads(line) for line in out.read_text().splitlines())
