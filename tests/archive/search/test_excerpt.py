"""A short recording finds its place in a long one."""

from pathlib import Path

import numpy as np
import pytest

from archive.search.example import Place
from archive.search.excerpt import Cut, Found, find, spacing_s
from pipeline.errors import ConfigError
from tests.archive.made import clip_of, write_shard
from tests.archive.search.archives import SIZE, opened, random_units, write_source


def cut(vectors: np.ndarray, phase_s: float = 0.0, name: str = "image") -> Cut:
    return Cut(phase_s, tuple({name: vector.astype(np.float64)} for vector in vectors), 2.0 * len(vectors))


def test_a_sequence_lies_where_all_its_clips_fit_together(tmp_path: Path) -> None:
    made = {name: random_units(place, 40, SIZE) for place, name in enumerate(("a.mp4", "b.mp4"))}
    made["a.mp4"][3] = made["b.mp4"][20]  # one clip alone fits here, too
    for name, vectors in made.items():
        write_source(tmp_path, name, {"image": vectors})
    rows = opened(tmp_path, "image")
    sequence = made["b.mp4"][20:25]
    best, *others = find(rows, [cut(sequence)], ["image"], None, 3)
    assert (best.row, best.rows, best.start_s) == (40 + 20, 5, 40.0)
    assert best.score == pytest.approx(1.0, abs=1e-3)
    all_vectors = np.concatenate(list(made.values())).astype(np.float64)
    means = [
        np.mean([all_vectors[first + place] @ sequence[place].astype(np.float64) for place in range(5)])
        if first % 40 <= 35
        else -1
        for first in range(80)
    ]
    order = [first for first in np.argsort(-np.array(means)) if abs(first - 60) > 5]
    assert others[0].row == order[0]
    assert others[0].score == pytest.approx(means[order[0]], abs=1e-5)


def test_a_sequence_is_never_laid_over_two_sources(tmp_path: Path) -> None:
    made = random_units(3, 20, SIZE)
    write_source(tmp_path, "a.mp4", {"image": made[:10]})
    write_source(tmp_path, "b.mp4", {"image": made[10:]})
    found = find(opened(tmp_path, "image"), [cut(made[8:12])], ["image"], None, 1)
    assert found[0].score < 0.9
    assert find(opened(tmp_path, "image"), [cut(made[:11])], ["image"], None, 1) == list[Found]()


def test_the_grid_that_fits_best_tells_the_time_between_clips(tmp_path: Path) -> None:
    made = random_units(4, 30, SIZE)
    write_source(tmp_path, "a.mp4", {"image": made})
    cuts = [cut(random_units(90 + place, 3, SIZE), 0.25 * place) for place in range(8)]
    cuts[3] = cut(made[12:15], 0.75)
    (found,) = find(opened(tmp_path, "image"), cuts, ["image"], None, 1)
    assert found.start_s == 24.0 - 0.75


def test_the_distance_of_clips_is_that_of_most(tmp_path: Path) -> None:
    write_source(tmp_path, "a.mp4", {"image": random_units(5, 30, SIZE)})
    write_source(tmp_path, "b.mp4", {"image": random_units(5, 1, SIZE)})
    assert spacing_s(opened(tmp_path, "image")) == 2.0


def test_a_hit_ends_with_its_source_in_which_at_least_half_of_it_lies(tmp_path: Path) -> None:
    made = random_units(6, 1, SIZE)
    for name, clip_s in (("a.mp4", 0.5), ("b.mp4", 1.5)):
        write_shard(tmp_path, name, [clip_of(f"/data/{name}", 0, {"image": made[0]}, clip_s=clip_s)])
    whole = cut(made)
    (found,) = find(opened(tmp_path, "image"), [whole, cut(made, 1.75)], ["image"], None, 3)
    assert (found.row, found.start_s, found.end_s) == (1, 0.0, 1.5)
    late = find(opened(tmp_path, "image"), [cut(random_units(7, 1, SIZE)), cut(made, 0.75)], ["image"], None, 3)
    assert [(each.start_s, each.end_s) for each in late] == [(0.0, 1.25)]


def test_similarities_of_modalities_are_told(tmp_path: Path) -> None:
    image, audio = random_units(8, 10, SIZE), random_units(9, 10, SIZE)
    audio[4] = 0
    write_source(tmp_path, "a.mp4", {"image": image, "audio": audio})
    sequence = Cut(
        0.0, tuple({"image": image[n].astype(float), "audio": audio[n + 1].astype(float)} for n in (3, 4)), 4.0
    )
    (found,) = find(opened(tmp_path, "image", "audio"), [sequence], ["image", "audio"], None, 1)
    expected = (audio[4].astype(float) @ audio[3].astype(float) + audio[5].astype(float) @ audio[4].astype(float)) / 2
    assert found.row == 3
    assert found.by_modality == {"image": pytest.approx(1, abs=1e-3), "audio": pytest.approx(expected, abs=1e-3)}
    assert found.score == pytest.approx(np.mean(list(found.by_modality.values())), abs=1e-3)
    (seen,) = find(opened(tmp_path, "image"), [sequence], ["image"], None, 1)
    assert set(seen.by_modality) == {"image"}


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("clip.mp4", Place("clip.mp4")),
        ("clip.mp4@12s", Place("clip.mp4", 12.0)),
        ("a@b.mp4@1:05-1:10.5", Place("a@b.mp4", 65.0, 70.5)),
        ("a@b.mp4", Place("a@b.mp4")),
        ("x.mkv@1:00:00", Place("x.mkv", 3600.0)),
    ],
)
def test_places_are_read(text: str, place: Place) -> None:
    assert Place.parse(text) == place


def test_a_place_that_ends_before_it_begins_is_refused() -> None:
    with pytest.raises(ConfigError, match="ends before it begins"):
        Place.parse("clip.mp4@12s-3s")
