"""The bundled sample matches its labels and docs/sample.md."""

import csv
from pathlib import Path

import av
import numpy as np

BUNDLED = Path(__file__).resolve().parent.parent / "engines" / "bundled"


def rows() -> list[dict[str, str]]:
    with (BUNDLED / "sample.labels.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_sample_is_small_and_as_long_as_its_labels() -> None:
    assert (BUNDLED / "sample.mp4").stat().st_size <= 1_000_000
    with av.open(str(BUNDLED / "sample.mp4")) as container:
        video, sound = container.streams.video[0], container.streams.audio[0]
        assert (video.width, video.height, float(video.average_rate or 0)) == (480, 270, 24.0)
        assert sound.rate == 32_000
        assert container.duration is not None
        assert abs(container.duration / 1e6 - float(rows()[-1]["end_s"])) < 0.1


def test_every_clip_of_two_seconds_has_one_thing_to_see_and_one_to_hear() -> None:
    for start_s in range(0, 16, 2):
        here = [row for row in rows() if float(row["start_s"]) <= start_s and float(row["end_s"]) >= start_s + 2]
        assert sorted(row["modality"] for row in here) == ["audio", "image"]


def test_the_words_of_the_demo_are_every_right_label_and_as_many_wrong_ones() -> None:
    words = (BUNDLED / "sample.labels.txt").read_text().splitlines()
    right = {row["label"] for row in rows()}
    assert right < set(words)
    assert len(words) == len(set(words)) == 2 * len(right)


def test_no_scene_is_silent_or_clipped() -> None:
    with av.open(str(BUNDLED / "sample.mp4")) as container:
        samples = np.concatenate([frame.to_ndarray()[0] for frame in container.decode(audio=0)])
    for scene in np.array_split(samples, 4):
        assert -23 < 10 * np.log10(np.mean(np.square(scene, dtype=np.float64))) < -17
    assert np.abs(samples).max() < 1.0
