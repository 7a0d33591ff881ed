"""A search in words gives the probabilities of a run with that label, and their order."""

from pathlib import Path

import numpy as np
import pytest

from archive.search.odds import pooled
from archive.search.scan import Scan
from archive.search.texts import TextQuery
from stages.words.head_share import mixed
from stages.words.labels import LabelSet
from stages.words.scoring import pool, sigmoid
from tests.archive.search.archives import SIZE, label_set, opened, random_units, write_source

CLIPS = 300


def probabilities(labels: LabelSet, vectors: dict[str, np.ndarray], weights: dict[str, np.ndarray]) -> np.ndarray:
    """As `stages.classify.score_all` computes them, "N C"."""
    found = []
    for clip in range(CLIPS):
        odds = {}
        for name in ("image", "audio"):
            if not vectors[name][clip].any():
                continue
            odds[name] = labels.sides[name].compare(vectors[name][clip][None].astype(np.float64))[2][0]
            head = vectors.get(f"fused_{name}")
            if head is not None and labels.head_share is not None and head[clip].any():
                other = labels.sides[name].compare(head[clip][None].astype(np.float64))[2][0]
                odds[name] = mixed(odds[name], other, labels.head_share)
        own = {name: float(np.float32(weights[name][clip])) for name in odds}
        found.append(sigmoid(pool(odds, own)) if odds else np.full(len(labels.labels), np.nan))
    return np.array(found)


def made(labels: LabelSet, folder: Path, head: bool) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    vectors = {name: random_units(place, CLIPS, SIZE) for place, name in enumerate(("image", "audio"))}
    background = labels.sides["image"].background
    vectors["image"][:20] = background[0].astype(np.float16), *vectors["image"][1:20]  # a near synonym of the label
    vectors["audio"][5:40] = 0
    vectors["image"][39:50] = 0
    if head:
        vectors |= {f"fused_{name}": random_units(place + 5, CLIPS, SIZE) for place, name in enumerate(list(vectors))}
        vectors["fused_image"][39:60] = 0
        vectors["fused_audio"][5:40] = 0
    random = np.random.default_rng(9)
    weights = {name: random.uniform(0, 0.95, CLIPS) for name in ("image", "audio")}
    weights["image"][60:70] = weights["audio"][65:75] = 0
    write_source(folder, "a.mp4", vectors, labels.sides, weights)
    return vectors, weights


@pytest.mark.parametrize("head", [False, True])
def test_probabilities_are_those_of_a_run(tmp_path: Path, head: bool) -> None:
    labels = label_set(labels=1, head=head)
    vectors, weights = made(labels, tmp_path, head)
    expected = probabilities(labels, vectors, weights)[:, 0]
    rows = opened(tmp_path, *vectors)
    scan = Scan(rows, TextQuery(labels, ("image", "audio")))
    found = dict(scan.best_first())
    assert np.isnan(expected).tolist() == [clip not in found for clip in range(CLIPS)]
    known = np.flatnonzero(~np.isnan(expected))
    np.testing.assert_allclose([found[clip] for clip in known], expected[known], rtol=1e-9)
    assert list(found) == known[np.argsort(-expected[known], kind="stable")].tolist()
    assert (scan.bounds[known] >= expected[known]).all()
    far = np.argsort(expected[known])[: CLIPS // 2]
    np.testing.assert_allclose(scan.bounds[known][far], expected[known][far], rtol=0.02)


def test_minus_lowers_what_also_fits_the_other_words(tmp_path: Path) -> None:
    labels = label_set(labels=2)
    vectors, weights = made(labels, tmp_path, head=False)
    both = probabilities(labels, vectors, weights)
    expected = both[:, 0] * (1 - both[:, 1])
    scan = Scan(opened(tmp_path, *vectors), TextQuery(labels, ("image", "audio")))
    known = np.flatnonzero(~np.isnan(expected))
    assert [row for row, _ in scan.best_first()] == known[np.argsort(-expected[known], kind="stable")].tolist()
    assert (scan.bounds[known] >= expected[known]).all()


def test_one_modality_alone_is_not_weighted(tmp_path: Path) -> None:
    labels = label_set(labels=1)
    vectors, _ = made(labels, tmp_path, head=False)
    query = TextQuery(labels, ("audio",))
    found = dict(Scan(opened(tmp_path, *vectors), query).best_first())
    odds = labels.sides["audio"].compare(vectors["audio"].astype(np.float64))[2][:, 0]
    assert found[100] == pytest.approx(float(sigmoid(odds[100])), rel=1e-9)
    assert 10 not in found
    rows = opened(tmp_path, *vectors)
    assert TextQuery(labels, ("image", "audio")).evidence(rows, 10).keys() == {"image"}


def test_pools_of_many_clips_are_those_of_each() -> None:
    random = np.random.default_rng(1)
    odds = {name: random.uniform(-60, 30, 50) for name in ("image", "motion", "audio")}
    odds["motion"][:10] = np.nan
    weights = {name: random.uniform(0, 1, 50) for name in odds}
    weights["image"][5:15] = 1.0
    weights["audio"][:20] = weights["image"][:3] = 0.0
    expected = [
        pool({name: z[clip : clip + 1] for name, z in odds.items() if not np.isnan(z[clip])},
             {name: float(weight[clip]) for name, weight in weights.items()})[0]
        for clip in range(50)
    ]  # fmt: skip
    np.testing.assert_allclose(pooled(odds, weights), expected, rtol=1e-12)
