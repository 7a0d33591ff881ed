"""Heat: a contribution shared out over places adds up to it, and a map that tells no words apart is not shown."""

import numpy as np
import pytest

from evidence.contrast import contrasted
from evidence.heat import Heat, likeness, shared_out, smallest_stretch
from stages.words.label_side import LabelSide


def field(*sure: tuple[int, int]) -> np.ndarray:
    """Log-odds "1 6 6" of -4, and 4 in some places."""
    made = np.full((1, 6, 6), -4.0)
    for place in sure:
        made[(0, *place)] = 4.0
    return made


def test_a_map_adds_up_to_what_the_modality_adds_and_is_where_the_word_is() -> None:
    heat = shared_out(np.stack([field((1, 1), (1, 2)), field((5, 5))]), 3.25)
    assert heat.total == pytest.approx(3.25, abs=1e-12)
    assert heat.values[0, 1, 1:3].sum() == pytest.approx(3.25)
    assert heat.separates
    assert heat.is_shown


@pytest.mark.parametrize("added", [0.0, -1.5])
def test_what_does_not_speak_for_a_label_has_no_map(added: float) -> None:
    heat = shared_out(np.stack([field((1, 1)), field((5, 5))]), added)
    assert heat.total == 0
    assert not heat.is_shown


def test_a_map_that_is_the_same_for_other_words_is_not_shown() -> None:
    same = field((1, 1), (4, 4))
    heat = shared_out(np.stack([same, same + 1, same * 2]), 2.0)
    assert heat.likeness == pytest.approx(1.0)
    assert not heat.is_shown


def test_a_map_without_a_sure_place_is_about_the_likeliest_ones() -> None:
    weak = field() - 1
    weak[0, 2, 3] = -1.0
    heat = shared_out(np.stack([weak, field((5, 5))]), 1.0)
    assert heat.values[0, 2, 3] == pytest.approx(1.0)


def test_a_field_without_any_difference_separates_nothing() -> None:
    assert likeness(np.stack([field(), field((1, 1))])) == 1.0
    assert not Heat(np.ones((1, 2, 2)), 1.0).is_shown


def test_the_smallest_stretch_has_the_share_that_is_asked_for() -> None:
    assert smallest_stretch(np.array([1.0, 0, 5, 4, 0, 0]), 0.5) == (2, 3)
    assert smallest_stretch(np.array([1.0, 0, 5, 4, 0, 0]), 0.9) == (2, 4)
    assert smallest_stretch(np.ones(4), 1.0) == (0, 4)


def test_a_label_is_compared_with_words_of_another_meaning() -> None:
    vectors = np.linalg.qr(np.random.default_rng(0).normal(size=(8, 8)))[0].astype(np.float32)
    kept = np.ones((2, 6), np.float32)
    kept[1, 2] = 0.2
    side = LabelSide(vectors[:3], vectors[2:], kept, 0.1, 0.0, np.array([0, 2]))
    both = contrasted(side, 1, 4)
    np.testing.assert_array_equal(both.labels[0], vectors[2])
    assert len(both.labels) == 5
    assert not (both.labels[1:] == vectors[4]).all(axis=1).any()  # the background word that means the same
    embedding = vectors[2:3] + 0.3 * vectors[5:6]
    np.testing.assert_allclose(both.compare(embedding)[2][:, 0], side.compare(embedding)[2][:, 1], atol=1e-6)
    assert len(contrasted(side, 0, 4).labels) == 6  # two names of one label
