"""The real pipeline, with real stages on real media, while its processes are killed."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.media import Sound, make_video

ROOT = Path(__file__).resolve().parent.parent
SAMPLE = ROOT / "engines" / "bundled" / "sample.mp4"
KILLS = 20
SPACING_S = 0.8
"""Long enough that a clip is not killed three times alone, which would rightly make it an error record."""


def command(out: Path, sources: list[str]) -> list[str]:
    words = "dog, sheep, rain, birds singing, siren"
    return [sys.executable, "-m", "commands.main", "run", *sources, "--labels", words, "-o", str(out)]


def results(path: Path) -> dict[tuple[str, int], dict[str, Any]]:
    return {(row["source"], row["clip"]): row for row in map(json.loads, path.read_text().splitlines())}


def workers(supervisor: psutil.Process) -> list[psutil.Process]:
    """What the fork servers forked, but for the output process, whose death ends a run by design."""
    found = []
    for server in supervisor.children():
        if not any("output" in word for word in server.cmdline()):
            found += server.children()
    return found


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_twenty_kills_give_the_results_of_a_clean_run(tmp_path: Path) -> None:
    film = tmp_path / "film.mp4"
    make_video(film, seconds=20, fps=25, size=(640, 360), audio=Sound(), options={"bf": "3", "g": "50"})
    sources = [str(SAMPLE), str(film)] * 18
    links = [tmp_path / f"{number}-{Path(source).name}" for number, source in enumerate(sources)]
    for link, source in zip(links, sources, strict=True):
        link.symlink_to(source)
    names = [str(link) for link in links]
    subprocess.run(command(tmp_path / "clean.jsonl", names), cwd=ROOT, check=True, capture_output=True, timeout=300)
    seed = int(time.time())
    print(f"seed {seed}")
    chance, killed = random.Random(seed), 0
    log = tmp_path / "killed.log"
    slow = ["--set", "queue.slots=3", "--set", "queue.credit=1"]
    with (
        log.open("w") as words,
        subprocess.Popen([*command(tmp_path / "killed.jsonl", names), *slow], cwd=ROOT, stderr=words) as process,
    ):
        supervisor = psutil.Process(process.pid)
        while process.poll() is None:
            try:
                victim = chance.choice(workers(supervisor) or [None])
                if victim is not None and killed < KILLS + 4:
                    victim.kill()
                    killed += 1
            except psutil.NoSuchProcess:
                pass
            time.sleep(SPACING_S)
    said = log.read_text()
    assert killed >= KILLS, f"the run ended after {killed} kills"
    assert process.returncode == 0, said
    assert said.count("killed by SIGKILL") >= KILLS
    clean, after = results(tmp_path / "clean.jsonl"), results(tmp_path / "killed.jsonl")
    assert list(clean) == list(after)
    for key, row in clean.items():
        again = after[key]
        assert row["tracks"] == again["tracks"], key
        assert row.get("absent") == again.get("absent"), key
        same = {label["label"]: label for label in again["labels"]}
        for label in row["labels"]:
            assert abs(same[label["label"]]["probability"] - label["probability"]) < 1e-3, key
            assert same[label["label"]]["evidence"].keys() == label["evidence"].keys(), key


@pytest.mark.slow
def test_killing_the_supervisor_leaves_no_process_and_no_memory(tmp_path: Path) -> None:
    names = [str(SAMPLE)] * 20
    shared_before = set(os.listdir("/dev/shm"))
    with subprocess.Popen(
        command(tmp_path / "out.jsonl", names),
        cwd=ROOT,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"TMPDIR": str(tmp_path)},
    ) as process:
        deadline = time.monotonic() + 60
        while not (tmp_path / "out.jsonl").exists() or not (tmp_path / "out.jsonl").stat().st_size:
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
    assert all(json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines())
