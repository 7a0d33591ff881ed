"""The blocks of CONTRIBUTING.md, run as they are printed: written to disk, used from a config, seen in the output."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT
from tests.media import Sound, make_video
from tests.tiny_models import make_tiny_clip

TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
BLOCKS: list[tuple[str, str]] = re.findall(r"```(\w*)\n(.*?)```", TEXT, re.DOTALL)
FILES = {
    match[1]: block for kind, block in BLOCKS if kind in ("python", "toml") and (match := re.match(r"# (\S+)\n", block))
}
COMMANDS = [line for kind, block in BLOCKS if not kind for line in block.splitlines() if line]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's project: every file of the page, and a video called talk.mp4."""
    folder = tmp_path_factory.mktemp("project")
    for name, content in FILES.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(content)
    (folder / "mypackage" / "__init__.py").touch()
    make_video(folder / "talk.mp4", seconds=4, audio=Sound())
    make_tiny_clip(folder / "tiny")
    return folder


def run(project: Path, command: str, *more: str) -> "subprocess.CompletedProcess[str]":
    arguments = shlex.split(command)
    assert arguments.pop(0) == "percept"
    done = subprocess.run(
        [sys.executable, "-P", "-m", "commands.main", *arguments, *more],
        cwd=project,
        env=os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{project}"},
        capture_output=True,
        text=True,
        timeout=150,
    )
    assert done.returncode == 0, done.stderr
    return done


def records(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def command(containing: str) -> str:
    (found,) = (line for line in COMMANDS if containing in line)
    return found


def test_every_block_has_a_name_and_every_command_is_tried_here() -> None:
    assert all(kind in ("python", "toml", "") for kind, _ in BLOCKS)
    assert len(FILES) == sum(kind != "" for kind, _ in BLOCKS) == 7
    tried = ("run talk.mp4 -c brightness", "schema", "counts.toml", "colours", "reference.toml")
    assert sorted(COMMANDS) == sorted(map(command, tried))


def test_a_stage_adds_its_part_to_every_record(project: Path) -> None:
    run(project, command("run talk.mp4 -c brightness"), "--labels", "dog, rain")
    found = records(project / "bright.jsonl")
    assert [record["clip"] for record in found] == [0, 1]
    for record in found:
        assert 0 < record["brightness"]["mean"] < 255
        assert record["brightness"]["dark"] is (record["brightness"]["mean"] < 30.0)
        assert record["labels"]
        assert record["engine"]


def test_the_schema_has_the_part_and_its_type(project: Path) -> None:
    schema = json.loads(run(project, command("schema")).stdout)
    assert schema["properties"]["brightness"] == {
        "$ref": "#/$defs/Reading",
        "description": "Mean grey level of the clip, and whether it is dark.",
    }
    assert schema["$defs"]["Reading"]["properties"] == {"mean": {"type": "number"}, "dark": {"type": "boolean"}}
    assert {"labels", "tracks"} <= schema["properties"].keys()


def test_a_sink_writes_what_it_counted(project: Path) -> None:
    run(project, command("counts.toml"), "--labels", "dog, rain")
    likely = [row["label"] for record in records(project / "clips.jsonl") for row in record["labels"]
              if row["probability"] >= 0.1]  # fmt: skip
    counted = dict(reversed(line.split(" ", 1)) for line in (project / "labels.counts").read_text().splitlines())
    assert counted == {label: str(likely.count(label)) for label in set(likely)}


def test_a_reader_brings_sources_of_its_own_kind(project: Path) -> None:
    run(project, command("colours"), "--labels", "dog, rain", "--modalities", "image")
    (record,) = records(project / "colours.jsonl")
    assert (record["source"], record["width"], record["start_s"], record["end_s"]) == ("255,0,0", 64, 0.0, 2.0)
    assert record["labels"]


def test_a_backend_runs_the_towers_and_passes_the_gate(project: Path) -> None:
    """With a small model: NumPy takes minutes for the bundled one."""
    small = ("--model", "tiny", "--labels", "dog, rain", "--modalities", "image")
    run(project, command("reference.toml"), *small)
    run(project, "percept run talk.mp4 -o usual.jsonl --engine onnxruntime", *small)
    slow, usual = records(project / "slow.jsonl"), records(project / "usual.jsonl")
    assert {record["engine"] for record in slow} == {"reference-fp32"}
    for ours, theirs in zip(slow, usual, strict=True):
        assert [row["label"] for row in ours["labels"]] == [row["label"] for row in theirs["labels"]]
        assert ours["labels"][0]["probability"] == pytest.approx(theirs["labels"][0]["probability"], abs=1e-3)
