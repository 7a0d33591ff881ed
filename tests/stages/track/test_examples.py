"""Things asked for by an example: how it is written, what picture it is, and which tracks are like it."""

import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from pipeline.errors import ConfigError, SourceError
from pipeline.stage import RunSettings
from stages.track.examples import Example, Examples, check_examples
from tests.conftest import ROOT

SAMPLE = ROOT / "engines" / "bundled" / "sample.mp4"


@pytest.mark.parametrize(
    ("text", "path", "time_s", "box"),
    [
        ("photo.jpg", "photo.jpg", 0, (0, 0, 1, 1)),
        ("a/clip.mp4@12s", "a/clip.mp4", 12, (0, 0, 1, 1)),
        ("clip.mp4@1:05.5:0.1,0.2,0.4,0.9", "clip.mp4", 65.5, (0.1, 0.2, 0.4, 0.9)),
        ("photo.jpg:0.1,0.2,0.4,0.9", "photo.jpg", 0, (0.1, 0.2, 0.4, 0.9)),
        ("http://host:8000/a.mp4@1:02:03", "http://host:8000/a.mp4", 3723, (0, 0, 1, 1)),
        ("me@home.jpg", "me@home.jpg", 0, (0, 0, 1, 1)),
    ],
)
def test_an_example_is_a_file_a_time_and_a_box(
    text: str, path: str, time_s: float, box: tuple[float, float, float, float]
) -> None:
    assert Example.parse(text) == Example(path, time_s, box)


@pytest.mark.parametrize("box", ["0.1,0.2,0.1,0.9", "10,20,100,200", "0.5,0.2,0.1,0.9", "-0.1,0,1,1", "1.1.1,0,1,1"])
def test_a_box_that_is_none_is_refused(box: str) -> None:
    with pytest.raises(ConfigError, match="x0,y0,x1,y1"):
        Example.parse(f"photo.jpg:{box}")


def test_the_picture_is_that_of_the_moment(tmp_path: Path) -> None:
    photo = tmp_path / "photo.png"
    cv2.imwrite(str(photo), np.full((48, 64, 3), (255, 0, 0), np.uint8))
    assert Example(str(photo)).picture()[20, 30] == pytest.approx((0, 0, 255), abs=3)
    early, late = (Example(str(SAMPLE), time_s).picture() for time_s in (1.0, 5.0))
    assert early.shape == late.shape == (270, 480, 3)
    assert np.abs(early.astype(int) - late).mean() > 20
    with pytest.raises(SourceError, match="nothing at or after the start of 99 s"):
        Example(str(SAMPLE), 99.0).picture()


def test_what_cannot_be_looked_at_is_told_before_the_run(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.jpg: there is no such file"):
        check_examples(RunSettings(like=(f"{tmp_path}/nowhere.jpg@3s",)))
    with pytest.raises(ConfigError, match="expected a model that has one, and"):
        check_examples(RunSettings(like=(str(SAMPLE),), modalities=("audio",)))


def test_an_example_without_a_picture_is_refused_before_the_run(tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_text("no picture")
    for text in (f"{tmp_path}/note.txt", f"{SAMPLE}@90s"):
        with pytest.raises(SourceError, match="--find-like: "):
            check_examples(RunSettings(like=(text,)))


def test_the_example_that_is_most_like_a_track_names_it(tmp_path: Path) -> None:
    np.savez(tmp_path / "examples.npz", names=np.array(["like a", "like b"]), vectors=np.eye(2, dtype=np.float32))
    examples = Examples.load(tmp_path / "examples.npz")
    assert examples.name(np.array([0.6, 0.8], np.float32), 0.7) == ("like b", pytest.approx(0.8))
    assert examples.name(np.array([0.6, 0.8], np.float32), 0.85) is None
    assert examples.name(np.ones(3, np.float32), 0.0) is None, "of another model"


@pytest.mark.slow
def test_a_run_follows_what_looks_like_a_box_in_another_picture(tmp_path: Path) -> None:
    example = f"{SAMPLE}@4.5s:0.1,0.05,0.5,0.95"
    out = tmp_path / "out.jsonl"
    command = ["-m", "commands.main", "run", str(SAMPLE), "--find-like", example, "-o", str(out), "-q"]
    done = subprocess.run([sys.executable, *command], cwd=ROOT, capture_output=True, text=True, timeout=170)
    assert done.returncode == 0, done.stderr
    records = [json.loads(line) for line in out.read_text().splitlines()]
    found = {record["clip"]: [track["label"] for track in record.get("tracks", ())] for record in records}
    assert found[2] == found[3] == ["like sample.mp4"], "the sheep"
    assert not any(found[clip] for clip in (0, 1, 4, 5, 6, 7)), "neither dog, cup nor ball"
