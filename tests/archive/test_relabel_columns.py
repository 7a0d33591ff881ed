"""Columns of relabelled clips are those that a fresh run would have written."""

from typing import Any

import numpy as np
import pytest

from archive.relabel_columns import ColumnMaker, short
from archive.relabel_scores import BulkScorer, Embeddings
from archive.schema import row_of
from pipeline.arrays import Array
from pipeline.result import Category, ClipRecord, Evidence, Label, OpenSet
from stages.classify import rows, score_all, verdict
from stages.words.labels import LabelSet
from tests.archive.worded import clips_of, label_set, log_sums

LABELS = ("animal > dog", "animal > cat", "vehicle > car", "vehicle > truck", "rain", "music")
SIGNALS: dict[str, dict[str, float]] = {"image": {"contrast": 0.03}, "audio": {"normalised_dbfs": -50.0}}
SILENT: dict[str, dict[str, float]] = {"image": {"contrast": 0.0}, "audio": {"normalised_dbfs": -90.0}}


def answers_of(of: LabelSet, clip: dict[str, Array], signals: Any, top_k: int) -> tuple[dict[str, Any], Any]:
    """The row that a run writes, and the weights that it stores."""
    vectors = {name: vector.astype(np.float32) for name, vector in clip.items()}
    own = {name: vector for name, vector in vectors.items() if name in of.sides}
    fused = {name.removeprefix("fused_"): each for name, each in vectors.items() if name.startswith("fused_")}
    parts: dict[str, Any] = {}
    weights: Any = {}
    if own:
        scores = score_all(of, own, signals, {name: each for name, each in fused.items() if name in own})
        weights, found = scores.weights, verdict(of, scores)
        parts["labels"] = [
            Label(**row | {"evidence": {name: Evidence(**each) for name, each in row["evidence"].items()}})
            for row in rows(of, scores, top_k)
        ]
        if found["category"]:
            parts["category"] = Category(**found["category"])
        if found["open_set"]:
            parts["open_set"] = OpenSet(**found["open_set"])
    return row_of(ClipRecord(source="a", epoch=0, clip=0, start_s=0, end_s=2, parts=parts), {}, None), weights


def stored_of(of: LabelSet, clips: list[dict[str, Array]], weights: list[Any]) -> tuple[Any, Any]:
    sums = [log_sums(of, clip) for clip in clips]
    names = {name for clip in clips for name in clip}
    stored = {
        name: Embeddings(
            np.stack([clip.get(name, np.zeros(16, np.float16)) for clip in clips]),
            np.array([each.get(name, 0.0) for each in sums]),
            np.array([name in clip for clip in clips]),
        )
        for name in names
    }
    return stored, {name: np.array([each.get(name, np.nan) for each in weights]) for name in of.sides}


def assert_close(one: Any, other: Any) -> None:
    """Fields that say nothing are null or missing."""
    if isinstance(one, dict):
        for key in {*one, *other}:
            if one.get(key) or other.get(key):
                assert_close(one.get(key), other.get(key))
    elif isinstance(one, list):
        assert len(one) == len(other)
        for each, its in zip(one, other, strict=True):
            assert_close(each, its)
    else:
        assert one == (pytest.approx(other, abs=2e-5) if isinstance(other, float) else other)


@pytest.mark.parametrize("has_head", [False, True])
@pytest.mark.parametrize("signals", [SIGNALS, SILENT], ids=["heard", "silent and black"])
def test_they_are_those_of_a_run(has_head: bool, signals: Any) -> None:
    random = np.random.default_rng(7)
    of = label_set(random, LABELS, has_head=has_head, has_open_set=True)
    clips = [{}, *clips_of(random, 150, ("image", "audio", "fused_image", "fused_audio"))]
    wanted, weights = zip(*(answers_of(of, clip, signals, top_k=4) for clip in clips), strict=True)
    stored, trusted = stored_of(of, clips, list(weights))
    columns = ColumnMaker(of).columns(BulkScorer(of, top_k=4).score(stored, trusted))
    for name in ("labels", "category", "open_set"):
        found = columns[name].to_pylist()
        assert [each is None for each in found] == [row[name] is None for row in wanted], name
        for one, row in zip(found, wanted, strict=True):
            if one is not None:
                assert_close(one, row[name])
    assert {each["label"] for each in columns["category"].to_pylist() if each} >= {"animal", "vehicle"}
    assert len({each["none_of_these"] for each in columns["open_set"].to_pylist() if each}) == (
        1 + (signals is SIGNALS)
    )


def test_labels_that_mean_the_same_are_told() -> None:
    random = np.random.default_rng(8)
    of = label_set(random, ("dog", "dog barking", "rain"), ("image",))
    side = of.sides["image"]
    side.labels[1] = side.labels[0]
    clips = [{"image": side.labels[0].astype(np.float16)}, {"image": side.labels[2].astype(np.float16)}]
    wanted, weights = zip(*(answers_of(of, clip, SIGNALS, top_k=3) for clip in clips), strict=True)
    stored, trusted = stored_of(of, clips, list(weights))
    found = ColumnMaker(of).columns(BulkScorer(of, 3).score(stored, trusted))["labels"].to_pylist()
    near = [{row["label"]: row["near"] for row in clip} for clip in found]
    assert near[0] == {"dog": ["dog barking"], "dog barking": ["dog"], "rain": None}
    assert near == [{row["label"]: row.get("near") for row in clip["labels"]} for clip in wanted]


def test_scores_have_six_digits() -> None:
    values = np.array([0.0, 1.0, 0.123456789, 1e-7 / 3, -0.98765432, 4.56789012e-20])
    assert short(values).tolist() == pytest.approx([float(f"{value:.6g}") for value in values], rel=1e-15)
    assert short(np.array([0.123456789]))[0] == 0.123457
