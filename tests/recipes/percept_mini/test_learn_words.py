"""What photos say of a word, and moves that are learnt from it."""

import re

import numpy as np
import pytest
import torch

from recipes.percept_mini.learn_words import (
    RIGHT,
    Examples,
    Words,
    _forms,
    balanced,
    is_better,
    learn,
    truth_of,
    words,
)
from recipes.percept_mini.picture_data import Photo
from stages.words.label_side import LabelSide
from training.calibrate.unknown import auroc


def test_boxes_say_what_is_there_and_what_is_not() -> None:
    boxes = (("motorbike", 0.0, 0.0, 9.0, 9.0), ("person", 0.0, 0.0, 9.0, 9.0))
    photo = Photo("voc2012", "a.jpg", boxes=boxes, names_known=("motorbike", "person", "sofa"))
    found = truth_of(photo, ("motorcycle", "person", "couch", "man", "beach"))
    assert found[:3] == [1.0, 1.0, 0.0]
    assert np.isnan(found[3:]).all()
    empty = Photo("voc2012", "b.jpg", names_known=("motorbike", "person", "sofa"))
    assert truth_of(empty, ("man", "child")) == [0.0, 0.0]


def test_captions_say_what_several_people_mention_and_nobody_does() -> None:
    captions = ("A man runs along the beach .", "A guy running .", "A man with a dog .", "Sand .", "A beach .")
    photo = Photo("flickr8k", "a.jpg", captions=captions)
    found = truth_of(photo, ("running", "man", "person", "beach", "dog", "surfing"))
    assert [found[0], *found[2:4], found[5]] == [1.0, 1.0, 1.0, 0.0]
    assert np.isnan(found[4]), "one caption alone decides nothing"


@pytest.mark.parametrize(
    ("name", "right", "wrong"),
    [
        ("running", ["he runs", "they run"], ["runner"]),
        ("riding a bike", ["rides his red bike", "riding a bike"], ["rides along on a road near a bike"]),
        ("woman", ["a woman"], ["women"]),
        ("beach", ["two beaches"], ["beachfront"]),
        ("smoking", ["smokes a pipe"], ["smoker"]),
    ],
)
def test_a_word_is_found_in_its_forms(name: str, right: list[str], wrong: list[str]) -> None:
    pattern = re.compile(rf"\b(?:{_forms(name)})\b")
    assert all(pattern.search(text) for text in right)
    assert not any(pattern.search(text) for text in wrong)


def test_rare_words_count_as_if_they_were_more_frequent_and_frequent_ones_as_they_are() -> None:
    right = np.zeros((100, 3), bool)
    right[:5, 0] = right[:60, 1] = True
    weights = balanced(right, ~right)
    assert weights.sum(0) == pytest.approx([1, 1, 0])
    assert (weights * right).sum(0) == pytest.approx([RIGHT, 0.6, 0])


def test_a_move_makes_a_word_fit_its_photos() -> None:
    random = np.random.default_rng(0)
    unit = lambda each: each / np.linalg.norm(each, axis=-1, keepdims=True)  # noqa: E731
    seen, background = unit(random.normal(size=(400, 16))), unit(random.normal(size=(5, 16)))
    is_right = seen[:, 3] > 0.2
    label = unit(random.normal(size=(1, 16)))
    side = LabelSide(label, background, np.ones((1, 5), np.float32), temperature=0.1, bias=0.0)
    answers = Words(side, seen.astype(np.float32))
    still = answers.odds(torch.zeros(1, 16)).numpy()
    np.testing.assert_allclose(still, side.compare(seen)[2], atol=1e-4)
    examples = Examples(seen, is_right[:, None].astype(np.float32), np.arange(400) % 5, np.full(400, "voc2012"))
    move = learn(answers, examples, examples.part != 0, 0.01, {"voc2012": 1.0})
    held_out = examples.part == 0
    after = answers.odds(move).numpy()[held_out, 0]
    assert auroc(after, is_right[held_out]) > 0.95 > auroc(still[held_out, 0], is_right[held_out])


def test_a_word_is_kept_only_if_nothing_is_worse() -> None:
    before = {"voc2012 auroc": 0.9, "voc2012 loss": 0.3, "flickr8k auroc": 0.8, "flickr8k loss": 0.4}
    assert is_better(before, before | {"voc2012 auroc": 0.91})
    assert not is_better(before, before | {"voc2012 auroc": 0.91, "flickr8k auroc": 0.79})
    assert not is_better(before, before | {"voc2012 auroc": 0.91, "flickr8k loss": 0.41})
    assert not is_better(before, before)
    assert not is_better({}, {})


def test_words_are_asked_for_once() -> None:
    assert len(set(words())) == len(words()) > 80
