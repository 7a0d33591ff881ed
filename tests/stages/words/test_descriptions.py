"""Sentences that describe labels are mixed with their names."""

import json
from pathlib import Path

import numpy as np
import pytest

from engines.models.model import ModelSpec
from pipeline.errors import ConfigError
from stages.words import label_vectors
from stages.words.descriptions import read_descriptions
from stages.words.labels import build_label_set
from stages.words.templates import templates_of
from stages.words.word import words_of
from tests.stages.words.test_labels import Tower, quiet, settings, spec

__all__ = ["spec"]

WORDS = words_of(("dog|hound", "dog barking", "horn", "playing tennis"))


def file_of(tmp_path: Path, content: object, name: str = "d.json") -> str:
    path = tmp_path / name
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return str(path)


def test_lists_single_sentences_and_names_in_another_case_are_accepted(tmp_path: Path) -> None:
    tree = {
        "Dog": ["Fur and a snout.", "Fur and a snout."],
        "playing_tennis": "A racket hits a ball.",
        "cello": ["Wood."],
    }
    described, left_out = read_descriptions(file_of(tmp_path, tree), WORDS)
    assert described["image"] == {"dog": ("Fur and a snout.",), "playing tennis": ("A racket hits a ball.",)}
    assert described["audio"] == described["image"]
    assert left_out == ""


def test_lines_with_label_and_sentence_are_accepted(tmp_path: Path) -> None:
    text = "# gist\ndog: Fur: and a snout.\n\ndog: It runs.\nhorn: Brass.\n"
    described, _ = read_descriptions(file_of(tmp_path, text, "d.txt"), WORDS)
    assert described["motion"] == {"dog": ("Fur: and a snout.", "It runs."), "horn": ("Brass.",)}


def test_each_modality_may_have_its_own_sentences(tmp_path: Path) -> None:
    described, _ = read_descriptions(file_of(tmp_path, {"audio": {"dog": ["Woof."]}}), WORDS)
    assert described == {"audio": {"dog": ("Woof.",)}}


def test_a_sentence_that_names_another_label_is_left_out_and_reported(tmp_path: Path) -> None:
    sentences = {
        "dog": ["A dog chases two Horns.", "The hound sleeps.", "It is dog barking.", "Like a hornet."],
        "dog barking": ["A dog opens its mouth.", "Someone playing tennis."],
    }
    described, left_out = read_descriptions(file_of(tmp_path, sentences), WORDS)
    assert described["image"]["dog"] == ("The hound sleeps.", "Like a hornet.")
    assert described["image"]["dog barking"] == ("A dog opens its mouth.",)
    assert "3 sentences name another label" in left_out
    assert "'A dog chases two Horns.' names 'horn'" in left_out


@pytest.mark.parametrize(
    ("content", "name", "message"),
    [
        ("[1]", "d.json", "is a JSON list"),
        ("{", "d.json", "not valid JSON"),
        ({"dog": 3}, "d.json", "'dog' has 3; expected a list of sentences"),
        ({"cello": ["Wood."]}, "d.json", "describes none of the labels"),
        ("dog, a sentence", "d.txt", "line 1 is 'dog, a sentence'"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused(tmp_path: Path, content: object, name: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read_descriptions(file_of(tmp_path, content, name), WORDS)


@pytest.mark.parametrize("weight", [0.0, 0.25, 1.0])
def test_a_described_label_is_its_name_mixed_with_the_mean_of_its_sentences(
    tmp_path: Path, spec: ModelSpec, weight: float
) -> None:
    path = file_of(tmp_path, {"image": {"dog": ["Fur.", "A snout."]}})
    plain = build_label_set(spec, ("dog", "rain"), settings(tmp_path), quiet, Tower())
    given = settings(tmp_path, descriptions=path, description_weight=weight)
    made = build_label_set(spec, ("dog", "rain"), given, quiet, Tower())
    sentences = Tower().vectors(["Fur.", "A snout."]).astype(np.float64).mean(axis=0)
    templates = templates_of(given.templates, spec, "image")
    name = Tower().vectors([text.replace("{}", "dog") for text in templates.texts]).astype(np.float64).mean(axis=0)
    mixed = weight * sentences + (1 - weight) * name
    np.testing.assert_allclose(made.sides["image"].labels[0], mixed / np.linalg.norm(mixed), atol=1e-6)
    np.testing.assert_array_equal(made.sides["image"].labels[1], plain.sides["image"].labels[1])
    np.testing.assert_array_equal(made.sides["audio"].labels, plain.sides["audio"].labels)


def test_one_warning_reports_the_sentences_left_out(
    tmp_path: Path, spec: ModelSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    warnings: list[str] = []
    monkeypatch.setattr(label_vectors.log, "warning", warnings.append)
    path = file_of(tmp_path, {"dog": ["Fur.", "Rain on fur."]})
    build_label_set(spec, ("dog", "rain"), settings(tmp_path, descriptions=path), quiet, Tower())
    (warning,) = [each for each in warnings if "names" in each and "far from" not in each]
    assert "names 'rain'" in warning


def test_a_description_far_from_its_name_is_reported_once_per_tower(
    tmp_path: Path, spec: ModelSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    warnings: list[str] = []
    monkeypatch.setattr(label_vectors.log, "warning", warnings.append)
    near = [text.replace("{}", "cat") for text in templates_of("model", spec, "image").texts]
    dog = Tower().vectors(["a photo of dog", "dog"]).sum(axis=0)
    away = min((f"Sentence {number}." for number in range(50)), key=lambda one: float(Tower().vectors([one])[0] @ dog))
    path = file_of(tmp_path, {"image": {"dog": [away], "cat": near}})
    build_label_set(spec, ("dog", "cat"), settings(tmp_path, descriptions=path), quiet, Tower())
    (warning,) = warnings
    assert "for the image tower" in warning
    assert "'dog'" in warning
    assert "'cat'" not in warning
