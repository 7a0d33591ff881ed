import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.clip import Absent, Clip, ClipInfo
from pipeline.stage import Budget, Resources, RunSettings
from stages.classify import Classify, score
from stages.words import scoring
from stages.words.labels import LABELS_FILE, LabelSet, LabelSide
from stages.words.reliability import reliability, signal_weight

DIM = 64
WORDS = {f"word {i}": i for i in range(60)}
LOUD = {"image": {"contrast": 0.2, "corrupt_share": 0.0}, "audio": {"loudness_dbfs": -20.0}}


def vector(name: str) -> np.ndarray:
    """The text vector of a word: one axis of its own."""
    return np.eye(DIM)[WORDS[name]]


def embedding(**parts: float) -> np.ndarray:
    """A unit vector with each word in this proportion (`word_3=0.9`), and a little noise."""
    x = np.random.default_rng(5).normal(size=DIM) * 0.02
    for name, value in parts.items():
        x += value * vector(name.replace("_", " "))
    return x / np.linalg.norm(x)


def label_set(*labels: str, sides: tuple[str, ...] = ("image", "audio")) -> LabelSet:
    matrix, background = np.stack([vector(label) for label in labels]), np.eye(DIM)[:60]
    kept = scoring.competing(matrix, background).astype(np.float64)
    return LabelSet(labels, dict.fromkeys(sides, LabelSide(matrix, background, kept, 0.1, 0.0)), tuple(WORDS))


