"""A scan gives the order of a full computation in 64 bits."""

from pathlib import Path

import numpy as np
import pytest

from archive.search.catalog import Catalog, ColumnState, Segment
from archive.search.columns import Appender
from archive.search.rows import Rows
from archive.search.scan import Scan
from archive.search.vectors import VectorQuery, mixture, span_of, unit
from tests.archive.search.archives import SIZE, opened, random_units, write_source


def rows_of(folder: Path, vectors: np.ndarray, log_sums: np.ndarray | None = None) -> Rows:
    """A cache of one segment, without an archive."""
    (folder / "1").mkdir(parents=True)
    count, columns = len(vectors), {}
    given = {
        "image": vectors,
        "image_log_sum": np.zeros(count, np.float32) if log_sums is None else log_sums.astype(np.float32),
        "image_weight": np.ones(count, np.float32),
        "start_s": 2.0 * np.arange(count),
        "end_s": 2.0 * np.arange(count) + 2,
    }
    for name, values in given.items():
        state = ColumnState(values.dtype.newbyteorder("<").str, values.shape[1] if values.ndim > 1 else 1)
        suffix = {"<f2": "f16", "<f4": "f32", "<f8": "f64"}[state.dtype]
        with Appender(folder / "1" / f"{name}.{suffix}", state) as column:
            column.append(values)
            columns[name] = column.commit()
    return Rows(folder, Catalog(generation=1, segments=(Segment("a", 0, 0, 0, count),), columns=columns))


@pytest.mark.parametrize("near", [0.0, 0.999])
def test_the_order_is_that_of_64_bits(tmp_path: Path, near: float) -> None:
    """near: how far all vectors are alike, so that many cosines differ in late digits only."""
    random = np.random.default_rng(2)
    common = unit(random.standard_normal(SIZE))
    vectors = near * common + (1 - near) * random.standard_normal((20_000, SIZE))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float16)
    query = unit(random.standard_normal(SIZE))
    cosines = vectors.astype(np.float64) @ query
    expected = np.lexsort((np.arange(len(cosines)), -cosines))[:2000]
    found = Scan(rows_of(tmp_path, vectors), VectorQuery({"image": query})).best_first()
    best = [next(found) for _ in range(2000)]
    assert [row for row, _ in best] == expected.tolist()
    np.testing.assert_allclose([score for _, score in best], cosines[expected], rtol=1e-12)


def test_equal_clips_come_in_their_order_and_each_once(tmp_path: Path) -> None:
    vectors = np.repeat(random_units(3, 1, SIZE), 3000, axis=0)
    found = Scan(rows_of(tmp_path, vectors), VectorQuery({"image": vectors[0].astype(np.float64)})).best_first()
    assert [row for row, _ in found] == list(range(3000))


def test_rows_that_are_dead_absent_or_not_allowed_are_left_out(tmp_path: Path) -> None:
    made = random_units(4, 6, SIZE)
    made[2] = 0
    for name in "abcde":
        write_source(tmp_path, f"{name}.mp4", {"image": made})
    opened(tmp_path, "image")
    (tmp_path / "b.mp4.parquet").unlink()
    rows = opened(tmp_path, "image")
    allowed = np.ones(len(rows), bool)
    allowed[0] = False
    found = [row for row, _ in Scan(rows, VectorQuery({"image": made[0].astype(np.float64)}), allowed).best_first()]
    assert sorted(found) == sorted({*range(len(rows))} - {0, 2, 8, 14, 20, 26} - {*range(6, 12)})


def test_modalities_are_weighted_by_how_far_they_are_trusted(tmp_path: Path) -> None:
    image, audio = random_units(5, 4, SIZE), random_units(6, 4, SIZE)
    audio[1] = 0
    weights = {"image": np.array([0.9, 0.5, 0.1, 0.0]), "audio": np.array([0.2, 0.7, 0.8, 0.4])}
    write_source(tmp_path, "a.mp4", {"image": image, "audio": audio}, weights=weights)
    query = {"image": unit(np.arange(SIZE)), "audio": unit(np.arange(SIZE)[::-1])}
    found = dict(Scan(opened(tmp_path, "image", "audio"), VectorQuery(query)).best_first())
    own = image.astype(np.float64) @ query["image"], audio.astype(np.float64) @ query["audio"]
    expected = (weights["image"] * own[0] + weights["audio"] * own[1]) / (weights["image"] + weights["audio"])
    expected[1] = own[0][1]
    expected[3] = own[1][3]
    assert [found[row] for row in range(4)] == pytest.approx(expected.tolist(), abs=1e-5)


def test_an_aspect_compares_only_what_its_words_differ_in(tmp_path: Path) -> None:
    random = np.random.default_rng(7)
    basis = np.linalg.qr(random.standard_normal((SIZE, SIZE)))[0].T
    words = 0.3 * basis[15] + random.standard_normal((6, 3)) @ basis[:3]
    span = span_of(words)
    assert span.shape == (3, SIZE), "what all words have in common is no part of the aspect"
    place, noise = random.standard_normal((40, 3)), random.standard_normal((40, 5))
    vectors = unit(place @ basis[:3] + 2 * noise @ basis[5:10]).astype(np.float16)
    query = unit(place[0] @ basis[:3] + 2 * random.standard_normal(5) @ basis[5:10])
    scan = Scan(rows_of(tmp_path, vectors), VectorQuery({"image": query}, {"image": span}))
    inside = vectors.astype(np.float64) @ basis[:3].T
    own = query @ basis[:3].T
    expected = inside @ own / np.linalg.norm(inside, axis=1) / np.linalg.norm(own)
    assert [row for row, _ in scan.best_first()] == np.argsort(-expected).tolist()
    assert next(scan.best_first())[0] == 0


def test_a_mixture_is_the_weighted_sum_of_unit_vectors() -> None:
    one, other = np.array([3.0, 0, 0]), np.array([0, 0.5, 0])
    np.testing.assert_allclose(mixture([(0.6, one), (0.8, other)]), [0.6, 0.8, 0], atol=1e-12)
    np.testing.assert_allclose(mixture([(1.0, one), (-1.0, other)]), [0.5**0.5, -(0.5**0.5), 0], atol=1e-12)
