"""Problems with words are found before a run: same meaning, wins everywhere, unknown letters."""

from collections.abc import Iterable

import numpy as np
import pytest

from engines.models.checkpoint import read_model
from engines.models.tokens import Reading
from pipeline.machine import cache_directory
from pipeline.stage import RunSettings
from stages.words.label_side import LabelSide
from stages.words.lint import Finding, above, alike, everywhere, in_most_clips, is_foreign, lint, twice, unseen
from stages.words.template_stack import unit
from stages.words.word import parse_labels, words_of
from tests.stages.words.test_labels import quiet

DIM = 40
BACKGROUND = unit(np.random.default_rng(2).normal(size=(60, DIM)))


def side(*vectors: np.ndarray, starts: list[int] | None = None) -> LabelSide:
    labels = unit(np.stack(vectors))
    count = len(starts) if starts else len(labels)
    return LabelSide(labels, BACKGROUND, np.ones((count, 60)), 0.1, 0.0, np.array(starts) if starts else None)


def words(found: Iterable[Finding]) -> list[tuple[str, ...]]:
    return [one.words for one in found]


def vector(seed: int) -> np.ndarray:
    return unit(np.random.default_rng(seed).normal(size=DIM))


def test_labels_that_differ_only_in_case_or_punctuation_are_found() -> None:
    labels = words_of(("dog barking", "Dog-barking!", "car|automobile", "rain", "ＣＡＲ"))
    assert words(twice(labels)) == [("dog barking", "Dog-barking!"), ("car", "ＣＡＲ")]


def test_pairs_with_nearly_the_same_vector_are_found() -> None:
    near = vector(1) + 0.3 * vector(2)
    assert words(alike(words_of(("a", "b", "c")), "image", side(vector(1), vector(3), near))) == [("a", "c")]


def test_synonyms_of_one_label_are_not_a_finding() -> None:
    near = vector(1) + 0.3 * vector(2)
    labels = words_of(("a|b", "c"))
    assert words(alike(labels, "image", side(vector(1), near, vector(3), starts=[0, 2]))) == []
    (found,) = alike(labels, "image", side(vector(1), vector(3), near, starts=[0, 2]))
    assert found.words == ("a", "c")
    assert found.size > 0.7


def test_a_label_near_no_known_word_is_unseen_unless_another_tower_knows_it() -> None:
    labels = words_of(("a|b", "c"))
    made = side(vector(1), vector(3), vector(5), starts=[0, 2])
    known = {"image": ("near b", "other"), "audio": ("far",)}
    near_b, far = unit(vector(3) + 0.5 * vector(7)), vector(8)
    vectors = {"image": np.stack([near_b, far]), "audio": far[None]}
    (found,) = unseen(labels, {"image": made, "audio": made}, known, vectors)
    assert found.words == ("c",)
    vectors["audio"] = vector(5)[None]
    assert list(unseen(labels, {"image": made, "audio": made}, known, vectors)) == []


def test_a_kind_named_after_a_near_label_is_found_in_that_direction() -> None:
    labels = words_of(("police car", "car", "hot car"))
    made = side(vector(1), unit(vector(1) + 1.2 * vector(2)), vector(3))
    assert words(above(labels, "image", made)) == [("car", "police car")]


def test_a_label_whose_neighbours_are_all_near_a_wider_one_is_a_kind_of_it() -> None:
    rest = BACKGROUND.mean(axis=0)
    wide, narrow = vector(1), unit(vector(1) + 1.2 * vector(2))
    of_both = [unit(wide + narrow + 0.5 * vector(seed)) + rest for seed in range(100, 104)]
    of_wide = [unit(wide - 0.4 * vector(2) + 0.9 * vector(seed)) + rest for seed in range(200, 209)]
    background = unit(np.concatenate([BACKGROUND, of_both, of_wide]))
    made = LabelSide(np.stack([narrow, wide]), background, np.ones((2, len(background))), 0.1, 0.0)
    assert words(above(words_of(("dog", "animal")), "image", made)) == [("animal", "dog")]


def test_a_word_in_the_middle_of_all_others_wins_everywhere() -> None:
    middle = BACKGROUND.mean(axis=0)
    labels = words_of(("a", "thing|b"))
    found = list(everywhere(labels, "image", side(vector(1), unit(middle), vector(2), starts=[0, 1])))
    assert words(found) == [("thing",)]
    assert found[0].size > 3


