"""Synonyms: a label is as near as its nearest name, and other labels are not affected."""

from dataclasses import replace as replace_side
from pathlib import Path

import numpy as np
import pytest
import torch
from msgspec.structs import replace

from archive.relabel_odds import BulkSide
from archive.search.odds import FastSide
from engines.models.model import ModelSpec
from stages.classify import score
from stages.words import scoring
from stages.words.capped import capped
from stages.words.label_side import LabelSide
from stages.words.label_vectors import LEAST_KNOWN
from stages.words.labels import LabelSet, build_label_set
from tests.archive.made import unit
from tests.archive.worded import side_of
from tests.stages.words.test_labels import Tower, quiet, settings, spec

__all__ = ["spec"]

LOUD = {"image": {"contrast": 0.2, "corrupt_share": 0.0}, "audio": {"loudness_dbfs": -20.0}}


def made(tmp_path: Path, spec: ModelSpec, *labels: str) -> LabelSet:
    return build_label_set(spec, labels, settings(tmp_path), quiet, Tower())


def clips(count: int = 50) -> np.ndarray:
    vectors = np.random.default_rng(1).normal(size=(count, 32))
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_a_label_is_as_near_as_its_nearest_synonym(tmp_path: Path, spec: ModelSpec) -> None:
    apart = made(tmp_path, spec, "car", "automobile", "dog").sides["image"].compare(clips())[0]
    together = made(tmp_path, spec, "car|automobile", "dog").sides["image"].compare(clips())[0]
    np.testing.assert_allclose(together, np.stack([apart[:, :2].max(axis=1), apart[:, 2]], axis=1), atol=1e-12)


def test_synonyms_of_one_label_do_not_change_the_odds_of_others(tmp_path: Path, spec: ModelSpec) -> None:
    without = made(tmp_path, spec, "dog", "car", "rain").sides["audio"].compare(clips())[2]
    with_them = made(tmp_path, spec, "dog|hound|puppy", "car", "rain").sides["audio"].compare(clips())[2]
    np.testing.assert_allclose(with_them[:, 1:], without[:, 1:], atol=1e-6)
    assert (with_them[:, 0] >= without[:, 0] - 1e-9).all()
    assert (with_them[:, 0] > without[:, 0] + 0.1).any()


def test_a_background_word_that_means_the_same_as_a_synonym_does_not_compete(tmp_path: Path, spec: ModelSpec) -> None:
    alone, both = (made(tmp_path, spec, label).sides["image"].kept for label in ("car", "car|word 7"))
    assert alone[0, 7] > 0.9
    assert both[0, 7] < 0.1


def test_labels_with_synonyms_survive_saving_and_show_their_first_name(tmp_path: Path, spec: ModelSpec) -> None:
    labels = made(tmp_path, spec, "vehicle > car|automobile", "animal > dog")
    labels.save(tmp_path / "labels.safetensors")
    read = LabelSet.load(tmp_path / "labels.safetensors")
    assert read.labels == ("car", "dog")
    assert read.hierarchy == labels.hierarchy
    for name, side in labels.sides.items():
        for one, other in zip(side.compare(clips()), read.sides[name].compare(clips()), strict=True):
            np.testing.assert_allclose(one, other, atol=1e-6)
    rows = score(read, {"image": clips()[0], "audio": clips()[1]}, LOUD, 5)
    assert {row["label"] for row in rows} == {"car", "dog"}


def test_without_synonyms_there_are_no_starts(tmp_path: Path, spec: ModelSpec) -> None:
    assert made(tmp_path, spec, "car", "dog").sides["image"].starts is None


@pytest.mark.parametrize("starts", [[0, 1, 3], [0, 2, 3]])
def test_names_of_a_label_are_grouped(starts: list[int]) -> None:
    labels, background = clips(4), clips(9)
    side = LabelSide(labels, background, np.ones((3, 9)), 0.1, 0.0, np.array(starts))
    near = side.compare(clips(5))[0]
    each = clips(5) @ labels.T
    for label, (first, end) in enumerate(zip(starts, [*starts[1:], 4], strict=True)):
        np.testing.assert_allclose(near[:, label], each[:, first:end].max(axis=1))


