"""Classify with a plain CLIP directory in transformers format."""

from pathlib import Path

import numpy as np

from pipeline.clip import Clip, ClipInfo
from pipeline.stage import Budget, Resources, RunSettings
from stages.classify import Classify
from stages.words.labels import LABELS_FILE, LabelSet
from tests.tiny_models import make_tiny_clip


def test_a_clip_directory_scores_labels_against_the_bundled_background(tmp_path: Path) -> None:
    model = make_tiny_clip(tmp_path / "clip")
    run = RunSettings(
        model=str(model), directory=str(tmp_path), cache_directory=str(tmp_path / "cache"), labels=("dog", "rain")
    )
    stage = Classify(Classify.Options(), run, Budget())
    messages: list[str] = []
    stage.prepare(messages.append)
    stage.open(Resources())
    assert any("encoding words" in message for message in messages)
    side = LabelSet.load(tmp_path / LABELS_FILE).sides["image"]
    embedding = np.asarray(side.labels[1], np.float32)
    info = ClipInfo(source="a", source_index=0, index=0, start_ns=0, end_ns=1)
    rows = stage.process(Clip(info, {"image_embedding": embedding}))["labels"]
    assert [row["label"] for row in rows] == ["rain", "dog"]
    assert rows[0]["evidence"]["image"]["similarity"] > 0.999
