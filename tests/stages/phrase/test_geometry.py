"""How far relations hold between boxes."""

import numpy as np
import pytest

from stages.phrase.geometry import HOLDS, between

TABLE = (100.0, 100.0, 200.0, 160.0)


@pytest.mark.parametrize(
    ("kind", "holds", "does_not"),
    [
        ("left", (20, 100, 60, 160), (220, 100, 260, 160)),
        ("above", (120, 20, 160, 80), (300, 20, 340, 80)),
        ("on", (130, 60, 160, 110), (130, 20, 160, 70)),
        ("inside", (120, 110, 150, 150), (180, 110, 240, 150)),
        ("touching", (200, 100, 250, 160), (260, 100, 310, 160)),
        ("far", (500, 100, 540, 160), (210, 100, 250, 160)),
        ("riding", (130, 40, 170, 140), (130, 120, 170, 220)),
        ("front", (120, 110, 180, 200), (120, 60, 180, 130)),
        ("behind", (120, 60, 180, 130), (120, 110, 180, 200)),
    ],
)
def test_a_relation_tells_where_a_box_is(kind: str, holds: tuple[float, ...], does_not: tuple[float, ...]) -> None:
    scores = HOLDS[kind](np.array([holds, does_not], float), np.array([TABLE]))[:, 0]
    assert scores[0] > 0.5 > scores[1]


@pytest.mark.parametrize("kind", ["left", "above", "on", "riding", "front"])
def test_roles_cannot_be_swapped(kind: str) -> None:
    box = {"left": (20, 100, 60, 160), "front": (120, 110, 180, 200)}.get(kind, (130, 40, 170, 125))
    one, other = np.array([box], float), np.array([TABLE])
    assert HOLDS[kind](one, other)[0, 0] > HOLDS[kind](other, one)[0, 0] + 0.3


def test_a_box_is_between_two_others_or_beside_them() -> None:
    ends = np.array([[0, 0, 20, 20.0]]), np.array([[100, 0, 120, 20.0]])
    scores = between(np.array([[50, 5, 70, 25.0], [160, 0, 180, 20.0]]), *ends)[:, 0, 0]
    assert scores[0] > 0.5 > scores[1]
