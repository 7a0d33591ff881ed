"""The config for GPU machines gives the results of the default one, also without a GPU."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.build import make_plan
from pipeline.config import load_config

ROOT = Path(__file__).resolve().parent.parent
BUNDLED = ROOT / "engines" / "bundled"


def labelled(folder: Path, config: str, *more: str) -> tuple[list[dict[str, Any]], str]:
    """The records of the first eight seconds of the bundled sample, twice, and stderr."""
    sources = [folder / name for name in ("one.mp4", "two.mp4")]
    for source in sources:
        if not source.exists():
            source.symlink_to(BUNDLED / "sample.mp4")
    out = folder / f"{config}.jsonl"
    command = [sys.executable, "-m", "commands.main", "run", *map(str, sources), "-o", str(out), "-c", config]
    command += [
        "--labels",
        f"@{BUNDLED / 'sample.labels.txt'}",
        "--device",
        "cpu",
        "--engine",
        "onnxruntime",
        "--end",
        "8",
        *more,
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in out.read_text().splitlines()], done.stderr


def check_tracks(mine: list[dict[str, Any]], theirs: list[dict[str, Any]]) -> None:
    assert [(track["id"], track.get("label")) for track in mine] == [(t["id"], t.get("label")) for t in theirs]
    for track, other in zip(mine, theirs, strict=True):
        np.testing.assert_allclose(track["boxes"], other["boxes"], atol=0.2)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_it_gives_the_results_of_the_default_config(tmp_path: Path) -> None:
    one_by_one, _ = labelled(tmp_path, "default")
    together, stderr = labelled(tmp_path, "gpu", "--set", "decode.workers=2")
    assert "mean_batch_model=" in stderr
    assert len(together) == len(one_by_one) == 8
    assert any(record["tracks"] for record in together)
    for mine, theirs in zip(together, one_by_one, strict=True):
        check_tracks(mine.pop("tracks"), theirs.pop("tracks"))
        for label, other in zip(mine.pop("labels"), theirs.pop("labels"), strict=True):
            assert label["label"] == other["label"]
            for number in ("probability", "share"):
                assert label[number] == pytest.approx(other[number], abs=1e-3)
            assert label["evidence"].keys() == other["evidence"].keys()
        assert mine == theirs


def test_only_one_process_loads_networks() -> None:
    plan = make_plan(load_config("gpu"))
    (model,) = [group for group in plan.groups if "encode" in group.stages]
    assert (model.workers, model.batch) == (1, 16)
    others = [name for group in plan.groups if group is not model for name in group.stages]
    assert set(others) == {"flow", "spectrogram", "detect", "signals", "track"}
    assert {"frames", "flow", "log_mel"} <= set(plan.layout.regions)
    assert "image_tokens" not in plan.shared
