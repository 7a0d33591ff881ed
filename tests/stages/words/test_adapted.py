from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace

from engines.models.checkpoint import read_model
from engines.models.model import ModelSpec, TextSpec, TowerSpec
from pipeline.errors import ModelError
from pipeline.stage import RunSettings
from stages.words.adapted import adapted, moved, read_adapted, save_adapted
from stages.words.adapted import learnt as of_the_tower
from stages.words.labels import build_label_set

DIM = 8


def unit(*shape: int, seed: int = 0) -> np.ndarray:
    values = np.random.default_rng(seed).standard_normal(shape)
    return (values / np.linalg.norm(values, axis=-1, keepdims=True)).astype(np.float32)


@dataclass(frozen=True)
class Learnt:
    spec: ModelSpec
    deltas: np.ndarray


@pytest.fixture
def learnt(tmp_path: Path) -> Learnt:
    deltas = 0.3 * unit(2, DIM, seed=1)
    save_adapted(tmp_path / "adapted-1.safetensors", ["dog bark", "rain"], {"audio": deltas}, {"date": "today"})
    tower = TowerSpec(network="clip_vision", space="words")
    spec = ModelSpec(
        name="made-up",
        directory=str(tmp_path),
        texts={"words": TextSpec(network="clip_text", dim=DIM)},
        audio=tower,
        adapted="adapted-1.safetensors",
    )
    return Learnt(spec, deltas)


def test_only_learnt_labels_move_and_others_are_the_same_to_the_bit(learnt: Learnt) -> None:
    words = unit(3, DIM)
    result = adapted(learnt.spec, "audio", ("siren", "Rain", "dog_bark"), words)
    assert result[0].tobytes() == words[0].tobytes()
    for row, delta in ((1, learnt.deltas[1]), (2, learnt.deltas[0])):
        wanted = words[row] + delta
        np.testing.assert_allclose(result[row], wanted / np.linalg.norm(wanted), atol=1e-6)
    assert result.dtype == np.float32


def test_a_modality_without_learnt_vectors_and_a_model_without_a_file_are_unchanged(learnt: Learnt) -> None:
    words = unit(1, DIM)
    assert adapted(learnt.spec, "image", ("rain",), words) is words
    plain = ModelSpec(name="plain", texts=learnt.spec.texts)
    assert adapted(plain, "audio", ("rain",), words) is words


def test_vectors_for_another_tower_are_refused(learnt: Learnt) -> None:
    with pytest.raises(ModelError, match="audio tower of 8 dimensions; expected 5"):
        adapted(learnt.spec, "audio", ("rain",), unit(1, 5))


def test_a_missing_or_broken_file_is_reported_with_its_name(learnt: Learnt, tmp_path: Path) -> None:
    path = tmp_path / "adapted-1.safetensors"
    path.write_bytes(b"no tensors")
    with pytest.raises(ModelError, match=r"adapted-1.safetensors: .*Adapt the model again"):
        adapted(learnt.spec, "audio", ("rain",), unit(1, DIM))
    path.unlink()
    with pytest.raises(ModelError, match=r"adapted-1.safetensors"):
        adapted(learnt.spec, "audio", ("rain",), unit(1, DIM))


def test_metadata_and_tensors_are_read_back(learnt: Learnt, tmp_path: Path) -> None:
    about, tensors = read_adapted(tmp_path / "adapted-1.safetensors")
    assert about == {"labels": ["dog bark", "rain"], "date": "today"}
    np.testing.assert_array_equal(tensors["audio.deltas"], learnt.deltas)
    assert [path.name for path in tmp_path.iterdir()] == ["adapted-1.safetensors"]


def test_a_delta_of_zero_changes_no_bit() -> None:
    words = unit(2, DIM) * np.float32(1.0000001)  # not quite of unit length: a division would show
    deltas = np.stack([np.zeros(DIM), np.ones(DIM)])
    result = moved(words, deltas)
    assert result[0].tobytes() == words[0].tobytes()
    assert np.linalg.norm(result[1]) == pytest.approx(1.0, abs=1e-6)


def test_words_that_were_learnt_with_a_tower_move_before_those_of_a_user(learnt: Learnt, tmp_path: Path) -> None:
    tower = TowerSpec(network="clip_vision", space="words", learnt="adapted-1.safetensors", directory=str(tmp_path))
    spec = replace(learnt.spec, audio=tower)
    words = unit(2, DIM)
    once = of_the_tower(spec, "audio", ("rain", "siren"), words)
    np.testing.assert_allclose(once, adapted(learnt.spec, "audio", ("rain", "siren"), words))
    assert of_the_tower(learnt.spec, "audio", ("rain", "siren"), words) is words


def test_percept_mini_has_learnt_words_that_are_moved_in_every_label_set() -> None:
    spec = read_model("percept-mini")
    assert spec.image is not None
    without = replace(spec, image=replace(spec.image, learnt=""))
    run = RunSettings(model="percept-mini", modalities=("image",))
    labels = ("person", "shopping cart", "A person|somebody")
    new, old = (build_label_set(each, labels, run, print).sides["image"] for each in (spec, without))
    moved_most = np.abs(new.labels - old.labels).max(axis=1)
    assert moved_most[0] > 0.01
    assert moved_most[1:] == pytest.approx([0, moved_most[0], 0], abs=0.005)
    np.testing.assert_array_equal(new.kept, old.kept)
