"""Word maps: cells of squares become fields over pixels, and a word's peak is where its vector was planted."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from engines.models.model import TowerSpec
from stages.maps.cells import guided, spread, squares
from stages.maps.phrases import parse_phrases
from stages.maps.word_map import propagated, word_map
from stages.words.label_side import LabelSide

GRID = (4, 4)
VECTORS = np.eye(8, dtype=np.float32)


class Tower:
    """A tower that reads the colour of each of 4 x 4 cells: red is the first vector, green the second."""

    tower = TowerSpec(network="", space="", size_px=32, resample="bilinear", std=(1.0, 1.0, 1.0))
    grid = GRID
    engine: Any = None

    def __init__(self) -> None:
        self.engine = SimpleNamespace(run=self._run)

    def _run(self, feeds: dict[str, Any]) -> dict[str, Any]:
        pictures = feeds["pictures"].reshape(-1, 3, 4, 8, 4, 8).mean(axis=(3, 5)).reshape(-1, 3, 16)
        return {"patches": np.einsum("ncp,cd->npd", pictures, VECTORS[:3]) + 0.01}


def side() -> LabelSide:
    return LabelSide(VECTORS[:2], VECTORS[3:6], np.ones((2, 3), np.float32), 0.1, -2.0)


def halves(height: int, width: int) -> np.ndarray:
    frame = np.zeros((height, width, 3), np.uint8)
    frame[:, : width // 2, 0] = 255
    frame[:, width // 2 :, 1] = 255
    return frame


@pytest.mark.parametrize("size", [(64, 64), (48, 128), (96, 40)])
@pytest.mark.parametrize("smooth", [True, False])
def test_each_half_belongs_to_its_word(size: tuple[int, int], smooth: bool) -> None:
    found = word_map(halves(*size), Tower(), side(), smooth)  # type: ignore[arg-type]
    assert found.pixels.shape == (2, *size)
    middle = size[1] // 2
    assert (found.pixels.argmax(axis=0)[:, : middle - 6] == 0).all()
    assert (found.pixels.argmax(axis=0)[:, middle + 6 :] == 1).all()
    assert found.places[0, 1] < middle <= found.places[1, 1]
    assert (found.peaks > 0).all()


@pytest.mark.parametrize("size", [(64, 64), (48, 200), (300, 60), (7, 9)])
@pytest.mark.parametrize("share", [1.0, 0.6])
def test_squares_cover_every_pixel_and_stay_inside(size: tuple[int, int], share: float) -> None:
    seen = np.zeros(size, int)
    for square in squares(*size, share):
        window = seen[square.place]
        assert window.shape == (square.side, square.side)
        window += 1
    assert seen.min() >= 1


def test_a_field_that_is_the_same_everywhere_stays_the_same() -> None:
    places = squares(50, 90, 0.6)
    field = spread(np.full((len(places), 1, 3, 3), 2.5), places, 50, 90)
    np.testing.assert_allclose(field, 2.5, atol=1e-5)
    np.testing.assert_allclose(guided(field, halves(50, 90), 5), 2.5, atol=1e-4)


def test_cells_that_are_alike_speak_for_each_other_and_others_do_not() -> None:
    patches = np.array([[1, 0, 0], [3, 0, 0], [0, 1, 0]], np.float32)
    np.testing.assert_allclose(propagated(patches), [[2, 0, 0], [2, 0, 0], [0, 1, 0]], atol=1e-6)


def test_words_are_separated_by_semicolons_or_else_by_commas() -> None:
    assert parse_phrases("dog|cat; grass, wet; sky") == ("dog|cat", "grass, wet", "sky")
    assert parse_phrases("dog|cat, grass") == ("dog|cat", "grass")