def by_label(rows: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {row["label"]: row for row in rows}


def odds(row: dict[str, Any]) -> float:
    return float(np.log(row["probability"]) - np.log1p(-row["probability"]))


SEEN_AND_HEARD = {"image": embedding(word_3=0.9, word_4=0.3), "audio": embedding(word_8=0.8, word_3=0.1)}


def test_another_label_changes_no_other_odds() -> None:
    few = by_label(score(label_set("word 3", "word 8"), SEEN_AND_HEARD, LOUD, 9))
    more = by_label(score(label_set("word 4", "word 3", "word 9", "word 8"), SEEN_AND_HEARD, LOUD, 9))
    for name in few:
        assert odds(more[name]) == pytest.approx(odds(few[name]), abs=1e-6)
        for modality, of in few[name]["evidence"].items():
            assert more[name]["evidence"][modality] == pytest.approx(of)
        assert more[name]["share"] < few[name]["share"]


def test_the_order_of_labels_does_not_matter() -> None:
    names = ["word 3", "word 8", "word 4", "word 20", "word 21"]
    one, other = (score(label_set(*order), SEEN_AND_HEARD, LOUD, 4) for order in (names, names[::-1]))
    assert [row["label"] for row in one] == [row["label"] for row in other]
    assert [odds(row) for row in one] == pytest.approx([odds(row) for row in other], abs=1e-6)
    assert [row["share"] for row in one] == pytest.approx([row["share"] for row in other], abs=1e-9)


def test_silence_does_not_change_the_scores_of_the_picture() -> None:
    names = label_set("word 3", "word 8", "word 4")
    silent = LOUD | {"audio": {"loudness_dbfs": -90.0}}
    both, alone = score(names, SEEN_AND_HEARD, silent, 3), score(names, {"image": SEEN_AND_HEARD["image"]}, LOUD, 3)
    assert [row["label"] for row in both] == [row["label"] for row in alone]
    assert [row["probability"] for row in both] == [row["probability"] for row in alone]
    assert both[0]["evidence"]["audio"]["weight"] == 0.0


def test_a_black_picture_hardly_changes_the_scores_of_the_sound() -> None:
    names = label_set("word 3", "word 8", "word 4")
    black = LOUD | {"image": {"contrast": 0.0, "corrupt_share": 0.0}}
    both, alone = score(names, SEEN_AND_HEARD, black, 3), score(names, {"audio": SEEN_AND_HEARD["audio"]}, LOUD, 3)
    assert both[0]["label"] == "word 8"
    assert both[0]["probability"] == pytest.approx(alone[0]["probability"], abs=0.05)


def test_a_confident_picture_and_an_off_screen_sound_are_both_kept() -> None:
    seen, heard = embedding(word_3=0.95), embedding(word_8=0.95)
    rows = score(label_set(*WORDS), {"image": seen, "audio": heard}, LOUD, 2)
    assert {row["label"] for row in rows} == {"word 3", "word 8"}
    assert all(row["probability"] > 0.5 for row in rows)


def test_one_wrong_label_alone_is_improbable() -> None:
    assert score(label_set("word 20"), SEEN_AND_HEARD, LOUD, 5)[0]["probability"] < 0.05
    assert score(label_set("word 20"), SEEN_AND_HEARD, LOUD, 5)[0]["share"] == 1.0
    assert score(label_set("word 3"), SEEN_AND_HEARD, LOUD, 5)[0]["probability"] > 0.5


def test_weights_are_those_that_the_pool_multiplies_with() -> None:
    row = score(label_set("word 3"), SEEN_AND_HEARD, LOUD, 1)[0]
    evidence = row["evidence"]
    absent = math.prod(1 - of["weight"] * of["probability"] for of in evidence.values())
    assert row["probability"] == pytest.approx(1 - absent, abs=1e-12)
    assert all(0 < of["weight"] < 1 for of in evidence.values())
    alone = score(label_set("word 8"), {"audio": SEEN_AND_HEARD["audio"]}, LOUD, 1)[0]
    heard = alone["evidence"]["audio"]
    assert alone["probability"] == pytest.approx(heard["weight"] * heard["probability"], abs=1e-12)
    assert evidence["image"]["similarity"] == pytest.approx(float(SEEN_AND_HEARD["image"] @ vector("word 3")))


@pytest.mark.parametrize("silence_dbfs", [-20.0, -58.0, -90.0])
def test_contributions_and_the_base_sum_to_the_log_odds_of_every_label(silence_dbfs: float) -> None:
    signals = LOUD | {"audio": {"loudness_dbfs": silence_dbfs}}
    rows = score(label_set(*WORDS), SEEN_AND_HEARD, signals, 60)
    for row in rows:
        added = sum(of["contribution"] for of in row["evidence"].values())
        assert row["base_log_odds"] + added == pytest.approx(odds(row), abs=1e-9)
    assert len({row["base_log_odds"] for row in rows}) == 1
    seen, heard = by_label(rows)["word 3"]["evidence"], by_label(rows)["word 8"]["evidence"]
    assert seen["image"]["contribution"] > 3 > seen["audio"]["contribution"]
    assert (heard["audio"]["contribution"] == 0.0) is (silence_dbfs == -90.0)


def test_without_any_weight_contributions_add_up_with_the_weight_that_replaces_it() -> None:
    dark = {"image": {"contrast": 0.0}, "audio": {"loudness_dbfs": -90.0}}
    row = score(label_set("word 3"), SEEN_AND_HEARD, dark, 1)[0]
    assert [of["weight"] for of in row["evidence"].values()] == [scoring.LEAST_WEIGHT] * 2
    added = sum(of["contribution"] for of in row["evidence"].values())
    assert row["base_log_odds"] + added == pytest.approx(odds(row), abs=1e-9)


def test_top_k_keeps_the_best_and_orders_ties_by_name() -> None:
    names = label_set("word 50", "word 3", "word 51")
    flat = {"image": np.eye(DIM)[63]}
    assert [row["label"] for row in score(names, flat, LOUD, 2)] == ["word 3", "word 50"]
    assert score(names, flat, LOUD, 0) == []
    assert len(score(names, flat, LOUD, 99)) == 3


def test_the_embedding_of_a_fusion_head_scores_too() -> None:
    names = label_set("word 3", "word 8", "word 30", sides=("image", "audio", "fused"))
    rows = by_label(score(names, SEEN_AND_HEARD | {"fused": embedding(word_30=0.9)}, LOUD, 3))
    assert (
        rows["word 30"]["evidence"]["fused"]["probability"] > 0.5 > rows["word 30"]["evidence"]["image"]["probability"]
    )


@pytest.mark.parametrize(
    ("modality", "signals", "weight"),
    [
        ("image", {"image": {"contrast": 0.0}}, 0.0),
        ("image", {"image": {"contrast": 0.2, "corrupt_share": 1.0}}, 0.0),
        ("image", {"image": {"contrast": 0.2}}, 1.0),
        ("image", {"image": {"contrast": 0.2}, "motion": {"energy": 9.0}}, 0.7),
        ("motion", {"motion": {"energy": 0.0}}, 0.0),
        ("motion", {"motion": {"energy": 0.5}}, 1.0),
        ("audio", {"audio": {"loudness_dbfs": -80.0}}, 0.0),
        ("audio", {"audio": {"loudness_dbfs": -20.0}}, 1.0),
        ("audio", {"audio": {"loudness_dbfs": float("-inf")}}, 0.0),
        ("audio", {"audio": {"loudness_dbfs": -58.0, "normalised_dbfs": -30.0}}, 1.0),
        ("audio", {"audio": {"loudness_dbfs": -20.0, "normalised_dbfs": -75.0}}, 0.0),
        ("audio", {"audio": {"loudness_dbfs": -65.0, "normalised_dbfs": -65.0}}, 0.2),
        ("audio", {}, 1.0),
    ],
)
def test_weights_follow_the_signal(modality: str, signals: dict[str, dict[str, float]], weight: float) -> None:
    assert signal_weight(modality, signals) == pytest.approx(weight)
    assert 0.0 <= reliability(modality, signals, 0.0) <= reliability(modality, signals, 1.0) <= weight


@pytest.mark.parametrize(
    ("signals", "weight"),
    [
        ({"motion": {"energy": 0.0}, "image": {"contrast": 0.2}}, 1.0),
        ({"motion": {"energy": 0.0}, "image": {"contrast": 0.0}}, 0.0),
        ({"motion": {"energy": 0.5}}, 1.0),
    ],
)
def test_a_tower_that_knows_stillness_is_trusted_when_nothing_moves(
    signals: dict[str, dict[str, float]], weight: float
) -> None:
    assert signal_weight("motion", signals, knows_stillness=True) == weight
    assert reliability("motion", signals, 1.0, knows_stillness=True) == pytest.approx(0.9 * weight)


@pytest.mark.parametrize("knows", [False, True])
def test_stillness_is_scored_only_by_a_tower_that_knows_it(knows: bool, tmp_path: Path) -> None:
    names = label_set("word 3", "word 8", sides=("image", "motion"))
    side = replace(names.sides["motion"], knows_stillness=knows)
    replace(names, sides=names.sides | {"motion": side}).save(tmp_path / LABELS_FILE)
    still = LOUD | {"motion": {"energy": 0.0}}
    seen = {"image": embedding(word_8=0.9), "motion": embedding(word_3=0.9)}
    rows = by_label(score(LabelSet.load(tmp_path / LABELS_FILE), seen, still, 2))
    assert (rows["word 3"]["probability"] > 0.5) == knows


@pytest.fixture
def stage(tmp_path: Path) -> Classify:
    label_set("word 3", "word 8").save(tmp_path / LABELS_FILE)
    stage = Classify(Classify.Options(), RunSettings(directory=str(tmp_path), top_k=1), Budget())
    stage.open(Resources())
    return stage


INFO = ClipInfo(source="a", source_index=0, index=0, start_ns=0, end_ns=1)


def test_the_stage_scores_the_present_modalities(stage: Classify) -> None:
    arrays = {"audio_embedding": SEEN_AND_HEARD["audio"].astype(np.float32), "signals": LOUD}
    rows = stage.process(Clip(INFO, arrays, {"image_embedding": "no_stream", "motion_embedding": "no_tower"}))["labels"]
    assert [row["label"] for row in rows] == ["word 8"]
    assert set(rows[0]["evidence"]) == {"audio"}
    assert stage.describe() == {"labels": "2, compared with 60 background words"}


def test_a_clip_without_any_modality_has_no_labels_but_a_reason(stage: Classify) -> None:
    absent = {"image_embedding": "no_stream", "motion_embedding": "no_tower", "audio_embedding": "failed"}
    assert stage.process(Clip(INFO, {"signals": {}}, absent))["labels"] == Absent("failed")
    absent["audio_embedding"] = "no_stream"
    assert stage.process(Clip(INFO, {"signals": {}}, absent))["labels"] == Absent("no_stream")


def test_scoring_needs_no_torch(stage: Classify, tmp_path: Path) -> None:
    import subprocess
    import sys

    code = (
        "import sys; from pathlib import Path; from pipeline.stage import *; from stages.classify import Classify;"
        f"s = Classify(Classify.Options(), RunSettings(directory={str(tmp_path)!r}), Budget()); s.open(Resources());"
        "sys.exit('torch' in sys.modules)"
    )
    root = Path(__file__).resolve().parents[2]
    assert subprocess.run([sys.executable, "-c", code], cwd=root, timeout=60, check=False).returncode == 0


def test_probable_labels_that_mean_nearly_the_same_name_each_other() -> None:
    found = label_set("word 3", "word 8", "word 20")
    same = {name: replace(side, labels=side.labels[[0, 1, 0]]) for name, side in found.sides.items()}
    labels = replace(found, labels=("car", "rain", "automobile"), sides=same)
    rows = by_label(score(labels, SEEN_AND_HEARD, LOUD, 9))
    assert (rows["car"]["near"], rows["automobile"]["near"]) == (["automobile"], ["car"])
    assert "near" not in rows["rain"]