def test_a_tower_of_few_words_is_not_believed_of_others(tmp_path: Path, spec: ModelSpec) -> None:
    (tmp_path / "words.txt").write_text("rain|drizzle\nthunder\n")
    assert spec.audio is not None
    tower = replace(spec.audio, directory=str(tmp_path), vocabulary="words.txt", speaks_of=(0.5, 0.9))
    few = made(tmp_path, replace(spec, audio=tower), "rain", "dog", "car|thunder")
    all_ = made(tmp_path, spec, "rain", "dog", "car|thunder")
    known = few.sides["audio"].known
    assert known is not None
    assert known.tolist() == [1.0, LEAST_KNOWN, 1.0]
    assert few.sides["image"].known is None
    odds, plain = few.sides["audio"].compare(clips())[2], all_.sides["audio"].compare(clips())[2]
    np.testing.assert_array_equal(odds[:, [0, 2]], plain[:, [0, 2]])
    np.testing.assert_allclose(scoring.sigmoid(odds[:, 1]), LEAST_KNOWN * scoring.sigmoid(plain[:, 1]))
    few.save(tmp_path / "labels.safetensors")
    read = LabelSet.load(tmp_path / "labels.safetensors").sides["audio"]
    np.testing.assert_allclose(read.compare(clips())[2], odds)


def test_every_place_that_computes_odds_believes_such_a_tower_as_little() -> None:
    random = np.random.default_rng(3)
    side = replace_side(side_of(random, 4, size=16), known=np.array([1.0, 0.3, 0.01, 0.9]))
    vectors = unit(random.standard_normal((60, 16))).astype(np.float16).astype(np.float64)
    exact = side.compare(vectors)[2]
    log_sum = scoring.log_sum(vectors @ side.background.T, side.temperature)
    np.testing.assert_allclose(BulkSide(side).compare(vectors.astype(np.float16), log_sum)[1], exact, atol=2e-3)
    fast = FastSide(side, 1, is_upper=True)
    bound = fast.bound(fast.queries @ torch.from_numpy(vectors.T).float(), torch.from_numpy(log_sum).float()).numpy()
    assert (bound >= exact[:, 1] - 1e-4).all()
    np.testing.assert_allclose(bound, exact[:, 1], atol=0.05)
    tensors = torch.from_numpy(side.compare(vectors)[2])
    uncapped = torch.from_numpy(replace_side(side, known=None).compare(vectors)[2])
    torch.testing.assert_close(capped(uncapped, torch.from_numpy(np.asarray(side.known))), tensors)


def test_certain_odds_of_a_label_that_is_partly_known_stay_finite() -> None:
    odds = scoring.capped(np.array([[-900.0, 900.0, 900.0]]), np.array([0.5, 0.5, 1.0]))
    np.testing.assert_allclose(odds, [[-900.0 + np.log(0.5), 0.0, 900.0]], atol=1e-9)


def test_a_tower_of_few_words_is_silent_on_words_that_only_read_like_its_own(tmp_path: Path, spec: ModelSpec) -> None:
    (tmp_path / "words.txt").write_text("shaking|a shaky camera\n")
    assert spec.audio is not None
    tower = replace(spec.audio, directory=str(tmp_path), vocabulary="words.txt", speaks_of=(-1.0, -0.5))
    labels = ("shaking", "a shaky camera", "shaking hands")
    for silent_on, expected in ((), [1, 1, 1]), (("shaking hands",), [1, 1, LEAST_KNOWN]):
        audio = replace(tower, silent_on=silent_on)
        known = made(tmp_path, replace(spec, audio=audio), *labels).sides["audio"].known
        assert known is not None
        assert known.tolist() == expected