def test_a_word_that_is_probable_in_most_clips_is_found() -> None:
    seen = unit(np.stack([vector(1) + 0.2 * vector(seed) for seed in range(10, 22)] + [vector(50)] * 3))
    labels, made = words_of(("a", "b")), side(vector(1), vector(3))
    (found,) = in_most_clips(labels, "audio", made, seen)
    assert (found.words, found.modality) == (("a",), "audio")
    assert "80% of 15 clips" in found.text
    assert list(in_most_clips(labels, "audio", made, seen[:5])) == []


def test_a_word_that_is_first_far_more_often_than_others_is_found_though_it_is_improbable() -> None:
    vectors = unit(np.stack([vector(seed) for seed in range(1, 61)]))
    made = LabelSide(vectors, BACKGROUND, np.ones((60, len(BACKGROUND))), 0.1, -50.0)
    labels = words_of(tuple(f"w{number}" for number in range(60)))
    seen = np.concatenate([vectors[:44], np.repeat(vectors[7:8], 6, axis=0)])
    (found,) = in_most_clips(labels, "image", made, unit(seen))
    assert found.words == ("w7",)
    assert found.text == "first of 60 labels in 14% of 50 clips"
    assert list(in_most_clips(labels, "image", made, vectors)) == []


@pytest.mark.parametrize(
    ("name", "reading", "foreign"),
    [
        ("dog barking", Reading(4, 2, 0), False),
        ("TV", Reading(4, 2, 0), False),  # short words may be read letter by letter
        ("собака", Reading(8, 5, 0), True),
        ("собака", Reading(4, 2, 0), False),  # a tokenizer that knows the language
        ("犬", Reading(3, 1, 0), False),
        ("犬", Reading(5, 3, 0), True),  # bytes
        ("犬の鳴き声", Reading(7, 5, 0), False),
        ("🐶", Reading(3, 1, 1), True),
        ("rain 🌧", Reading(4, 2, 1), True),
    ],
)
def test_a_name_with_only_letter_or_unknown_tokens_is_foreign(name: str, reading: Reading, foreign: bool) -> None:
    assert is_foreign(name, reading) is foreign


@pytest.fixture(scope="module")
def cache() -> str:
    """A folder that outlives the tests: vectors of all words that the picture tower knows take a while."""
    return str(cache_directory())


@pytest.mark.timeout(600)
def test_the_bundled_model_finds_each_kind(cache: str) -> None:
    long = "a dog " * 70
    labels = parse_labels(["car", "automobile", "Car!", "rain", "photo", "собака", long])
    run = RunSettings(labels=labels, cache_directory=cache, threads=2, modalities=("image",))
    found = lint(read_model("percept-mini"), run, quiet)
    kinds = {one.kind: one for one in reversed(found)}
    assert list(dict.fromkeys(one.kind for one in found)) == ["twice", "cut", "unknown", "alike", "everywhere"]
    assert kinds["twice"].words == ("car", "Car!")
    assert kinds["cut"].words == (long.strip(),)
    assert kinds["unknown"].words == ("собака",)
    assert kinds["alike"].words == ("car", "automobile")
    assert ("photo",) in words(one for one in found if one.kind == "everywhere")
    assert not any("rain" in one.words for one in found)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_bundled_model_finds_kinds_misspellings_and_what_its_picture_tower_cannot_see(cache: str) -> None:
    labels = parse_labels(
        ["animal", "cat", "vehicle", "bus", "police car", "car", "giraff", "democracy", "truck", "person"]
    )
    run = RunSettings(labels=labels, cache_directory=cache, threads=2, modalities=("image",))
    found = lint(read_model("percept-mini"), run, quiet)
    of = {kind: words(one for one in found if one.kind == kind) for kind in ("no word", "unseen", "above")}
    assert of["no word"] == [("giraff",)]
    assert of["unseen"] == [("democracy",)]
    assert {("animal", "cat"), ("vehicle", "bus"), ("car", "police car")} <= set(of["above"])
    assert ("car", "truck") not in of["above"]
    assert ("truck", "car") not in of["above"]
