import pytest

from recipes.percept_mini.picture_data import Photo, View
from recipes.percept_mini.picture_words import ONCE, RIGHT, UNKNOWN, WRONG, Targets, phrases, singular

WORDS = ["person", "people", "man", "woman", "child", "dog", "hot air balloon", "cow"]
SEEN = View(0, True)


def targets(photo: Photo, view: View = SEEN) -> dict[str, float]:
    return dict(zip(WORDS, Targets(WORDS).of(photo, view).tolist(), strict=True))


def test_what_captions_say_is_right_and_what_none_says_is_wrong() -> None:
    found = targets(
        Photo("flickr8k", "a", ("Two dogs run .", "Dogs play .", "A dog and a cow .", "Puppies .", "Fun ."))
    )
    assert found["dog"] == RIGHT
    assert found["cow"] == ONCE
    assert found["hot air balloon"] == WRONG
    assert {found[word] for word in ("person", "people", "man", "woman", "child")} == {WRONG}


def test_a_name_of_several_words_is_found_in_the_plural() -> None:
    found = targets(Photo("flickr8k", "a", ("Hot air balloons above a lake .", "Three hot air balloons")))
    assert found["hot air balloon"] == RIGHT


@pytest.mark.parametrize(
    ("captions", "expected"),
    [
        (("A man runs", "A guy in red", "A man", "Man", "He runs"), {"person": RIGHT, "man": RIGHT, "woman": WRONG}),
        (
            ("A runner", "A person runs", "Someone", "A swimmer", "x"),
            {"person": RIGHT, "man": UNKNOWN, "woman": UNKNOWN},
        ),
        (("Two girls", "Girls play", "Kids", "Two children", "x"), {"people": RIGHT, "child": RIGHT, "man": WRONG}),
        (("A lady", "grass", "grass", "x", "y"), {"person": UNKNOWN, "woman": UNKNOWN, "people": UNKNOWN}),
    ],
)
def test_people_are_of_kinds(captions: tuple[str, ...], expected: dict[str, float]) -> None:
    found = targets(Photo("flickr8k", "a", captions))
    assert {word: found[word] for word in expected} == expected


def test_boxes_tell_what_is_there_and_what_is_not() -> None:
    photo = Photo("voc2012", "a", boxes=(("dog", 0, 0, 9, 9),))
    found = targets(photo, View(0, True, right=("dog",), wrong=("cow", "person")))
    assert (found["dog"], found["cow"], found["hot air balloon"]) == (RIGHT, WRONG, UNKNOWN)
    assert {found[word] for word in ("person", "people", "man", "woman", "child")} == {WRONG}
    assert targets(photo, View(0, True, right=("person",)))["man"] == UNKNOWN


def test_plurals() -> None:
    assert [singular(word) for word in ("dogs", "bushes", "puppies", "grass", "bus")] == [
        *("dog", "bush", "puppy", "grass", "bus"),
    ]


@pytest.mark.parametrize(
    ("caption", "expected"),
    [
        ("A black dog is jumping over a log .", ("black dog", "jumping over a log")),
        ("Two girls playing with a ball and running home", ("two girls", "playing with a ball", "running home")),
        ("Something near a building .", ("something",)),
        ("A man in a red shirt climbs a rock face .", ("man in a red",)),  # no verb is known: the first words
        ("Running .", ("running",)),
        (" . ", ()),
    ],
)
def test_phrases_say_who_and_what_they_do(caption: str, expected: tuple[str, ...]) -> None:
    assert phrases(caption) == expected
