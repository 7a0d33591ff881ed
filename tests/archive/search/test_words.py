"""Words of a query: aspects, other modalities through words, and the archive's own background."""

from pathlib import Path

import numpy as np
import pytest

from archive.search.words import Words, aspect_words, check_background, model_of, through_words
from pipeline.errors import ConfigError
from pipeline.stage import RunSettings
from tests.archive.search.archives import SIZE, opened, random_units, side, write_source


def test_a_sound_becomes_the_pictures_of_what_is_heard() -> None:
    heard, seen = side(1), side(2)
    for word in range(5):
        found = through_words(heard.background[word], heard, seen)
        cosines = seen.background @ found
        assert np.argmax(cosines) == word
        own = heard.background[word] / np.linalg.norm(heard.background[word])
        logits = heard.background @ own / heard.temperature
        shares = np.exp(logits) / np.exp(logits).sum()
        expected = shares @ seen.background
        np.testing.assert_allclose(found, expected / np.linalg.norm(expected), atol=1e-9)


def test_other_prompt_templates_than_those_of_the_archive_are_told(tmp_path: Path) -> None:
    own = side(3)
    write_source(tmp_path, "a.mp4", {"image": random_units(1, 3, SIZE)}, {"image": own})
    rows = opened(tmp_path, "image")
    check_background(rows, {"image": own})
    with pytest.raises(ConfigError, match="other prompt templates"):
        check_background(rows, {"image": side(4)})


def test_aspects_have_names_or_words(tmp_path: Path) -> None:
    assert "beach" in aspect_words("place")
    assert aspect_words("beach, street") == ("beach", "street")
    (tmp_path / "words.txt").write_text("red\nblue\n")
    assert aspect_words(f"@{tmp_path}/words.txt") == ("red", "blue")
    with pytest.raises(ConfigError, match="is one word; expected one of place, action"):
        aspect_words("colour")


def test_an_archive_of_another_model_is_refused() -> None:
    assert model_of("percept-mini@3") == "percept-mini"
    assert model_of("../x@1") == model_of("") == ""
    with pytest.raises(ConfigError, match="labelled with other@1"):
        Words("other@1", RunSettings())


def test_an_aspect_spans_what_its_words_differ_in() -> None:
    spans = Words("percept-mini@3", RunSettings()).aspect("dog, rain, music")
    assert spans.keys() == {"image", "motion", "audio"}
    assert spans["image"].shape == (2, 384)
    np.testing.assert_allclose(spans["image"] @ spans["image"].T, np.eye(2), atol=1e-9)
