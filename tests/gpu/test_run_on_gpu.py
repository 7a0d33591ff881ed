"""Whole runs with the networks on a GPU."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pipeline.result import ClipRecord, decode_json

pytestmark = [pytest.mark.gpu, pytest.mark.slow]

SAMPLE = Path(__file__).resolve().parents[2] / "engines" / "bundled" / "sample.mp4"
WORKERS = """
[[groups]]
name = "analyse"
stages = ["flow", "spectrogram", "detect", "encode", "fuse", "classify"]
workers = {workers}

[[groups]]
name = "track"
stages = ["track"]
"""


def labelled(folder: Path, *arguments: str, workers: int = 1) -> list[ClipRecord]:
    config = folder / "config.toml"
    config.write_text(WORKERS.format(workers=workers))
    command = [sys.executable, "-m", "commands.main", "run", str(SAMPLE), "-c", str(config), "-o", "-", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-4000:]
    return [decode_json(line) for line in done.stdout.splitlines() if '"clip"' in line]


@pytest.fixture(scope="module")
def on_cpu(tmp_path_factory: pytest.TempPathFactory) -> list[ClipRecord]:
    return labelled(tmp_path_factory.mktemp("cpu"), "--device", "cpu", "--engine", "torch", "--precision", "fp32")


@pytest.mark.parametrize(("precision", "apart"), [("fp32", 0.02), ("bf16", 0.15)])
@pytest.mark.parametrize("workers", [1, 2])
def test_labels_equal_those_of_the_cpu(
    on_cpu: list[ClipRecord], tmp_path: Path, precision: str, apart: float, workers: int
) -> None:
    got = labelled(
        tmp_path, "--device", "cuda", "--engine", "torch", "--precision", precision, "--top-k", "1000", workers=workers
    )
    assert [record.clip for record in got] == [record.clip for record in on_cpu]
    for ours, theirs in zip(got, on_cpu, strict=True):
        assert ours.error is None
        assert not ours.failed
        assert f"torch-{precision}" in ours.engine
        probability: dict[str, Any] = {label.label: label.probability for label in ours.labels or []}
        for label in theirs.labels or []:
            assert abs(probability[label.label] - label.probability) <= apart
