import pytest

from benchmarks.accuracy import pairs, share
from recipes.percept_mini.photo_words import PHOTO_WORDS


def test_a_share_comes_with_its_wilson_interval() -> None:
    found = share([True] * 63 + [False] * 37)
    assert (found.hits, found.count, found.share) == (63, 100, 0.63)
    assert (found.low, found.high) == (pytest.approx(0.5322, abs=1e-4), pytest.approx(0.7182, abs=1e-4))
    assert share([True] * 5).low == pytest.approx(0.5655, abs=1e-4)


def test_a_share_of_no_items_is_an_error() -> None:
    with pytest.raises(ValueError, match="nothing to count"):
        share([])


def test_pairs_are_numerous_distinct_and_use_every_sound() -> None:
    made = pairs([*PHOTO_WORDS], 80)
    assert len(made) >= 500
    assert len(set(made)) == len(made)
    assert {number for _, number in made} == set(range(80))
