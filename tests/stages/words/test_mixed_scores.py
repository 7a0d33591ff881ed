"""A fusion head's scores mixed with the frozen ones: F-VLM's geometric mean, with one share for base labels and another
for novel ones."""

from dataclasses import replace

import numpy as np
import pytest

from pipeline.arrays import Array
from stages.classify import score_all
from stages.words import scoring
from stages.words.head_share import mixed
from stages.words.labels import LabelSet, LabelSide

DIM = 24
WORDS = tuple(f"word {number}" for number in range(20))
BASE, NOVEL = 0.65, 0.35
TEMPERATURE = 0.1
LOUD = {"image": {"contrast": 0.2, "corrupt_share": 0.0}, "audio": {"loudness_dbfs": -20.0}}


def label_set(numbers: list[int], shares: list[float] | None) -> LabelSet:
    """Every word has its own axis; all are background."""
    vectors = np.eye(DIM)
    matrix, background = vectors[numbers], vectors[: len(WORDS)]
    side = LabelSide(matrix, background, scoring.competing(matrix, background).astype(np.float64), TEMPERATURE, 0.0)
    labels = tuple(WORDS[number] for number in numbers)
    return LabelSet(labels, {"image": side, "audio": side}, WORDS, None if shares is None else np.array(shares))


def embedding(seed: int) -> Array:
    vector = np.random.default_rng(seed).normal(size=DIM)
    return (vector / np.linalg.norm(vector)).astype(np.float32)


FROZEN = {"image": embedding(0), "audio": embedding(1)}
FUSED = {"image": embedding(2), "audio": embedding(3)}


def softmax(logits: Array) -> Array:
    e = np.exp(logits - logits.max())
    return np.asarray(e / e.sum())


def test_the_score_is_the_geometric_mean_of_both_probabilities() -> None:
    """Computed by hand as in F-VLM: p = head^s * frozen^(1-s), normalised over two outcomes: the label or not."""
    numbers, shares = [3, 7, 11], [BASE, NOVEL, BASE]
    got = scoring.sigmoid(score_all(label_set(numbers, shares), FROZEN, LOUD, FUSED).log_odds["image"])
    for number, share, probability in zip(numbers, shares, got, strict=True):
        yes, no = 1.0, 1.0
        for vector, exponent in ((FUSED["image"], share), (FROZEN["image"], 1 - share)):
            p = softmax(vector[: len(WORDS)].astype(np.float64) / TEMPERATURE)[number]
            yes, no = yes * p**exponent, no * (1 - p) ** exponent
        assert probability == pytest.approx(yes / (yes + no), abs=1e-9)


def test_shares_among_base_labels_equal_those_of_f_vlm() -> None:
    """If all labels are base labels, their shares equal those from F-VLM's scores."""
    numbers = [3, 7, 11]
    got = score_all(label_set(numbers, [BASE] * 3), FROZEN, LOUD, FUSED).log_odds["image"]
    head, frozen = (
        np.array([score_all(label_set([each], None), vectors, LOUD).log_odds["image"][0] for each in numbers])
        for vectors in (FUSED, FROZEN)
    )
    product = softmax(head) ** BASE * softmax(frozen) ** (1 - BASE)
    np.testing.assert_allclose(softmax(got), product / product.sum(), atol=1e-12)


def test_base_labels_follow_the_head_more_than_novel_ones() -> None:
    frozen, head = np.zeros(2), np.array([4.0, 4.0])
    np.testing.assert_allclose(mixed(frozen, head, np.array([BASE, NOVEL])), [2.6, 1.4])


@pytest.mark.parametrize(("share", "which"), [(0.0, FROZEN), (1.0, FUSED)])
def test_a_share_of_zero_or_one_selects_one_of_both(share: float, which: dict[str, Array]) -> None:
    numbers = [3, 7]
    got = score_all(label_set(numbers, [share] * 2), FROZEN, LOUD, FUSED)
    alone = score_all(label_set(numbers, None), which, LOUD)
    np.testing.assert_allclose(got.log_odds["audio"], alone.log_odds["audio"], atol=1e-12)


def test_a_head_that_changes_nothing_keeps_the_frozen_scores_to_the_bit() -> None:
    numbers = [3, 7, 11, 2]
    without = score_all(label_set(numbers, None), FROZEN, LOUD)
    with_head = score_all(label_set(numbers, [BASE, NOVEL, BASE, NOVEL]), FROZEN, LOUD, dict(FROZEN))
    assert np.array_equal(without.pooled, with_head.pooled)
    assert np.array_equal(without.share, with_head.share)


def test_another_label_changes_no_other_odds() -> None:
    few = score_all(label_set([3, 7], [BASE, NOVEL]), FROZEN, LOUD, FUSED)
    more = score_all(label_set([5, 7, 1, 3], [NOVEL, NOVEL, BASE, BASE]), FROZEN, LOUD, FUSED)
    np.testing.assert_allclose(few.pooled, more.pooled[[3, 1]], atol=1e-12)


def test_a_modality_that_was_not_fused_keeps_the_frozen_score() -> None:
    names = label_set([3, 7], [BASE, NOVEL])
    partly = score_all(names, FROZEN, LOUD, {"image": FUSED["image"]})
    frozen = score_all(replace(names, head_share=None), FROZEN, LOUD, FUSED)
    assert np.array_equal(partly.log_odds["audio"], frozen.log_odds["audio"])
    assert not np.array_equal(partly.log_odds["image"], frozen.log_odds["image"])
    assert np.array_equal(score_all(names, FROZEN, LOUD, {}).pooled, frozen.pooled)


def test_evidence_does_not_depend_on_the_head() -> None:
    names = label_set([3, 7], [BASE, NOVEL])
    fused = score_all(names, FROZEN, LOUD, FUSED)
    frozen = score_all(names, FROZEN, LOUD)
    assert np.array_equal(fused.alone["image"], frozen.alone["image"])
    assert fused.weights == frozen.weights
