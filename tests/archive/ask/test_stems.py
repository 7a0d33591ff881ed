"""Forms of a word meet, words of another meaning do not."""

import pytest

from archive.ask.matching import Matcher
from archive.ask.stems import stem


@pytest.mark.parametrize(
    "forms",
    [
        *("bark barks barked barking", "dance dances danced dancing", "run runs ran running", "cry cries cried crying"),
        *("bus buses", "child children kid kids", "man men", "speak spoke talking speech", "bell bells"),
    ],
)
def test_forms_of_a_word_have_one_stem(forms: str) -> None:
    assert len({stem(word) for word in forms.split()}) == 1


def test_other_words_have_other_stems() -> None:
    words = (
        "sing",
        "string",
        "spring",
        "thing",
        "king",
        "ring",
        "glass",
        "grass",
        "bus",
        "rain",
        "train",
        "car",
        "cat",
    )
    assert len({stem(word) for word in words}) == len(words)


@pytest.mark.parametrize(
    ("phrase", "names"),
    [
        ("the dog", ("dog",)),
        ("a bark", ("dog barking", "fox barking")),
        ("the dog barked", ("dog barking",)),
        ("dogs were seen", ("dog",)),
        ("the dog or a siren", ("dog", "siren")),
        ("big dog", None),
        ("cat", None),
    ],
)
def test_a_phrase_is_a_name_with_its_words_and_never_one_with_fewer(phrase: str, names: tuple[str, ...] | None) -> None:
    found = Matcher().find(phrase, ["dog", "dog barking", "fox barking", "siren"])
    assert (found and found.names) == names


def test_the_model_is_asked_about_what_no_word_fits_and_is_named() -> None:
    asked: list[str] = []
    matcher = Matcher(lambda phrase, names: (asked.append(phrase), [names[0]])[1])
    found = matcher.find("the puppy", ["dog"])
    assert (found and str(found), asked) == ("puppy = dog, which is nearly the same to the model", ["puppy"])
    assert matcher.find("dog", ["dog"])
    assert asked == ["puppy"]
