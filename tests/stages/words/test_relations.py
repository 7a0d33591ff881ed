"""Phrases with a place in them, and what holds between two boxes."""

import pytest

from stages.boxes import Box
from stages.words.relations import parse_relation, plain_words, relations_of, things_to_find

BUS = (100.0, 100.0, 200.0, 160.0)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("the man left of the bus", ("man", "left", "bus")),
        ("red car to the right of a tree", ("red car", "right", "tree")),
        ("lamp that is above the table", ("lamp", "above", "table")),
        ("cat under table", ("cat", "below", "table")),
        ("Dog next to the Woman", ("Dog", "beside", "Woman")),
        ("dog on the skateboard", ("dog", "on", "skateboard")),
    ],
)
def test_a_phrase_has_two_things_and_a_place(text: str, parts: tuple[str, str, str]) -> None:
    relation = parse_relation(text)
    assert relation is not None
    assert (relation.thing, relation.way, relation.other) == parts
    assert relation.phrase == text


@pytest.mark.parametrize(
    "text",
    ["dog", "cup of coffee", "left hand", "overcoat", "nearby tree", "above all", "dog on the left"],
)
def test_any_other_word_has_none(text: str) -> None:
    assert parse_relation(text) is None


@pytest.mark.parametrize(
    ("way", "box", "holds"),
    [
        ("left of", (20, 90, 60, 170), True),
        ("left of", (80, 90, 130, 170), True),  # mostly before it
        ("left of", (120, 90, 160, 170), False),
        ("right of", (220, 90, 260, 170), True),
        ("right of", (20, 90, 60, 170), False),
        ("above", (120, 40, 160, 110), True),
        ("above", (300, 40, 340, 110), False),  # above, but beside
        ("below", (120, 150, 160, 200), True),
        ("below", (120, 40, 160, 110), False),
        ("next to", (220, 90, 260, 170), True),
        ("next to", (400, 90, 440, 170), False),
        ("on", (120, 50, 180, 130), True),
        ("on", (20, 50, 80, 130), False),
    ],
)
def test_where_a_box_is(way: str, box: Box, holds: bool) -> None:
    relation = parse_relation(f"man {way} bus")
    assert relation is not None
    assert relation.holds(box, BUS) is holds


def test_both_things_of_a_relation_are_looked_for_once() -> None:
    find = ("man left of the bus", "dog", "bus right of the dog")
    assert [word.name for word in things_to_find(find)] == ["dog", "man", "bus"]
    assert [word.name for word in plain_words(find)] == ["dog"]
    assert [relation.phrase for relation in relations_of(find)] == [find[0], find[2]]
