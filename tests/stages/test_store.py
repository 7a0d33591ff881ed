"""What an archive keeps of a clip scores words as the clip itself does."""

import numpy as np
import pytest

from stages.store import halved, rounded
from stages.words.label_side import LabelSide
from stages.words.scoring import competing, log_sum

RANDOM = np.random.default_rng(3)


def unit(*shape: int) -> np.ndarray:
    vectors = RANDOM.standard_normal(shape)
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def test_the_sum_over_the_background_is_that_of_the_rounded_embedding() -> None:
    background = unit(50, 32)
    side = LabelSide(unit(3, 32), background, competing(unit(3, 32), background), 0.05, 0.1)
    vector = rounded(unit(32).astype(np.float32), side)
    values = np.frombuffer(vector.values, "<f2").astype(np.float64)
    assert vector.log_sum == pytest.approx(np.log(np.exp(values @ background.T / 0.05).sum()), abs=1e-12)


def test_a_sum_over_large_logits_does_not_overflow() -> None:
    assert log_sum(np.array([[1.0, 1.0]]), 1e-3)[0] == pytest.approx(1000 + np.log(2))


def test_features_too_large_for_16_bits_are_cut_and_stay_numbers() -> None:
    values = np.frombuffer(halved(np.array([1e6, -1e6, 0.25, 0], np.float32)), "<f2")
    np.testing.assert_array_equal(values, [65504, -65504, 0.25, 0])
