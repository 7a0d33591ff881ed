"""Things that are looked for by a picture of one: by a box, or by what stands out in its middle."""

import numpy as np
import pytest

from pipeline.arrays import Array
from stages.maps.exemplars import Exemplars, Joined, exemplar, square_around
from stages.maps.word_map import word_map
from tests.stages.maps.test_word_map import Tower, halves, side

RED, GREEN, BLUE = np.eye(3, dtype=np.uint8) * 255


def photo(thing: Array, around: Array) -> Array:
    """A thing in the middle half of a picture of 64×64."""
    frame = np.empty((64, 64, 3), np.uint8)
    frame[:] = around
    frame[16:48, 16:48] = thing
    return frame


@pytest.mark.parametrize("box", [(0.25, 0.25, 0.75, 0.75), None])
def test_a_thing_is_found_by_a_picture_of_one_and_its_surroundings_are_not(
    box: tuple[float, float, float, float] | None,
) -> None:
    red = exemplar("red", photo(RED, GREEN), box, Tower())  # type: ignore[arg-type]
    found = word_map(halves(64, 64), Tower(), Exemplars((red,)))  # type: ignore[arg-type]
    assert found.places[0, 1] < 32
    assert found.pixels[0, :, 10:20].min() > 1
    assert found.pixels[0, :, -20:-10].max() < -1
    absent = word_map(photo(BLUE, GREEN), Tower(), Exemplars((red,)))  # type: ignore[arg-type]
    assert absent.peaks[0] < 0


def test_examples_of_one_name_are_views_of_one_thing_and_words_may_stand_beside_them() -> None:
    views = [exemplar("thing", photo(colour, GREEN), None, Tower()) for colour in (RED, BLUE)]  # type: ignore[arg-type]
    both = Exemplars(tuple(views))
    assert both.names == ("thing",)
    odds = both.compare(np.stack([each.thing for each in views]))[2]
    assert (odds > 0).all()
    found = word_map(halves(64, 64), Tower(), Joined((side(), both)))  # type: ignore[arg-type]
    assert found.pixels.shape == (3, 64, 64)
    assert found.places[2, 1] < 32


def test_a_box_that_is_the_whole_picture_has_no_surroundings() -> None:
    red = exemplar("red", photo(RED, RED), (0.0, 0.0, 0.999, 1.0), Tower())  # type: ignore[arg-type]
    assert len(red.around) == 0
    assert red.own == pytest.approx(1, abs=1e-3)


def test_the_square_about_a_box_stays_in_the_picture() -> None:
    for edges in ((0, 0, 10, 10), (90, 40, 100, 60), (0, 0, 100, 60), (3, 5, 4, 6)):
        square = square_around(np.array(edges, float), 60, 100)
        assert 0 <= square.top <= square.top + square.side <= 60
        assert 0 <= square.left <= square.left + square.side <= 100
