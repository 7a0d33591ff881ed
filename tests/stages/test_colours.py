"""Colours of things are those that people call them by."""

import numpy as np
import pytest

from stages.colours import NAMES, called, colour_shares, main_colours

BOXES = np.array([[10, 40, 50, 80], [80, 40, 120, 80], [150, 40, 190, 80.0]])


@pytest.mark.parametrize("name", ["red", "green", "blue", "yellow", "white"])
def test_the_colour_of_a_thing_is_told_from_its_surroundings(name: str) -> None:
    paint = {"red": (200, 20, 30), "green": (30, 150, 40), "blue": (30, 60, 200), "yellow": (240, 210, 40)}
    frame = np.full((120, 200, 3), (140, 90, 50), np.uint8)
    frame[45:75, 85:115] = paint.get(name, (245, 245, 245))  # not all of the box
    scores = called(colour_shares(frame, BOXES)[1])
    assert NAMES[int(scores.argmax())] == name
    assert scores.max() > 0.8


def test_windows_and_shadows_do_not_name_a_bus_and_two_colours_may() -> None:
    frame = np.full((120, 200, 3), (120, 150, 90), np.uint8)
    frame[40:80, 80:120] = (200, 30, 30)
    frame[45:60, 84:116] = (60, 62, 64)
    assert main_colours(colour_shares(frame, BOXES)[1]) == {"red"}
    frame[40:80, 80:120] = (250, 250, 250)
    frame[40:80, 80:100] = (10, 10, 10)
    assert main_colours(colour_shares(frame, BOXES)[1]) == {"black", "white"}


def test_white_is_white_in_the_dusk_too() -> None:
    frame = np.full((120, 200, 3), (60, 80, 40), np.uint8)
    frame[:20], frame[42:78, 82:118] = 150, 140
    assert main_colours(colour_shares(frame, BOXES)[1]) == {"white"}


def test_a_box_without_pixels_has_no_colour() -> None:
    assert main_colours(colour_shares(np.zeros((20, 20, 3), np.uint8), np.array([[3, 3, 3, 3.0]]))[0]) == frozenset()
    assert colour_shares(np.zeros((20, 20, 3), np.uint8), np.zeros((0, 4))).shape == (0, len(NAMES))
