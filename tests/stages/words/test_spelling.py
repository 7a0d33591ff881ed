"""Names that may be no words are found by how a tokenizer splits them."""

import pytest

from engines.models.checkpoint import read_model
from stages.words.spelling import letters_of, resembles, unusual

KNOWN = ("giraffe", "zebra", "dog barking", "skate", "fire engine")


def test_usual_words_forms_and_short_words_are_fine_and_others_are_found() -> None:
    text = read_model("percept-mini").texts["minilm"]
    names = ["dog", "TV set", "zebras", "snowboarding", "giraff in a zoo", "xqzwv", "собака", "qx"]
    found = {name: (word, meant) for name, word, _, meant in unusual(names, text, KNOWN)}
    assert found == {"giraff in a zoo": ("giraff", "giraffe"), "xqzwv": ("xqzwv", "")}


def test_words_that_the_model_knows_are_fine_however_they_are_split() -> None:
    text = read_model("percept-mini").texts["minilm"]
    assert list(unusual(["xqzwv"], text, ["the xqzwv"])) == []
    assert list(unusual([], text, KNOWN)) == []


@pytest.mark.parametrize(
    ("word", "meant"),
    [("giraff", "giraffe"), ("zebras", ""), ("skating", ""), ("skated", ""), ("barkin", "barking"), ("piano", "")],
)
def test_a_word_resembles_a_known_one_unless_it_is_a_form_of_it(word: str, meant: str) -> None:
    assert resembles(word, {letters for name in KNOWN for letters in letters_of(name)}) == meant
