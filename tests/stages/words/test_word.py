"""Words as people write them: synonyms, parents, indented files."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import ConfigError
from stages.words.word import Word, clean_labels, parse_labels, parse_word, words_of


def file_of(tmp_path: Path, text: str) -> str:
    (tmp_path / "words.txt").write_text(text, encoding="utf-8")
    return f"@{tmp_path / 'words.txt'}"


def test_synonyms_follow_the_name_that_is_shown() -> None:
    assert parse_word(" car | automobile |car|") == Word(("car", "automobile"))
    assert parse_labels("car|automobile, dog") == ("car|automobile", "dog")


def test_a_repeated_label_adds_its_synonyms() -> None:
    assert clean_labels(["car|automobile", "dog", "car|motor  car"]) == ("car|automobile|motor car", "dog")


def test_a_name_before_a_sign_with_spaces_is_a_parent() -> None:
    assert parse_word("vehicle > road > car|automobile") == Word(("car", "automobile"), ("vehicle", "road"))
    assert parse_word("a>b") == Word(("a>b",))
    assert parse_word("  > | ") is None


names = st.text(st.characters(categories=("L", "N"), codec="utf-8"), min_size=1, max_size=8).map(
    lambda text: (parse_word(text) or Word(("x",))).name
)


@given(st.lists(names, min_size=1, max_size=3, unique=True), st.lists(names, max_size=3))
def test_a_word_is_read_back_as_it_is_written(own: list[str], above: list[str]) -> None:
    word = Word(tuple(own), tuple(above))
    assert words_of([str(word)]) == (word,)


def test_indentation_makes_parents_and_leaves_are_labels(tmp_path: Path) -> None:
    text = """
# a tree
animal
    dog|hound
    bird
        owl
        # not this
        heron

vehicle
\tcar|automobile
rain
"""
    assert parse_labels(file_of(tmp_path, text)) == (
        "animal > dog|hound",
        "animal > bird > owl",
        "animal > bird > heron",
        "vehicle > car|automobile",
        "rain",
    )


def test_lines_with_equal_indentation_are_plain_labels(tmp_path: Path) -> None:
    assert parse_labels(file_of(tmp_path, "  dog\n  rain\n\n  cat")) == ("dog", "rain", "cat")


def test_one_parent_may_be_in_two_places_of_a_file(tmp_path: Path) -> None:
    assert parse_labels(file_of(tmp_path, "animal\n dog\nrain\nanimal\n cat\n")) == (
        "animal > dog",
        "rain",
        "animal > cat",
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("animal\n    dog\n  cat\n", r"line 3 \('cat'\) is indented by 2; expected 0 or 4"),
        ("fruit\n orange\ncolour\n orange\n", "'orange' is under 'fruit' and 'colour'"),
        ("orange\ncolour\n orange\n", "'orange' is under the top and 'colour'"),
        ("animal\n dog\nrain\nanimal\n", "'animal' is a label and has labels below it"),
        ("animal\n dog\x07\n", "control characters"),
    ],
)
def test_a_tree_that_contradicts_itself_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_labels(file_of(tmp_path, text))
