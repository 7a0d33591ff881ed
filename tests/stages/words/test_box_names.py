"""What the box of a track may be called, and which name fits its looks."""

import numpy as np
import pytest

from pipeline.arrays import Array
from stages.words import scoring
from stages.words.box_names import BoxNames, box_names, go_together
from stages.words.label_side import LabelSide
from stages.words.word import words_of

BACKGROUND = ("dog", "sheep", "car", "forest", "rain", "running")
AXES = {word: number for number, word in enumerate(BACKGROUND)}


def looks(**shares: float) -> Array:
    """A unit vector that is so much like each background word."""
    vector = np.zeros(len(BACKGROUND))
    for word, share in shares.items():
        vector[AXES[word]] = share
    return vector / np.linalg.norm(vector)


def names_for(labels: dict[str, list[Array]]) -> BoxNames:
    """The box names for a run with these labels, each with the vector of each synonym."""
    vectors = np.stack([vector for each in labels.values() for vector in each]).astype(np.float32)
    background = np.eye(len(BACKGROUND), dtype=np.float32)
    counts = np.array([len(each) for each in labels.values()])
    starts = np.cumsum(counts) - counts if (counts > 1).any() else None
    kept = scoring.competing(vectors, background)
    if starts is not None:
        kept = np.minimum.reduceat(kept, starts, axis=0)
    return box_names(words_of(labels), BACKGROUND, LabelSide(vectors, background, kept, 0.1, 2.0, starts))


def test_only_things_are_names_and_labels_of_the_run_come_first() -> None:
    names = names_for({"beach": [looks(rain=1)], "goat": [looks(sheep=0.8, dog=0.6)], "dog barking": [looks(dog=1)]})
    assert (names.names, names.own) == (("goat", "dog", "sheep", "car"), 1)


def test_a_label_with_synonyms_is_a_thing_only_if_all_of_them_are() -> None:
    names = names_for({"car|automobile": [looks(car=1), looks(car=1)], "dog|dog barking": [looks(dog=1), looks(dog=1)]})
    assert names.names[: names.own] == ("car",)
    assert names.name(looks(car=1), 0.5, 0.5) == ("car", pytest.approx(1.0, abs=0.01))


def test_a_box_has_the_name_of_the_label_that_fits_its_looks() -> None:
    names = names_for({"dog": [looks(dog=1)], "car": [looks(car=1)], "rain": [looks(rain=1)]})
    assert names.name(looks(dog=1.0, rain=0.3), 0.5, 0.8) == ("dog", pytest.approx(0.99, abs=0.02))
    assert names.name(looks(rain=1.0), 0.5, 0.8) is None, "rain is not what a box is"


def test_an_everyday_word_names_what_no_label_fits() -> None:
    names = names_for({"rain": [looks(rain=1)]})
    found = names.name(looks(sheep=1.0, dog=0.2), 0.5, 0.8)
    assert found is not None
    assert found[0] == "sheep"
    assert names.name(looks(sheep=1.0, dog=0.2), 0.5, 1.1) is None, "above 1, only labels of the run"


def test_a_label_gives_way_to_an_everyday_word_only_if_that_fits_clearly_better() -> None:
    goat = names_for({"goat": [looks(sheep=0.8, car=0.6)]})
    assert goat.name(looks(sheep=1.0), 0.1, 0.5) == ("sheep", pytest.approx(1.0, abs=0.01))
    animal = names_for({"animal": [looks(sheep=0.95, dog=0.3)]})
    found = animal.name(looks(sheep=1.0), 0.1, 0.5)
    assert found is not None
    assert found[0] == "animal", "the user's word, although `sheep` fits slightly better"


def test_words_that_go_with_a_label_do_not_speak_against_it() -> None:
    words = ("person", "man", "dog", "cat", "bus", "car")
    expected = {"man": {"person", "man"}, "animal": {"dog", "cat"}, "Red bus": {"bus"}, "cat": {"cat"}}
    for (label, right), row in zip(expected.items(), go_together(list(expected), words), strict=True):
        assert {word for word, goes in zip(words, row, strict=True) if goes} == right, label


@pytest.mark.parametrize(("wanted", "found"), [("man", "man"), ("woman", "person")])
def test_a_person_may_still_be_called_a_man_and_not_a_man_a_woman(wanted: str, found: str) -> None:
    background = ("person", "man", "woman", "car")
    vectors = np.eye(4, dtype=np.float32)
    own = vectors[background.index(wanted)][None]
    side = LabelSide(own, vectors, scoring.competing(own, vectors), 0.1, 2.0)
    names = box_names(words_of([wanted]), background, side, all_things=True)
    name = names.name(np.array([0.8, 0.6, 0.0, 0.0]), 0.5, 0.5)
    assert name is not None
    assert name[0] == found


def test_without_a_thing_no_box_has_a_name() -> None:
    side = LabelSide(np.eye(2, dtype=np.float32)[:1], np.eye(2, dtype=np.float32), np.ones((1, 2), np.float32), 0.1, 0)
    names = box_names(words_of(["rain"]), ("beach", "snow"), side)
    assert names.names == ()
    assert names.name(np.array([1.0, 0.0]), 0.0, 0.0) is None
