"""Conditions as people write them, and what they are told when they slip."""

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from live.condition_parts import (
    Anything,
    Compared,
    Crosses,
    Either,
    Every,
    Held,
    Motion,
    Node,
    Not,
    Probable,
    Recent,
    Stays,
    quoted,
    show,
)
from live.condition_text import ConditionError, parse

LABELS = [
    "glass breaking",
    "dog",
    "dog barking",
    "rock and roll",
    "person",
    "cat in a box",
    "wait for it",
    'say "hi"',
    "jump over fence",
]
ZONES = ["drive", "hall"]
LINES = ["gate"]


@pytest.mark.parametrize(
    ("text", "node"),
    [
        ("glass breaking and not person", Every((Probable("glass breaking"), Not(Probable("person"))))),
        ("dog barking for 30 s", Held(Probable("dog barking"), 30.0)),
        ("dog FOR 2min", Held(Probable("dog"), 120.0)),
        ("not dog for 1 hour", Held(Not(Probable("dog")), 3600.0)),
        ("not (dog for 1.5 s)", Not(Held(Probable("dog"), 1.5))),
        (
            "dog or person and dog barking",
            Either((Probable("dog"), Every((Probable("person"), Probable("dog barking"))))),
        ),
        ("(dog or person) within 10 s", Recent(Either((Probable("dog"), Probable("person"))), 10.0)),
        ('"rock and roll" > .6', Compared("rock and roll", ">", 0.6)),
        ("dog>=1", Compared("dog", ">=", 1.0)),
        ("cat in a box", Probable("cat in a box")),
        ("cat in a box in hall", Probable("cat in a box", "hall")),
        ("wait for it for 3 s", Held(Probable("wait for it"), 3.0)),
        ("Dog  Barking in DRIVE", Probable("dog barking", "drive")),
        ('"dog" in "hall"', Probable("dog", "hall")),
        ("motion in drive", Motion("drive")),
        ("motion", Motion()),
        ("anything in hall", Anything("hall")),
        (r'"say \"hi\""', Probable('say "hi"')),
        ("dog over gate", Crosses("dog", "gate")),
        ("Anything over gate IN for 2 s", Held(Crosses("", "gate", "in"), 2.0)),
        ('"dog barking" over "gate" out and dog', Every((Crosses("dog barking", "gate", "out"), Probable("dog")))),
        ("jump over fence over gate in", Crosses("jump over fence", "gate", "in")),
        ("person stays in hall for 30 s", Stays("person", "hall", 30.0)),
        ("not anything stays in hall for 2 min", Not(Stays("", "hall", 120.0))),
    ],
)
def test_a_condition_is_read(text: str, node: Node) -> None:
    assert parse(text, LABELS, ZONES, LINES) == node


def test_what_is_to_be_found_stands_in_conditions_on_tracks() -> None:
    def read(text: str) -> Node:
        return parse(text, LABELS, ZONES, LINES, ["red car", "man left of the bus"])

    assert read("red car over gate in and dog") == Every((Crosses("red car", "gate", "in"), Probable("dog")))
    assert read("man left of the bus in hall") == Probable("man left of the bus", "hall")
    with pytest.raises(ConditionError, match="'red car' is to be found, but is no label; say where"):
        read("red car and dog")


def test_a_label_named_motion_is_a_label() -> None:
    assert parse("motion", ["motion"]) == Probable("motion")


