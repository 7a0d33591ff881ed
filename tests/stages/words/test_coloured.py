"""A colour in a phrase is measured where it is one of a thing, and part of the name elsewhere."""

import pytest

from stages.words.coloured import Coloured, coloured_of, parse_coloured
from stages.words.relations import named_things, things_to_find
from stages.words.word import words_of


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("red bus", ("bus", "red")),
        ("dark Blue car", ("car", "blue")),
        ("person in red", ("person", "red")),
        ("orange", None),
        ("bus", None),
        ("brown bear", None),
        ("black woman", None),
        ("red and white bus", None),
        ("big red bus", None),
        ("man in a red shirt", None),
        ("red bus left of the car", None),
    ],
)
def test_a_colour_is_that_of_the_thing_behind_it(text: str, found: tuple[str, str] | None) -> None:
    assert parse_coloured(text) == found


def test_things_are_looked_for_without_their_colours() -> None:
    find = ("red bus|fire engine", "bus", "white dog left of the black car")
    assert [word.name for word in things_to_find(find)] == ["bus", "fire engine", "dog", "car"]
    coloured = coloured_of(named_things(find))
    assert coloured[:2] == (Coloured("red bus", "bus", "red"), Coloured("red bus", "fire engine"))
    assert [each.label for each in coloured[2:]] == ["white dog", "black car"]


def test_a_colour_holds_for_its_thing_alone() -> None:
    (red,) = coloured_of(words_of(("red bus",)))
    assert red.holds("Bus", {"red", "black"})
    assert not red.holds("bus", {"green"})
    assert not red.holds("car", {"red"})
    assert not red.holds(None, {"red"})
