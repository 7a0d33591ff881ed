"""Ranking and measuring, on boxes and pixels whose answer is known."""

import numpy as np
import pytest

from evidence.finding.answer import Answer, Finding
from evidence.finding.candidates import Candidates, Picture, tightness, wholeness
from evidence.finding.measured import measured
from evidence.finding.over_time import OverTime
from evidence.finding.ranked import Term, ranked
from pipeline.result import Movement
from stages.phrase.geometry import left
from stages.phrase.parse import parse_phrase
from stages.phrase.parts import Attribute

BOXES = np.array([[10, 40, 50, 80], [80, 40, 120, 80], [150, 40, 190, 80.0]])
"""A dog, a car, a dog."""


def candidates(moves: tuple[Movement | None, ...] = (None, None, None)) -> Candidates:
    return Candidates(BOXES, np.ones(3), np.zeros((3, 4)), np.zeros((3, 1, 4)), (1, 2, 3), moves)


def test_places_and_sizes_are_among_those_that_the_name_fits() -> None:
    frame, dogs = np.zeros((120, 200, 3), np.uint8), np.array([0.9, 0.05, 0.8])
    lefts, _ = measured(Attribute("place", "left", (0, 4)), frame, candidates(), dogs)
    assert lefts is not None
    assert lefts[0] > 0.9 > 0.1 > lefts[2]
    alone, why = measured(Attribute("size", "big", (0, 3)), frame, candidates(), np.array([0.9, 0.0, 0.0]))
    assert (alone, why) == (None, "there is only one")


def test_a_loose_box_makes_nothing_bigger_and_a_small_thing_competes_though_its_name_fits_less() -> None:
    """Two dogs, a large and a small one, and a loose box around the small one."""
    boxes = np.array([[0, 0, 100, 100], [150, 0, 190, 40], [140, 0, 260, 120.0]])
    found = Candidates(boxes, np.ones(3), np.zeros((3, 4)), np.zeros((3, 1, 4)), (1, 2, 3), (None, None, None))
    frame, fits = np.zeros((120, 300, 3), np.uint8), np.array([0.9, 0.3, 0.2])
    big, small = (measured(Attribute("size", each, (0, 3)), frame, found, fits)[0] for each in ("big", "small"))
    assert big is not None
    assert big[0] > 0.9 > 0.1 > big[2]
    assert small is not None
    assert small[1] > 0.9 > 0.1 > small[0]


def test_motion_is_that_of_tracks_and_unknown_without() -> None:
    moves = (Movement("moving right", 1.5, 0.0), Movement("still", 0.01), None)
    frame, fits = np.zeros((120, 200, 3), np.uint8), np.ones(3)
    fast, _ = measured(Attribute("motion", "fast", (0, 7)), frame, candidates(moves), fits)
    assert fast is not None
    assert fast[0] > 0.8 > 0.3 > fast[1]
    assert measured(Attribute("motion", "fast", (0, 7)), frame, candidates(), fits)[0] is None


def test_the_context_decides_which_box_is_meant() -> None:
    dog, car = np.array([0.8, 0.1, 0.9]), np.array([0.1, 0.9, 0.1])
    same = np.eye(3, dtype=bool)
    terms = [Term((0,), dog), Term((1,), car), Term((0, 1), left(BOXES, BOXES))]
    best = ranked(0, [3, 3], terms, {(0, 1): same, (1, 0): same})
    assert best[0].boxes == (0, 1)
    swapped = [Term((0,), car), Term((1,), dog), Term((0, 1), left(BOXES, BOXES))]
    assert ranked(1, [3, 3], swapped, {(0, 1): same, (1, 0): same})[0].boxes == (1, 2)
    assert ranked(0, [3, 0], terms, {}) == []


def test_a_box_in_a_surer_one_counts_less() -> None:
    boxes = np.array([[0, 0, 100, 100], [0, 0, 40, 40], [200, 0, 240, 40.0]])
    whole = wholeness(boxes, np.array([0.9, 0.5, 0.5]))
    assert whole.tolist() == pytest.approx([1.0, 0.2, 1.0])


def test_a_tight_box_in_a_barely_surer_one_counts_nearly_as_much() -> None:
    whole = wholeness(np.array([[0, 0, 100, 60], [10, 10, 60, 50.0]]), np.array([0.75, 0.74]))
    assert whole[1] > 0.9


def test_a_loose_box_counts_less_if_the_name_fits_the_one_in_it() -> None:
    boxes, scores = np.array([[0, 0, 100, 100], [20, 20, 80, 80.0]]), np.array([0.7, 0.8])
    assert tightness(boxes, scores, np.array([0.6, 0.4])).tolist() == pytest.approx([0.2, 1.0])
    assert tightness(boxes, scores, np.array([0.6, 0.01])).min() > 0.95  # a sofa with a cat on it
    assert tightness(boxes, scores[::-1], np.array([0.6, 0.4])).tolist() == [1.0, 1.0]  # a part of it
    assert tightness(boxes[:1], scores[:1], np.ones(1)).tolist() == [1.0]


def test_a_box_around_two_things_counts_less() -> None:
    boxes = np.array([[0, 0, 100, 50], [0, 0, 45, 50], [55, 0, 100, 50], [0, 0, 10, 10.0]])
    assert wholeness(boxes[:3], np.full(3, 0.7))[0] == pytest.approx(0.2)
    assert wholeness(boxes[:2], np.full(2, 0.7))[0] == 1.0
    assert wholeness(boxes, np.array([0.9, 0.1, 0.1, 0.1]))[0] > 0.95  # parts are not as sure


def test_who_came_in_first_was_not_there_from_the_start() -> None:
    over = OverTime(parse_phrase("the person who came in first"))
    for time_s, spans in ((1.0, {1: (0.0, 2.0), 2: (1.2, 2.0)}), (3.0, {2: (2.0, 3.5), 3: (2.5, 4.0)})):
        picture = Picture(np.zeros((2, 2, 3), np.uint8), time_s, BOXES, np.ones(3), (), (), 2, 2, True, spans)
        answers = tuple(Answer((0, 0, 1, 1), 0.8, (), track) for track in spans)
        over.add(Finding(over.phrase, picture, answers, 0.3))
    (first,) = over.tracks()
    assert (first.track, first.begin_s, first.end_s) == (2, 1.2, 3.5)
