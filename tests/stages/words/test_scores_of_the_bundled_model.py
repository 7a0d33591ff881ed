"""Guarantees of the scores, with the bundled model on real pictures and sounds."""

import csv
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest

from engines.models.checkpoint import read_model
from pipeline.machine import cache_directory
from pipeline.stage import RunSettings
from stages.classify import score
from stages.words.labels import LabelSet, build_label_set
from stages.words.word import BUNDLED_MODEL
from training.encoder import Encoder
from training.features import Features

SAMPLE = BUNDLED_MODEL.parent / "sample.mp4"
RIGHT = BUNDLED_MODEL.parent / "sample.labels.csv"
NAMES = (
    "dog",
    "sheep",
    "cup of coffee",
    "baseball",
    "birds singing",
    "rain",
    "people talking",
    "applause",
    "cat",
    "siren",
)

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def cache() -> str:
    return str(cache_directory())  # whose engines are there already


@pytest.fixture(scope="module")
def encoder(cache: str) -> Iterator[Encoder]:
    encoder = Encoder(RunSettings(cache_directory=cache, threads=2))
    yield encoder
    encoder.close()


@pytest.fixture(scope="module")
def clips(encoder: Encoder) -> list[Features]:
    return encoder.clips(SAMPLE)


def label_set(cache: str, *labels: str) -> LabelSet:
    spec = read_model("percept-mini")
    return build_label_set(spec, labels, RunSettings(cache_directory=cache), lambda message: None)


def probabilities(labels: LabelSet, features: Features) -> dict[str, float]:
    """The probability of every label, best first."""
    rows = score(labels, dict(features.embeddings), features.signals, len(labels.labels))
    return {row["label"]: row["probability"] for row in rows}


def odds(probability: float) -> float:
    return float(np.log(probability) - np.log1p(-probability))


def test_the_visible_object_in_the_sample_comes_first_and_others_are_improbable(
    cache: str, clips: list[Features]
) -> None:
    with RIGHT.open(newline="") as file:
        seen = {float(row["start_s"]): row["label"] for row in csv.DictReader(file) if row["modality"] == "image"}
    labels = label_set(cache, *NAMES)
    for index, features in enumerate(clips):
        right = seen[index * 2 // 4 * 4.0]
        found = probabilities(labels, features.only("image"))
        assert next(iter(found)) == right
        assert found[right] > 0.5
        assert all(found[name] < 0.3 for name in seen.values() if name != right)


def test_in_every_clip_of_the_sample_both_right_labels_come_first(cache: str, clips: list[Features]) -> None:
    """The sound tower hardly knows the synthetic speech: "people talking" is among the first three of ten."""
    with RIGHT.open(newline="") as file:
        rows = [(float(row["start_s"]), float(row["end_s"]), row["label"]) for row in csv.DictReader(file)]
    labels = label_set(cache, *NAMES)
    for index, features in enumerate(clips):
        right = {label for start_s, end_s, label in rows if start_s <= 2 * index < end_s}
        found = list(probabilities(labels, features))
        if "people talking" in right:
            assert right <= set(found[:3])
        else:
            assert set(found[:2]) == right


def test_one_wrong_label_alone_is_improbable(cache: str, clips: list[Features]) -> None:
    assert probabilities(label_set(cache, "fire engine"), clips[0])["fire engine"] < 0.1
    assert probabilities(label_set(cache, "dog"), clips[0])["dog"] > 0.5


def test_another_label_changes_no_other_odds(tmp_path: Path, clips: list[Features]) -> None:
    few = probabilities(label_set(str(tmp_path / "a"), "dog", "birds singing"), clips[0])
    more = probabilities(label_set(str(tmp_path / "b"), "wolf", "birds singing", "puppy playing", "dog"), clips[0])
    for name, probability in few.items():
        assert odds(more[name]) == pytest.approx(odds(probability), abs=1e-6)


def test_silence_does_not_change_the_scores(cache: str, clips: list[Features]) -> None:
    labels = label_set(cache, *NAMES)
    for features in clips:
        silent = Features(features.tokens, {**features.signals, "audio": {"loudness_dbfs": -120.0}})
        alone = probabilities(labels, features.only("image", "motion"))
        assert probabilities(labels, silent) == alone


def test_a_black_picture_changes_the_scores_of_a_sound_by_at_most_five_points(
    cache: str, encoder: Encoder, shared_data: Path
) -> None:
    labels = label_set(cache, *NAMES, "rooster", "chainsaw", "helicopter", "sea waves")
    black = encoder.photo(np.zeros((224, 320, 3), np.uint8))
    for kind in ("rooster", "sea_waves", "rain"):
        sound = encoder.file(next((shared_data / "audio" / "esc10" / kind).glob("3-*.ogg")))
        both = Features({**black.tokens, **sound.tokens}, {**black.signals, **sound.signals})
        found, alone = probabilities(labels, both), probabilities(labels, sound)
        assert found == pytest.approx(alone, abs=0.05)


def test_a_confident_picture_and_an_off_screen_sound_are_both_first(cache: str, clips: list[Features]) -> None:
    dog, rain = clips[0], clips[2]
    both = Features(
        {"image": dog.tokens["image"], "audio": rain.tokens["audio"]},
        {**dog.signals, "audio": rain.signals["audio"]},
    )
    assert set(list(probabilities(label_set(cache, *NAMES), both))[:2]) == {"dog", "rain"}


@pytest.mark.parametrize(
    ("index", "right", "wrong"),
    [
        (0, "zooming in", "zooming out"),
        (2, "something moving right", "something moving left"),
        (4, "panning right", "panning left"),
        (5, "the camera pans right", "the camera pans left"),
        (6, "something moving left", "something moving right"),
    ],
)
def test_motion_labels_match_the_motion_in_the_sample(
    cache: str, clips: list[Features], index: int, right: str, wrong: str
) -> None:
    found = probabilities(label_set(cache, right, wrong, "still"), clips[index].only("motion"))
    assert next(iter(found)) == right
    assert found["still"] < 0.3


def test_motion_does_not_identify_objects(cache: str, clips: list[Features]) -> None:
    labels = label_set(cache, *NAMES)
    for features in clips:
        seen, both = (probabilities(labels, features.only(*kinds)) for kinds in (("image",), ("image", "motion")))
        assert next(iter(both)) == next(iter(seen))
        assert both == pytest.approx(seen, abs=0.1)
        assert max(probabilities(labels, features.only("motion")).values()) < 0.2


def test_a_scene_in_which_nothing_moves_is_still(cache: str, encoder: Encoder, tmp_path: Path) -> None:
    path = tmp_path / "still.mkv"
    picture = np.random.default_rng(0).integers(0, 256, (9, 16, 3), np.uint8).repeat(20, 0).repeat(20, 1)
    with av.open(str(path), "w") as file:
        video = file.add_stream("libx264", 8)
        video.width, video.height = 320, 180
        for _ in range(16):
            file.mux(video.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        file.mux(video.encode(None))
    (features,) = encoder.clips(path)
    found = probabilities(label_set(cache, "still", "panning left", "shaking", "many things moving"), features)
    assert next(iter(found)) == "still"
    assert found["still"] > 0.5 > found["panning left"]
