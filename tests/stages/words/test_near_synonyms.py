"""Near-synonyms among labels, by the vectors of the bundled model and by their words."""

import pytest

from engines.models.checkpoint import read_model
from pipeline.stage import RunSettings
from stages.words.labels import LabelSet, build_label_set
from stages.words.near_synonyms import least_cosine, near_synonyms

NEAR = [
    ("dog", "puppy"), ("dog", "dog barking"), ("car", "automobile"), ("television", "tv"), ("sofa", "couch"),
    ("rain", "rainfall"), ("crying baby", "baby crying"), ("guitar", "playing guitar"), ("bicycle", "bike"),
    ("child", "kid"), ("phone", "mobile phone"), ("sea", "ocean"), ("cat", "cat meowing"),
    ("siren", "police siren"),
]  # fmt: skip
OTHER = [
    ("dog", "cat"), ("man", "woman"), ("opening door", "closing door"), ("zooming in", "zooming out"),
    ("moving left", "moving right"), ("left", "right"), ("car", "truck"), ("guitar", "piano"), ("rain", "snow"),
    ("hot dog", "dog"), ("goal", "own goal"), ("helmet", "no helmet"), ("raining", "not raining"),
    ("fire", "fire engine"), ("sunrise", "sunset"), ("car horn", "train horn"), ("lock", "unlock"),
]  # fmt: skip


pytestmark = pytest.mark.slow  # the text tower is loaded


@pytest.fixture(scope="module")
def labels(tmp_path_factory: pytest.TempPathFactory) -> LabelSet:
    names = tuple(sorted({name for pair in NEAR + OTHER for name in pair}))
    run = RunSettings(labels=names, directory=str(tmp_path_factory.mktemp("run")))
    return build_label_set(read_model("percept-mini", ""), names, run, lambda text: None)


@pytest.mark.parametrize(("pairs", "expected"), [(NEAR, True), (OTHER, False)], ids=["near", "other"])
def test_words_of_one_meaning_are_near_and_siblings_and_opposites_are_not(
    labels: LabelSet, pairs: list[tuple[str, str]], expected: bool
) -> None:
    near = near_synonyms(labels.labels, range(len(labels.labels)), labels.sides)
    wrong = [(a, b) for a, b in pairs if (b in near.get(a, ())) != expected or (a in near.get(b, ())) != expected]
    assert wrong == []


def test_the_words_of_labels_decide_how_close_they_must_be() -> None:
    assert least_cosine("opening a door", "closing the door") is None
    assert least_cosine("person with hat", "person without hat") is None
    order = [least_cosine("dog", "dog barking"), least_cosine("dog", "puppy"), least_cosine("dog", "hot dog")]
    assert order == sorted(order, key=lambda cosine: cosine or 0.0)
    assert least_cosine("cup of coffee", "the coffee cup") == least_cosine("phone", "mobile phone")


def test_one_label_has_no_near_synonym(labels: LabelSet) -> None:
    assert near_synonyms(labels.labels[:1], [0], labels.sides) == {}
