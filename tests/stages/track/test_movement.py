"""Words for how a track moves: by its path, with the camera's motion taken off."""

import math
from collections.abc import Callable

import numpy as np
import pytest

from pipeline.result import Movement
from stages.track.movement import movement, with_stillness
from stages.track.paths import Place
from stages.track.scene import REST, Scene
from stages.track.state import Known

STEP_NS = 125_000_000
Path = Callable[[float], tuple[float, float, float]]
"""From seconds to the centre of a box and its size, in pixels."""


def places(path: Path, count: int = 16) -> list[Place]:
    made = []
    for number in range(count):
        x, y, size = path(number * STEP_NS / 1e9)
        made.append(Place(number * STEP_NS, (x - size / 2, y - size / 2, x + size / 2, y + size / 2)))
    return made


def moved(path: Path, scene: Scene = REST) -> Movement:
    found = movement(places(path), scene)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("path", "word", "direction_deg"),
    [
        (lambda t: (300, 200, 80), "still", None),
        (lambda t: (300 + 3 * math.sin(40 * t), 200, 80), "still", None),  # jitter
        (lambda t: (100 + 80 * t, 200, 80), "moving right", 0),
        (lambda t: (400 - 80 * t, 200, 80), "moving left", 180),
        (lambda t: (300, 100 + 80 * t, 80), "moving down", -90),
        (lambda t: (100 + 60 * t, 300 - 60 * t, 80), "moving up right", 45),
        (lambda t: (300 + 60 * math.sin(4 * math.pi * t / 1.875), 200, 80), "moving to and fro", None),
        (lambda t: (300, 200, 60 * 1.4**t), "coming closer", None),
        (lambda t: (300, 200, 160 * 0.7**t), "going away", None),
    ],
)
def test_a_path_has_a_word(path: Path, word: str, direction_deg: float | None) -> None:
    found = moved(path)
    assert found.word == word
    assert found.direction_deg == (None if direction_deg is None else pytest.approx(direction_deg, abs=1))


def test_speed_is_in_boxes_per_second() -> None:
    assert moved(lambda t: (100 + 80 * t, 200, 80)).speed == pytest.approx(1.0)
    assert moved(lambda t: (100 + 80 * t, 200, 160)).speed == pytest.approx(0.5)


def test_a_short_path_says_nothing() -> None:
    assert movement(places(lambda t: (100 + 80 * t, 200, 80), count=4), REST) is None
    assert movement([], REST) is None


def scene(matrix: list[list[float]]) -> Scene:
    starts = np.arange(16) * STEP_NS
    return Scene(np.stack([starts, starts + STEP_NS], 1), np.array([matrix] * 16, np.float32), 640, 480)


def test_what_a_panning_camera_carries_along_is_still_and_what_it_follows_moves() -> None:
    panning = scene([[0, 0, 80 / 480], [0, 0, 0]])
    assert moved(lambda t: (100 + 80 * t, 200, 80), panning).word == "still"
    assert moved(lambda t: (300, 200, 80), panning).word == "moving left"


def test_under_a_zooming_camera_what_grows_with_the_scene_is_still() -> None:
    rate = 0.3  # of the distance from the middle, per second
    zooming = scene([[rate * 320 / 480, 0, 0], [0, rate * 240 / 480, 0]])

    def path(t: float) -> tuple[float, float, float]:
        grown = math.exp(rate * t)
        return 320 + 60 * grown, 240 + 40 * grown, 80 * grown

    assert moved(path).word == "coming closer"
    assert moved(path, zooming).word == "still"


def test_still_since_is_kept_over_clips_until_it_moves() -> None:
    stands, walks = places(lambda t: (300, 200, 80)), places(lambda t: (100 + 80 * t, 200, 80))
    first, known = with_stillness(movement(stands, REST), stands, Known())
    later = [Place(place.time_ns + 2_000_000_000, place.box) for place in stands]
    second, known = with_stillness(movement(later, REST), later, known)
    assert [each and each.still_since_s for each in (first, second)] == [0.0, 0.0]
    assert with_stillness(None, [], known) == (None, known), "seen too briefly to tell"
    third, known = with_stillness(movement(walks, REST), walks, known)
    assert third is not None
    assert (third.still_since_s, known) == (None, Known())
