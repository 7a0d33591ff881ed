"""Which words of a run a detector looks for."""

import pytest

from pipeline.errors import ConfigError
from pipeline.stage import RunSettings
from stages.detect.asked import asked_words


def asked(**settings: object) -> list[str]:
    return [str(word) for word in asked_words(RunSettings(**settings))]  # type: ignore[arg-type]


def test_things_among_the_labels_are_asked_for() -> None:
    labels = ("dog|puppy", "rain", "dog barking", "animal > zebra", "red wheelbarrow", "playing chess")
    assert asked(labels=labels) == ["dog|puppy", "animal > zebra", "red wheelbarrow"]


def test_all_words_to_find_are_asked_for_and_alone_if_nothing_else_is_told() -> None:
    assert asked(find=("dog", "rain"), follow="found", labels=("bus",)) == ["dog", "rain"]
    assert asked(find=("dog|puppy", "rain"), follow="all", labels=("bus", "Dog")) == ["bus", "dog|puppy", "rain"]


def test_without_labels_everyday_things_are_asked_for() -> None:
    words = asked()
    assert 50 < len(words) < 307
    assert {"dog", "bus"} <= set(words)
    assert not {"rain", "people talking"} & set(words)


def test_no_word_to_look_for_is_an_error() -> None:
    told = r"--detector: no words to look for, because no label names a thing .* such as --find 'dog, red car'"
    with pytest.raises(ConfigError, match=told):
        asked(labels=("rain", "dog barking"))
