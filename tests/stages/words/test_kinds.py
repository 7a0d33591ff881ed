"""Kinds of a label do not compete with it, and move its vector where the model asks for it."""

from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace

from engines.models.checkpoint import read_model
from engines.models.model import ModelSpec
from stages.words.kinds import LEAST, are_kinds, kinds_of, nearer_to_kinds, others_of
from stages.words.labels import LabelSet, build_label_set
from stages.words.word import background_words
from tests.stages.words.test_labels import Tower, quiet, settings, spec

__all__ = ["spec"]
BACKGROUND = ("dog", "cat", "Goldfish", "car", "face", "rain")


@pytest.fixture
def knowing(spec: ModelSpec) -> ModelSpec:
    """A model whose background has kinds of things."""
    (Path(spec.directory) / spec.background).write_text("\n".join(BACKGROUND) + "\n")
    return spec


def made(tmp_path: Path, spec: ModelSpec, *labels: str) -> LabelSet:
    return build_label_set(spec, labels, settings(tmp_path), quiet, Tower())


def test_a_kind_brings_its_own_kinds_whatever_the_case_and_the_article() -> None:
    assert {"dog", "lion", "eagle", "goldfish"} <= kinds_of("Animal")
    assert kinds_of("an  animal") == kinds_of("animals") == kinds_of("animal")
    assert kinds_of("dog") == frozenset()
    assert {"truck", "lorry"} <= kinds_of("vehicle")
    assert "face" in others_of("people")
    assert "face" not in kinds_of("people")


def test_the_table_names_only_words_that_it_or_the_bundled_background_knows() -> None:
    known = {word.casefold() for word in background_words(read_model("percept-mini"))}
    wider = ("animal", "vehicle", "food", "clothing", "sport", "musical instrument", "person", "building", "weather")
    for word in wider:
        everyday = kinds_of(word) & known
        assert len(everyday) >= LEAST, word
        assert all(kinds_of(kind) or others_of(kind) for kind in kinds_of(word) - everyday), word


def test_kinds_do_not_compete_and_other_words_still_do(tmp_path: Path, knowing: ModelSpec) -> None:
    kept = made(tmp_path, knowing, "animal", "person", "rainbow").sides["image"].kept
    assert kept[0, :3].tolist() == [0, 0, 0]
    assert kept[1, BACKGROUND.index("face")] == 0
    assert kept[0, 3:].min() > 0.5
    assert kept[2].min() > 0.5


def test_kinds_of_one_synonym_do_not_compete_with_the_label(tmp_path: Path, knowing: ModelSpec) -> None:
    assert made(tmp_path, knowing, "thing|animal").sides["image"].kept[0, 0] == 0


def test_a_label_moves_towards_its_kinds_only_where_the_tower_asks_for_it(tmp_path: Path, knowing: ModelSpec) -> None:
    asking = replace(knowing, image=replace(knowing.image, kinds_share=0.3))
    before, after = (made(tmp_path, each, "animal", "rainbow").sides for each in (knowing, asking))
    mean = before["image"].background[:3].mean(axis=0)
    assert after["image"].labels[0] @ mean > before["image"].labels[0] @ mean + 0.1
    np.testing.assert_array_equal(after["image"].labels[1], before["image"].labels[1])
    np.testing.assert_array_equal(after["audio"].labels, before["audio"].labels)
    np.testing.assert_allclose(np.linalg.norm(after["image"].labels, axis=1), 1, atol=1e-6)


def test_few_kinds_do_not_move_a_label() -> None:
    vectors, words = np.eye(4, dtype=np.float32)[:1], np.eye(4, dtype=np.float32)
    kinds = are_kinds(["animal"], ["dog", "cat", "car", "rain"])
    assert kinds.tolist() == [[True, True, False, False]]
    np.testing.assert_array_equal(nearer_to_kinds(vectors, words, kinds, 0.3), vectors)
