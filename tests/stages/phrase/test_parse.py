"""What phrases say: things, attributes and relations, each with its place in the text."""

import pytest

from pipeline.errors import ConfigError
from stages.phrase.geometry import HOLDS
from stages.phrase.lexicon import RELATIONS, VERBS
from stages.phrase.parse import parse_phrase


@pytest.mark.parametrize(
    ("text", "things", "attributes", "relations"),
    [
        ("the red cup left of the laptop", "cup, laptop", "0 colour red", "0 left 1"),
        ("man riding bike", "man, bike", "", "0 riding 1"),
        ("the bike ridden by a man", "bike, man", "", "1 riding 0"),
        ("the person in red who came in first", "person", "0 colour red, 0 order came first", ""),
        ("person in a red shirt", "person, shirt", "1 colour red", "0 worn 1"),
        ("a man wearing a dark blue jacket and black trousers", "man, jacket, trousers",
         "1 colour blue, 2 colour black", "0 worn 1, 0 worn 2"),
        ("a woman with a hat holding a dog", "woman, hat, dog", "", "0 worn 1, 0 holding 2"),
        ("the orange cat next to an orange", "cat, orange", "0 colour orange", "0 beside 1"),
        ("the left one", "thing", "0 place left", ""),
        ("the dog on the left side of the picture", "dog", "0 place left", ""),
        ("the dog on the left side of the big car", "dog, car", "1 size big", "0 left 1"),
        ("the cat between the dog and the car", "cat, dog, car", "", "0 between 1 2"),
        ("the biggest of the dogs", "dogs", "0 size big", ""),
        ("the red, round ball", "round ball", "0 colour red", ""),
        ("the dog left of the car and above the cat", "dog, car, cat", "", "0 left 1, 0 above 2"),
        ("dog gnawing a bone", "dog, bone", "", "0 touching 1"),
        ("On the table is a red cup. Next to it, a laptop.", "table, cup, laptop",
         "1 colour red", "1 on 0, 2 beside 1"),
        ("A dog is running on the grass. It is left of a red car. The car is behind a tree.", "dog, grass, car, tree",
         "0 motion fast, 2 colour red", "0 on 1, 0 left 2, 2 behind 3"),
        ("A man in black holds a dog. He is next to a bus.", "man, dog, bus", "0 colour black",
         "0 holding 1, 0 beside 2"),
    ],
)  # fmt: skip
def test_a_phrase_is_things_attributes_and_relations(text: str, things: str, attributes: str, relations: str) -> None:
    phrase = parse_phrase(text)
    assert ", ".join(thing.name for thing in phrase.things) == things
    told = [f"{row} {a.kind} {a.value}" for row, thing in enumerate(phrase.things) for a in thing.attributes]
    assert ", ".join(told) == attributes
    held = [f"{each.subject} {each.kind} {' '.join(map(str, each.others))}" for each in phrase.relations]
    assert ", ".join(held) == relations


def test_each_part_says_where_it_is_in_the_text() -> None:
    phrase = parse_phrase("Find the small red cup, to the left of a wooden table")
    cup, table = phrase.things
    assert [phrase.read(thing.span) for thing in phrase.things] == ["small red cup", "wooden table"]
    assert [phrase.read(each.span) for each in cup.attributes] == ["small", "red"]
    assert [phrase.read(each.span) for each in phrase.relations] == ["to the left of"]
    assert table.judged == ("wooden",)
    assert phrase.asked == 0


def test_what_is_asked_for_is_the_subject_also_behind_its_place() -> None:
    phrase = parse_phrase("left of the bus is a man")
    assert phrase.things[phrase.asked].name == "man"


def test_a_verb_can_be_swapped() -> None:
    phrase = parse_phrase("a man riding a horse")
    assert phrase.sentence(phrase.relations[0]) == "man riding horse"
    assert phrase.sentence(phrase.relations[0], is_swapped=True) == "horse riding man"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("the", "names nothing to find"),
        ("dog without a collar", "'without' says what is not there"),
        ("left of the bicycle", "does not say what is left of it"),
        (". ".join(f"thing{n} near thing{n}x" for n in range(7)), "14 things are named; expected at most 12"),
    ],
)
def test_what_cannot_be_found_is_refused(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_phrase(text)


def test_every_relation_of_the_grammar_has_a_geometry() -> None:
    assert {*RELATIONS.values(), *VERBS} <= {*HOLDS, "between"}


def test_a_sentence_may_begin_with_its_relation_and_a_pronoun() -> None:
    phrase = parse_phrase("A dog lies on the grass. Behind it are trees.")
    assert [thing.name for thing in phrase.things] == ["dog", "grass", "trees"]
    assert [(each.kind, each.subject, each.others) for each in phrase.relations] == [
        ("on", 0, (1,)),
        ("behind", 2, (0,)),
    ]
