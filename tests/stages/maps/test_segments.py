"""Parts of a picture: by word, by object and both, which agree in every pixel."""

import numpy as np
import pytest

from pipeline.errors import ConfigError
from stages.maps.segments import Segments, segments
from stages.maps.stuff import is_stuff

WORDS = ("sheep", "grass", "siren")


def planted() -> np.ndarray:
    """Two sheep on grass under nothing that has a word, "3 60 100"."""
    odds = np.full((3, 60, 100), -6.0, np.float32)
    odds[0, 20:40, 10:30] = odds[0, 20:40, 60:90] = 5.0
    odds[1, 30:] = 3.0
    return odds


def found(**more: object) -> Segments:
    odds = planted()
    return segments(odds, odds.max(axis=(1, 2)), WORDS, **more)  # type: ignore[arg-type]


def test_things_are_counted_and_stuff_is_one_part() -> None:
    parts = found().parts
    assert [(WORDS[part.label], part.is_thing) for part in parts] == [
        ("sheep", True),
        ("sheep", True),
        ("grass", False),
    ]
    wanted = [(10, 20, 30, 40), (60, 20, 90, 40), (0, 30, 100, 60)]
    np.testing.assert_allclose([part.box for part in parts], wanted, atol=1)  # edges are smoothed


def test_the_three_masks_agree_in_every_pixel() -> None:
    parts = found()
    semantic, instance, panoptic = (parts.mask(kind) for kind in ("semantic", "instance", "panoptic"))
    by_number = {part.number: part for part in parts.parts}
    for number in np.unique(panoptic):
        own, part = panoptic == number, by_number.get(int(number))
        assert set(semantic[own]) == {part.label + 1 if part else 0}
        assert set(instance[own]) == {number if part and part.is_thing else 0}
    assert sum(part.area for part in parts.parts) == pytest.approx((panoptic > 0).mean())


def test_what_no_word_fits_is_unknown_and_an_absent_word_has_no_part() -> None:
    parts = found()
    assert (parts.mask("semantic")[:19] == 0).all()
    assert WORDS.index("siren") not in {part.label for part in parts.parts}


def test_filling_leaves_nothing_unknown_but_gives_an_absent_word_nothing() -> None:
    filled = found(fill=True).mask("semantic")
    assert set(np.unique(filled)) == {1, 2}
    assert filled[25, 15] == 1
    assert filled[55, 50] == 2


def test_words_that_are_all_absent_leave_everything_unknown() -> None:
    odds = np.full((3, 8, 8), -3.0, np.float32)
    assert not segments(odds, odds.max(axis=(1, 2)), WORDS, fill=True).parts


def test_a_piece_is_divided_among_the_boxes_in_it() -> None:
    odds = np.full((1, 40, 80), -6.0, np.float32)
    odds[0, 10:30, 10:70] = 5.0
    boxes = {0: np.array([[10, 10, 38, 30], [40, 10, 70, 30], [0, 0, 4, 4]], np.float32)}
    halves = segments(odds, odds.max(axis=(1, 2)), ("dog",), boxes).parts
    assert [part.box for part in halves] == [(10, 10, 39, 30), (39, 10, 70, 30)]
    assert len(segments(odds, odds.max(axis=(1, 2)), ("grass",), boxes).parts) == 1


def test_a_speck_is_no_part() -> None:
    odds = np.full((1, 100, 100), -6.0, np.float32)
    odds[0, 50:54, 50:54] = 5.0
    assert not segments(odds, odds.max(axis=(1, 2)), ("dog",)).parts


def test_an_unknown_kind_of_mask_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"--as boxes: unknown; expected one of semantic, instance, panoptic"):
        found().mask("boxes")


@pytest.mark.parametrize(
    ("word", "wanted"), [("sky", True), ("green grass", True), ("grass snake", False), ("dog", False)]
)
def test_stuff_is_told_from_things_by_the_last_words(word: str, wanted: bool) -> None:
    assert is_stuff(word) is wanted
