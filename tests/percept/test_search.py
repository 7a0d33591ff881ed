"""`percept.search` in a process of its own."""

from pathlib import Path

import pytest

import percept
from tests.archive.made import clip_of, write_shard
from tests.archive.search.archives import random_units
from tests.commands.test_label import SAMPLE


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("searched") / "labels"
    vectors = random_units(5, 6, 384)
    for number, name in enumerate(("videos/a.mp4", "videos/b.mp4")):
        clips = [
            clip_of(f"/data/{name}", clip, {"image": vectors[3 * number + clip]}, [("dog", 0.5)]) for clip in range(3)
        ]
        write_shard(folder, name, clips)
    return folder


def test_hits_of_an_example_and_their_tables(archive: Path) -> None:
    hits = percept.search(archive, like="videos/b.mp4@2s", top=2, where="start_s < 100")
    best = hits[0]
    assert (best.name, best.best_s, best.scale, best.labels) == ("videos/b.mp4", 2.0, "similarity", {"dog": 0.5})
    assert best.score == pytest.approx(1.0, abs=1e-3)
    assert best.by_modality == {"image": pytest.approx(1.0, abs=1e-3)}
    assert str(best) == f"videos/b.mp4 0:02–0:04: {best.score:.3f}"
    table = percept.to_pandas(hits)
    assert table["name"][0] == "videos/b.mp4"
    assert table["image_score"][0] == pytest.approx(1.0, abs=1e-3)
    assert percept.to_polars(hits)["label"].to_list() == ["dog"] * len(hits)


@pytest.mark.slow
def test_words_give_probabilities_of_what_was_labelled(tmp_path: Path) -> None:
    percept.label(SAMPLE, tmp_path, ["dog"], start=3, end=7)
    (hit,) = percept.search(tmp_path, "a dog -- barking", top=1, modality="image")
    assert hit.scale == "probability"
    assert list(hit.by_modality) == ["image"]
    assert 0.05 < hit.score < 0.95
    assert Path(hit.source) == SAMPLE


def test_what_is_wrong_is_raised(archive: Path, tmp_path: Path) -> None:
    with pytest.raises(percept.ConfigError, match="nothing to search for"):
        percept.search(archive)
    with pytest.raises(percept.ConfigError, match="no such folder"):
        percept.search(tmp_path / "gone", "dog")
