import numpy as np
import pytest

from training.evaluate.calibration import calibration, expected_error


def test_true_probabilities_are_calibrated() -> None:
    confidences = np.random.default_rng(0).random(4000)
    right = np.random.default_rng(1).random(4000) < confidences
    found = calibration(confidences, right)
    assert found.error < 0.03
    assert found.error == pytest.approx(found.by_chance, abs=0.02)
    assert found.low <= found.high


def test_the_error_of_an_overconfident_model_is_its_excess_confidence() -> None:
    found = calibration([0.9] * 100, [True] * 60 + [False] * 40)
    assert found.error == pytest.approx(0.3)
    assert [(each.count, each.confidence, each.right.hits) for each in found.bins] == [(100, pytest.approx(0.9), 60)]
    assert found.low < 0.3 < found.high
    assert found.by_chance < 0.1


def test_bins_include_their_upper_edge_and_the_first_includes_zero() -> None:
    found = calibration([0.0, 1 / 15, 1.0], [False, False, True])
    assert [(round(each.low * 15), each.count) for each in found.bins] == [(0, 2), (14, 1)]
    assert expected_error(np.array([[0.0, 0.0], [1 / 15, 0.0], [1.0, 1.0]])) == pytest.approx(1 / 15 / 3)


def test_no_answers_are_an_error() -> None:
    with pytest.raises(ValueError, match="nothing to calibrate"):
        calibration([], [])
