"""Recall and average precision of cases that were counted by hand."""

from collections.abc import Sequence

import numpy as np
import pytest

from recipes.percept_mini.detector_figures import MOST, Answer, Truth, average_precision, recall

NAMES = ("dog", "cat")


def at(*places: float) -> np.ndarray:
    """Boxes of 10 x 10 pixels: those at places 3 apart overlap by more than a half, those 4 apart by less."""
    return np.array([[x, 0, x + 10, 10] for x in places], float).reshape(-1, 4)


def answer(places: Sequence[float], scores: Sequence[float] = (), shares: Sequence[Sequence[float]] = ()) -> Answer:
    given = np.array(scores or np.linspace(0.9, 0.1, len(places)))
    return Answer(at(*places), given, np.array(shares or [(1.0, 0.0)] * len(places), float).reshape(-1, 2))


def test_recall_counts_the_objects_of_all_photos() -> None:
    truths = [Truth(at(0, 100, 200), ["dog"] * 3), Truth(at(0), ["cat"]), Truth(at(), [])]
    answers = [answer([103, 204]), answer([]), answer([0])]
    assert recall(truths, answers) == 25
    assert recall([], []) == 0


def test_each_box_finds_one_object_and_each_object_is_found_once() -> None:
    truths = [Truth(at(0, 2), ["dog", "dog"])]
    assert recall(truths, [answer([1])]) == 50
    assert recall(truths, [answer([1, 1, 1])]) == 100
    assert recall([Truth(at(0, 100), ["dog", "dog"])], [answer([0, 1, 2])]) == 50


def test_a_better_box_takes_the_object_that_it_overlaps_most() -> None:
    assert recall([Truth(at(0, 3), ["dog", "dog"])], [answer([2.9, 0])]) == 100


def test_only_the_best_boxes_count_for_recall() -> None:
    far = [100.0 * number for number in range(1, MOST + 1)]
    assert recall([Truth(at(0), ["dog"])], [answer([*far[1:], 0])]) == 100
    assert recall([Truth(at(0), ["dog"])], [answer([*far, 0])]) == 0


def test_average_precision_is_the_area_under_the_curve() -> None:
    """By score: right, wrong, right; the third object is never found."""
    truths = [Truth(at(0, 100), ["dog", "dog"]), Truth(at(0), ["dog"])]
    answers = [answer([0, 50], [0.9, 0.8]), answer([1], [0.7])]
    assert average_precision(truths, answers, NAMES, least=1) == {"dog": pytest.approx(100 * (1 + 2 / 3) / 3)}


def test_precision_is_the_best_at_that_recall_or_more() -> None:
    """By score: wrong, right, right: precision 0, 1/2, 2/3."""
    answers = [answer([50, 0, 100], [0.9, 0.8, 0.7])]
    figures = average_precision([Truth(at(0, 100), ["dog"] * 2)], answers, NAMES, least=1)
    assert figures == {"dog": pytest.approx(100 * 2 / 3)}


def test_a_second_box_of_the_same_object_is_wrong() -> None:
    truths = [Truth(at(0, 100), ["dog"] * 2)]
    figures = average_precision(truths, [answer([0, 1, 100], [0.9, 0.8, 0.7])], NAMES, least=1)
    assert figures == {"dog": pytest.approx(100 * (1 + 2 / 3) / 2)}


def test_boxes_are_ranked_for_each_name_by_its_share() -> None:
    """For "dog" 0.63 and 0.32, for "cat" 0.48 and 0.27: the first is right, or the second."""
    truths = [Truth(at(0, 100), ["dog", "cat"])]
    answers = [answer([0, 100], [0.9, 0.8], [(0.7, 0.3), (0.4, 0.6)])]
    assert average_precision(truths, answers, NAMES, least=1) == {"dog": 100, "cat": 100}
    answers = [answer([100, 0], [0.9, 0.8], [(0.7, 0.3), (0.4, 0.6)])]
    assert average_precision(truths, answers, NAMES, least=1) == {"dog": 50, "cat": 50}


def test_photos_without_boxes_lower_it_and_rare_names_are_left_out() -> None:
    truths = [Truth(at(0), ["dog"]), Truth(at(0, 100), ["dog", "cat"]), Truth(at(), [])]
    answers = [answer([0]), answer([]), answer([])]
    assert average_precision(truths, answers, NAMES, least=2) == {"dog": 50}
    assert average_precision(truths, [answer([])] * 3, NAMES, least=1) == {"dog": 0, "cat": 0}