@pytest.mark.parametrize(
    ("text", "problem", "mark"),
    [
        ("dog and glas breaking", "'glas breaking' is not a label of the camera (did you mean 'glass breaking'?)", 8),
        ("zebra", "'zebra' is not a label of the camera; add it to the camera's labels", 0),
        ("rock and roll", "'rock' is not a label of the camera; write \"rock and roll\" in quotes", 0),
        ("dog in drvie", "no zone has the name 'drvie' (did you mean 'drive'?)", 7),
        ("motion in garden", "no zone has the name 'garden'; known: drive, hall", 10),
        ("motion in", "expected the name of a zone here; known: drive, hall", 9),
        ("dog and", "expected a label, motion, anything, not or a bracket here", 7),
        ("", "expected a label, motion, anything, not or a bracket here", 0),
        ("(dog", "a bracket that is not closed", 0),
        ("dog)", "expected and, or, for, within or the end here", 3),
        ("dog for 30 apples", "expected a time here, such as 30 s, 2 min or 1 h", 8),
        ("dog for 30", "expected a time here, such as 30 s, 2 min or 1 h", 8),
        ("dog for 90 h", "expected a time of more than 0 s, and at most 24 h", 8),
        ("dog over gat in", "no line has the name 'gat' (did you mean 'gate'?)", 9),
        ("dog over", "expected the name of a line here; known: gate", 8),
        ("motion over gate", "motion is no track; write anything in its place", 7),
        ("zebra over gate in", "'zebra' is not a label of the camera; add it to the camera's labels", 0),
        ("dog stays on hall", "expected in and the name of a zone here", 10),
        ("dog stays in hall", "expected for and a time here, such as for 30 s", 17),
        ("dog > 2", "expected a probability from 0 to 1 here, such as 0.6", 6),
        ("dog > nan", "expected a probability from 0 to 1 here, such as 0.6", 6),
        ("dog in hall > 0.4", "a comparison of a label in a zone; join two parts: … and motion in hall", 12),
        ('dog and "pers', 'a quote that is not closed; write such a label as "rock and roll"', 8),
    ],
)
def test_an_error_shows_the_place(text: str, problem: str, mark: int) -> None:
    with pytest.raises(ConditionError) as error:
        parse(text, LABELS, ZONES, LINES)
    said, line, caret = str(error.value).split("\n")
    assert said == problem
    assert line == f"    {text}"
    assert caret.index("^") - 4 == mark


def test_long_and_deep_conditions_are_refused() -> None:
    with pytest.raises(ConditionError, match="characters"):
        parse("dog or " * 1000 + "dog", LABELS)
    with pytest.raises(ConditionError, match="levels"):
        parse("(" * 200 + "dog" + ")" * 200, LABELS)


def test_an_error_shows_control_characters_as_spaces() -> None:
    with pytest.raises(ConditionError) as error:
        parse("dog \x1b[2J", LABELS)
    assert "\x1b" not in str(error.value)


NAMES = st.text(min_size=1, max_size=12).map(lambda text: " ".join(text.split())).filter(bool)


def nodes(labels: list[str], zones: list[str]) -> st.SearchStrategy[Node]:
    label, zone = st.sampled_from(labels), st.sampled_from(zones)
    times = st.integers(1, 86_400).map(float)
    leaves: st.SearchStrategy[Node] = st.one_of(
        st.builds(Probable, label),
        st.builds(Probable, label, zone),
        st.builds(Compared, label, st.sampled_from([">", ">=", "<", "<="]), st.integers(0, 100).map(lambda p: p / 100)),
        st.builds(Motion, zone),
        st.builds(Anything),
        st.builds(Crosses, label, st.sampled_from(LINES), st.sampled_from(["", "in", "out"])),
        st.builds(Stays, label, zone, st.integers(1, 9_000).map(float)),
    )

    def deeper(inner: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
        several = st.lists(inner, min_size=2, max_size=3).map(tuple)
        return st.one_of(
            st.builds(Not, inner),
            several.map(lambda parts: Every(tuple(p for p in parts))),
            several.map(lambda parts: Either(tuple(p for p in parts))),
            st.builds(Held, inner, times),
            st.builds(Recent, inner, times),
        )

    return st.recursive(leaves, deeper, max_leaves=6)


@settings(max_examples=60, deadline=None)
@given(st.data(), st.lists(NAMES, min_size=1, max_size=3, unique_by=str.casefold))
def test_any_condition_reads_back_as_it_is_shown(data: st.DataObject, labels: list[str]) -> None:
    node = data.draw(nodes(labels, ZONES))
    assert parse(show(node), labels, ZONES, LINES) == node


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=60))
def test_any_text_is_a_condition_or_an_error(text: str) -> None:
    with contextlib.suppress(ConditionError):
        node = parse(text, LABELS, ZONES, LINES)
        assert parse(show(node), LABELS, ZONES, LINES) == node


def test_quotes_stand_where_they_must() -> None:
    assert [quoted(name) for name in ("dog", "rock and roll", "a (b)", "in", 'x"y')] == [
        "dog",
        '"rock and roll"',
        '"a (b)"',
        '"in"',
        '"x\\"y"',
    ]
