"""Which words name things, and which name actions, places and sounds."""

import numpy as np
import pytest

from engines.models.checkpoint import read_model
from pipeline.stage import RunSettings
from stages.words.labels import build_label_set
from stages.words.things import LEAST_KNOWN, TABLE, are_things, is_activity, known
from stages.words.word import BUNDLED_MODEL, default_labels, read_lines

THINGS = (
    "skateboarder", "toddler", "delivery van", "wolf cub", "goat kid", "paper bag", "kettlebell", "wine cooler",
    "old building", "gold earring",
)  # fmt: skip
OTHERS = (
    "washing feet", "slacklining", "heavy traffic", "sunrise", "strong wind", "loud applause", "city at night",
    "football match", "dance", "loud music", "thick fog",
)  # fmt: skip


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("dog barking", True),
        ("Playing Tennis", True),
        ("using a phone", True),
        ("tying a knot", True),
        ("building a house", True),
        ("painting walls", True),
        ("tall building", False),
        ("oil painting", False),
        ("wedding dress", False),
        ("outdoor swimming pool", False),
        ("cleaning a swimming pool", True),
        ("gold earring", False),
        ("wedding guests dancing", True),
        ("king", False),
        ("string", False),
        ("ringtone", False),
        ("dog", False),
        ("犬", False),
    ],
)
def test_a_verb_in_ing_is_an_activity(text: str, expected: bool) -> None:
    assert is_activity(text) == expected


def test_words_of_the_table_are_things_and_the_other_words_of_the_vocabularies_are_none() -> None:
    assert [known(word) for word in ("Dog", "washing machine", "police_car", "sheep bleating", "beach", "rain")] == [
        True, True, True, False, False, False,
    ]  # fmt: skip
    in_ing = "building|swimming pool|wedding dress|king|ring|ceiling|clothing|earring|string|wing"
    assert all(known(word) for word in in_ing.split("|"))
    assert known("a word that nobody lists") is None
    words = [line for line in read_lines(TABLE, "things") if not line.startswith("#")]
    assert words == sorted(set(words)), "each word once, in order"
    assert not [word for word in words if word != word.casefold()]


def test_no_label_of_the_default_vocabulary_that_names_a_box_is_an_action_a_place_or_a_sound() -> None:
    things = [label for label in default_labels() if known(label)]
    assert {"dog", "truck", "pizza", "eagle"} <= set(things)
    assert not {"people talking", "beach", "sheep bleating", "playing baseball", "kitchen", "rain"} & set(things)
    assert not [label for label in things if is_activity(label)]


def test_unknown_words_are_judged_in_the_text_space_of_the_model() -> None:
    assert {known(word) for word in (*THINGS, *OTHERS)} == {None}
    run = RunSettings(modalities=("image",), labels=(*THINGS, *OTHERS))
    labels = build_label_set(read_model(str(BUNDLED_MODEL)), run.labels, run, lambda message: None)
    side = labels.sides["image"]
    found = are_things(labels.labels, side.labels, labels.background, side.background)
    wrong = [word for word, thing in zip(labels.labels, found, strict=True) if thing and word in OTHERS]
    assert wrong == [], "a wrong name is worse than none"
    assert sum(found) >= 0.7 * len(THINGS)
    assert labels.box_names is not None
    assert labels.box_names.names[: labels.box_names.own] == tuple(
        word for word, thing in zip(labels.labels, found, strict=True) if thing
    )


def test_without_enough_known_words_an_unknown_one_is_no_thing() -> None:
    vectors = np.eye(4, dtype=np.float32)
    assert are_things(["dog", "skateboarder", "rain"], vectors[:3], ["cat"], vectors[3:]).tolist() == [
        True,
        False,
        False,
    ]
    assert LEAST_KNOWN > 1
