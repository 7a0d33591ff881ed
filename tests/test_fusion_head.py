"""Whole runs of a model with a fusion head, from a file to its records."""

from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

import percept
from engines.models.checkpoint import read_model
from engines.models.model import FusionSpec
from engines.models.model_file import write_model
from engines.networks.fusion import save_fusion
from pipeline.result import ClipRecord, Evidence
from tests.fusion_heads import make_head
from tests.media import Sound, make_video

LABELS = ["dog", "rain", "sheep", "applause"]


def with_head(directory: Path, gate: float | None) -> Path:
    """percept-mini with a head of its own, or without one."""
    spec = replace(read_model("percept-mini"), name=directory.name, fusion=None)
    if gate is not None:
        dims = {name: spec.texts[tower.space].dim for name, tower in spec.towers().items()}
        save_fusion(make_head(gate, **dims), directory / "fusion")
        (directory / "fusion" / "base-labels.txt").write_text("Dog\nrain\n")
        spec = replace(spec, fusion=FusionSpec(directory=str(directory / "fusion")))
    write_model(spec, directory)
    return directory


def said_alone(result: ClipRecord) -> list[dict[str, Evidence]]:
    """What each modality said of each label: all but what it adds, which the head is part of."""
    labels = sorted(result.labels, key=lambda label: label.label)
    return [{name: replace(each, contribution=None) for name, each in label.evidence.items()} for label in labels]


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_an_untrained_head_changes_no_record_and_an_open_one_does(tmp_path: Path) -> None:
    video = tmp_path / "a.mp4"
    make_video(video, seconds=4, audio=Sound())

    def records(name: str, gate: float | None) -> list[Any]:
        model = with_head(tmp_path / name, gate)
        results = list(percept.run(video, model=str(model), labels=LABELS, engine="torch"))
        assert {result.model for result in results} == {f"{name}@{read_model(str(model)).version}"}
        return [replace(result, model="") for result in results]

    without, untrained, trained = records("without", None), records("untrained", 0.0), records("trained", 2.0)
    assert len(without) == 2
    assert untrained == without
    assert not any(result.error or result.failed for result in trained)
    assert [result.labels for result in trained] != [result.labels for result in without]
    assert [said_alone(result) for result in trained] == [said_alone(result) for result in without]
