"""Every block of the README is run, with small models instead of published ones; links and figures are checked."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from pipeline.result import decode_json
from tests.media import Sound, make_video
from tests.tiny_models import make_tiny_clap, make_tiny_clip

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()
BLOCK = re.compile(r"```(\w*)\n(.*?)```", re.DOTALL)
BLOCKS = BLOCK.findall(README)
SHELL = [text.splitlines() for kind, text in BLOCKS if not kind]
BESIDE = [
    text.splitlines()
    for page in ("engines", "measure")
    for kind, text in BLOCK.findall((ROOT / "docs" / f"{page}.md").read_text())
    if not kind
]
"""Blocks of pages that need models and files like those of the README."""
SAMPLE = ROOT / "engines" / "bundled" / "sample.mp4"

CAMERAS = """
labels = ["dog barking", "person"]

[page]
port = 0

[[camera]]
name = "door"
url = "talk.mp4"
realtime = true
"""
"""What the README calls cameras.toml. The film is over after four seconds, and with it the watch."""
CAMERA = "rtsp://user:secret@cam/1"
SMALL = {
    "percept watch": "--port 0 --state state --format jsonl",
    "--flow raft": "--model tiny --engine torch --set clips.fps=1 --end 2",
    "--model openai/": "--model tiny",
    "model init": "--image tiny --audio tiny-clap",
    "percept eval": "--model tiny",
    "engine verify": "--model tiny",
    "engine bench": "--model tiny --batch 1 --seconds 0.1",
}
"""Options that are added to a command, because it would need a hub, or minutes. The last option wins."""
REFUSED = {"engine quantize": 4}
"""A network of random weights does not pass the gate in int8."""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files that the commands name."""
    import torch

    from engines.networks.raft import RaftSmall

    folder = tmp_path_factory.mktemp("project")
    make_video(folder / "talk.mp4", seconds=4, audio=Sound())
    copies = ["lecture.mp4", "match.mp4", "videos/a.mp4", "videos/b.mp4"]
    copies += [f"clips/{number}.mp4" for number in range(4)]
    copies += [f"UCF101/{label}/v_{label}_g01_c01.mp4" for label in ("Archery", "Biking")]
    for copy in copies:
        (folder / copy).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(folder / "talk.mp4", folder / copy)
    (folder / "cameras.toml").write_text(CAMERAS)
    (folder / "words.txt").write_text("dog barking\nrain\ncar\n")
    (folder / "tree.txt").write_text("animal\n  dog\n  sheep\nweather\n  rain\n")
    (folder / "gist.json").write_text(json.dumps({"dog barking": ["a dog that barks at the camera"]}))
    make_tiny_clip(folder / "tiny")
    make_tiny_clap(folder / "tiny-clap")
    (folder / "MODEL").symlink_to("tiny")
    weights = {f"module.{name}": tensor for name, tensor in RaftSmall().state_dict().items()}
    torch.save(weights, folder / "raft-small.pth")
    return folder


def shell(command: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = os.environ | {"PATH": path, "HF_HUB_OFFLINE": "1"}
    return subprocess.run(
        ["bash", "-c", command], cwd=folder, env=environment, capture_output=True, text=True, timeout=170
    )


def test_there_are_blocks_of_every_kind() -> None:
    assert {kind for kind, _ in BLOCKS} == {"", "python", "text"}
    assert [lines[0].split()[0] for lines in SHELL] == ["make", *["percept"] * 4]


def test_it_is_short() -> None:
    assert len(README.splitlines()) < 150


def lasting(block: list[str]) -> Any:
    """A case that is left out unless asked for, if one of its commands takes about a minute."""
    lasts = any("quantize" in line for line in block)
    return pytest.param(block, marks=pytest.mark.minutes) if lasts else block


@pytest.mark.slow
@pytest.mark.parametrize(
    "block", [lasting(lines) for lines in [*SHELL[1:], *BESIDE]], ids=lambda lines: lines[-1].partition(" #")[0].strip()
)
def test_every_command_of_a_block_runs(block: list[str], project: Path) -> None:
    for line in block:
        command = line.partition(" #")[0].replace(CAMERA, "talk.mp4 --realtime")
        more = [options for part, options in SMALL.items() if part in command]
        done = shell(" ".join([command, *more]), project)
        expected = [code for part, code in REFUSED.items() if part in command] or [0]
        assert [done.returncode] == expected, f"{line}\n{done.stdout}\n{done.stderr}"


def test_every_make_target_exists() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = re.findall(r"^make (\w+)", "\n".join(SHELL[0]), re.MULTILINE)
    assert targets == ["demo", "test"]
    for target in targets:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_the_rows_are_those_that_the_sample_gives() -> None:
    """The labels and their probabilities, to a few points: engines round differently."""
    shown = re.findall(r"^(\d:\d\d)–\d:\d\d  (.*)$", README, re.MULTILINE)[:8]
    plan = ["-m", "commands.main", "run", str(SAMPLE), "--labels", f"@{SAMPLE.with_suffix('.labels.txt')}", "-q"]
    done = subprocess.run([sys.executable, *plan], cwd=ROOT, capture_output=True, text=True, timeout=170)
    assert done.returncode == 0, done.stderr
    for (_, row), line in zip(shown, done.stdout.splitlines(), strict=True):
        record = decode_json(line)
        given = {label.label: label.probability for label in record.labels or ()}
        for name, percent in re.findall(r"([a-z ]+?) (\d+) %", row):
            assert given[name.strip()] == pytest.approx(int(percent) / 100, abs=0.04), (line, name)
        shown_tracks = re.search(r"tracks: (.*)", row)
        counted = re.findall(r"(?:(\d+) × )?([a-z][a-z ]*)", shown_tracks[1] if shown_tracks else "")
        wanted = Counter({name: int(count or 1) for count, name in counted})
        assert Counter(track.label for track in record.tracks or ()) == wanted


def test_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / target).exists(), target


def test_figures_are_those_that_were_measured() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.table", "--check"], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_the_python_block_runs(tmp_path: Path) -> None:
    (code,) = (text for kind, text in BLOCKS if kind == "python")
    script = tmp_path / "five_lines.py"
    script.write_text(code.replace("talk.mp4", str(SAMPLE)))
    done = subprocess.run([sys.executable, str(script)], cwd=ROOT, capture_output=True, text=True, timeout=150)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 8
    assert "'rain'" in done.stdout
