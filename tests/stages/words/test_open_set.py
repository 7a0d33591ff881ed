from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.models.model import ModelSpec
from pipeline.errors import ModelError
from stages.words import scoring
from stages.words.label_side import LabelSide
from stages.words.open_set import OpenSetScore, SourceClips, Usual, evidence, load, usual, write

DIM = 16
LOUD = {"image": {"contrast": 0.3}, "audio": {"loudness_dbfs": -20.0}}


def unit(*shape: int, seed: int = 0) -> np.ndarray:
    values = np.random.default_rng(seed).standard_normal(shape)
    return values / np.linalg.norm(values, axis=-1, keepdims=True)


def side(seed: int, labels: int = 4) -> LabelSide:
    words, background = unit(labels, DIM, seed=seed), unit(30, DIM, seed=seed + 1)
    return LabelSide(words, background, scoring.competing(words, background), temperature=0.1, bias=0.5)


SIDES = {"image": side(10), "audio": side(20)}


def clips(count: int = 30, silent: int = 5) -> SourceClips:
    audio = unit(count, DIM, seed=3)
    audio[:silent] = 0
    embeddings = {"image": unit(count, DIM, seed=2), "audio": audio}
    return SourceClips({name: of.astype(np.float32) for name, of in embeddings.items()}, [LOUD] * count)


def judged(fitted: OpenSetScore, sides: dict[str, LabelSide], seed: int) -> float:
    embedding = unit(1, DIM, seed=seed)
    odds = {name: of.compare(embedding)[2][0] for name, of in sides.items()}
    found = fitted.judge(odds, dict.fromkeys(odds, 0.8))
    return float(found["score"])


def test_a_label_is_compared_with_its_usual_scores() -> None:
    known = Usual(np.array([0.0, 3.0]), np.array([1.0, 2.0]))
    score = OpenSetScore(-1.5, {"image": known})
    fits = score.judge({"image": np.array([2.0, 3.0])}, {"image": 0.9})
    assert fits == {"score": pytest.approx(-2.0), "threshold": -1.5, "none_of_these": False}
    does_not = score.judge({"image": np.array([1.0, 4.0])}, {"image": 0.9})
    assert does_not["score"] == pytest.approx(-1.0)
    assert does_not["none_of_these"] is True


def test_only_the_relative_weights_of_modalities_count() -> None:
    odds = {"image": np.array([1.0, -2.0]), "audio": np.array([0.0, 3.0])}
    np.testing.assert_allclose(
        evidence(odds, {"image": 0.2, "audio": 0.1}), evidence(odds, {"image": 0.8, "audio": 0.4}), atol=1e-12
    )
    np.testing.assert_allclose(evidence({"image": odds["image"]}, {"image": 0.3}), odds["image"], atol=1e-12)


def test_the_order_of_labels_does_not_matter() -> None:
    order = [2, 0, 3, 1]
    turned = {
        name: LabelSide(of.labels[order], of.background, of.kept[order], of.temperature, of.bias)
        for name, of in SIDES.items()
    }
    one, other = (OpenSetScore(0.0, clips().usual(sides)) for sides in (SIDES, turned))
    for seed in range(40, 60):
        assert judged(one, SIDES, seed) == pytest.approx(judged(other, turned, seed), abs=1e-12)


def test_a_clip_without_sound_is_compared_with_pictures_alone() -> None:
    found = clips().usual(SIDES)
    assert set(found) == {"image", "audio", "audio+image"}
    pictures = SourceClips({"image": clips().embeddings["image"]}, clips().signals).usual(SIDES)
    np.testing.assert_array_equal(found["image"].mean, pictures["image"].mean)
    heard = clips().embeddings["audio"][5:]
    np.testing.assert_allclose(found["audio"].mean, usual(SIDES["audio"].compare(heard)[2]).mean, atol=1e-9)


def test_modalities_that_the_source_never_had_are_compared_with_the_most_similar_ones() -> None:
    pictures = SourceClips({"image": clips().embeddings["image"]}, clips().signals)
    score = OpenSetScore(0.0, pictures.usual(SIDES))
    assert np.isfinite(judged(score, SIDES, 50))
    assert np.isfinite(judged(score, {"audio": SIDES["audio"]}, 50))


def test_few_clips_shrink_a_label_towards_all_labels() -> None:
    one = usual(np.array([[5.0, -5.0, 0.0]]))
    assert abs(one.mean[0]) < 1.0
    many = usual(np.tile([[5.0, -5.0, 0.0]], (1000, 1)))
    assert many.mean[0] == pytest.approx(5.0, abs=0.1)


def test_a_score_is_read_back_as_it_was_written_for_workers() -> None:
    score = OpenSetScore(-0.25, clips().usual(SIDES))
    again = OpenSetScore.from_json(score.to_json())
    assert judged(again, SIDES, 70) == judged(score, SIDES, 70)
    assert again.threshold == -0.25


@given(st.lists(st.floats(-50, 50), min_size=2, max_size=6), st.floats(0.01, 1.0))
def test_a_clip_that_fits_better_never_counts_as_more_unknown(odds: list[float], more: float) -> None:
    score = OpenSetScore(0.0, {"image": Usual(np.zeros(len(odds)), np.ones(len(odds)))})
    plain, better = (score.judge({"image": np.array(odds) + step}, {"image": 1.0})["score"] for step in (0.0, more))
    assert better <= plain


def test_a_model_stores_clips_and_threshold_and_scores_any_labels(tmp_path: Path) -> None:
    write(tmp_path / "open-set.safetensors", -0.5, clips(), {"false_alarms": 0.05})
    spec = ModelSpec(name="made-up", directory=str(tmp_path), texts={}, open_set="open-set.safetensors")
    other = {"image": side(30, labels=7)}
    found = load(spec, other)
    assert found is not None
    assert found.threshold == -0.5
    assert judged(found, other, 80) == pytest.approx(
        judged(OpenSetScore(-0.5, clips().usual(other)), other, 80), abs=0.02
    )
    assert load(ModelSpec(name="plain", texts={}), other) is None


def test_a_file_that_cannot_be_read_is_reported_with_its_name(tmp_path: Path) -> None:
    spec = ModelSpec(name="made-up", directory=str(tmp_path), texts={}, open_set="open-set.safetensors")
    (tmp_path / "open-set.safetensors").write_bytes(b"{}")
    with pytest.raises(ModelError, match=r"open-set.safetensors: .*Calibrate again"):
        load(spec, SIDES)
