import math
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.words import scoring


def unit(*shape: int, seed: int = 0) -> np.ndarray:
    x = np.random.default_rng(seed).normal(size=shape)
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def test_log_odds_follow_the_formula_of_one_label_against_the_background() -> None:
    z = scoring.log_odds(np.array([[0.3]]), np.array([[0.1, 0.2, 0.25]]), np.array([[1.0, 0.5, 0.0]]), 0.1, -0.7)
    assert z[0, 0] == pytest.approx(3.0 - math.log(math.exp(1.0) + 0.5 * math.exp(2.0)) - 0.7, abs=1e-12)


def test_log_odds_stay_finite_when_every_near_background_word_means_the_same() -> None:
    z = scoring.log_odds(np.array([[1.0]]), np.array([[1.0, -1.0]]), np.array([[0.0, 1.0]]), 0.01, 0.0)
    assert z[0, 0] == pytest.approx(200.0, abs=1e-9)
    nothing_left = scoring.log_odds(np.array([[1.0]]), np.array([[1.0]]), np.array([[0.0]]), 0.01, 0.0)
    assert np.isfinite(nothing_left).all()


def test_background_words_of_the_same_meaning_do_not_compete() -> None:
    label = np.array([[1.0, 0.0, 0.0]])
    angles = np.arccos([1.0, 0.75, 0.55, 0.3, -0.5])
    words = np.stack([np.cos(angles), np.sin(angles), np.zeros(5)], 1)
    background = np.concatenate([words, -words])  # whose mean is 0
    kept = scoring.competing(label, background)[0]
    assert kept[0] == kept[1] == 0.0
    assert kept[2] == pytest.approx(0.5, abs=1e-5)
    assert kept[3] == kept[4] == 1.0


def test_competition_does_not_depend_on_how_narrow_the_cone_of_words_is() -> None:
    words = unit(50, 8)
    wide = scoring.competing(words[:3], words)
    narrow = words + 20 * unit(1, 8, seed=1)
    narrow /= np.linalg.norm(narrow, axis=1, keepdims=True)
    assert (narrow @ narrow.T).min() > 0.95
    near = scoring.competing(narrow[:3], narrow)
    assert (np.diag(near[:, :3]) == 0).all()
    assert near.mean() == pytest.approx(wide.mean(), abs=0.1)


def test_noisy_or_is_one_minus_the_product_of_doubts() -> None:
    odds = {"image": np.array([0.3, -2.0]), "audio": np.array([-1.0, 4.0])}
    weights = {"image": 0.8, "audio": 0.6}
    p = scoring.sigmoid(scoring.pool(odds, weights))
    doubt = (1 - 0.8 * scoring.sigmoid(odds["image"])) * (1 - 0.6 * scoring.sigmoid(odds["audio"]))
    np.testing.assert_allclose(p, 1 - doubt, atol=1e-12)


@given(
    st.lists(st.floats(-900, 900), min_size=1, max_size=5),
    st.floats(0, 1),
    st.floats(0, 1),
)
def test_pooled_log_odds_are_finite_and_never_below_one_modality_alone(z: list[float], a: float, b: float) -> None:
    odds = {"image": np.array(z), "audio": np.array(z[::-1])}
    pooled = scoring.pool(odds, {"image": a, "audio": b})
    assert np.isfinite(pooled).all()
    if a > 0:
        assert (pooled >= scoring.pool({"image": odds["image"]}, {"image": a}) - 1e-9).all()


def test_a_modality_of_weight_zero_changes_nothing() -> None:
    odds = {"image": np.array([0.3, -2.0]), "audio": np.array([-1.0, 4.0])}
    alone = scoring.pool({"image": odds["image"]}, {"image": 0.7})
    np.testing.assert_array_equal(scoring.pool(odds, {"image": 0.7, "audio": 0.0}), alone)


def test_weights_are_applied_as_they_are_unless_all_are_zero() -> None:
    assert scoring.applied({"image": 0.0, "audio": 0.75}) == {"image": 0.0, "audio": 0.75}
    assert scoring.applied({"image": 0.0, "audio": 0.0}) == dict.fromkeys(("image", "audio"), scoring.LEAST_WEIGHT)


def test_without_any_weight_all_labels_are_improbable_but_ordered() -> None:
    p = scoring.sigmoid(scoring.pool({"image": np.array([5.0, 2.0])}, {"image": 0.0}))
    assert 0 < p[1] < p[0] <= 1e-3


def test_peakedness_is_zero_for_equal_fit_and_one_for_a_single_winner() -> None:
    assert scoring.peakedness(np.full(500, 0.2), 0.05) == pytest.approx(0.0, abs=1e-12)
    assert scoring.peakedness(np.eye(500)[3], 0.01) == pytest.approx(1.0, abs=1e-12)


def test_shares_sum_to_one_without_overflow() -> None:
    share = scoring.shares(np.array([900.0, 899.0, -900.0]))
    assert share.sum() == pytest.approx(1.0)
    assert share[0] == pytest.approx(1 / (1 + math.exp(-1)))


def test_ten_thousand_labels_against_five_hundred_words_take_milliseconds() -> None:
    kept = np.random.default_rng(0).random((10_000, 500))
    near, background = (
        np.random.default_rng(1).random((1, 10_000)) * 0.5,
        np.random.default_rng(2).random((1, 500)) * 0.5,
    )
    times = []
    for _ in range(7):
        begin = time.perf_counter()
        scoring.log_odds(near, background, kept, 0.05, 0.0)
        times.append(time.perf_counter() - begin)
    assert min(times) < 0.05, f"best of 7 took {min(times) * 1000:.1f} ms"
