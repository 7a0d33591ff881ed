"""An approximate search finds nearly what a full one finds, with the same scores."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from archive.search.candidates import Candidates
from archive.search.nearest import Nearest
from archive.search.ranges import merged
from archive.search.rows import Rows
from archive.search.scan import Scan
from archive.search.texts import TextQuery
from archive.search.vectors import VectorQuery
from pipeline.arrays import Array
from stages.words.scoring import log_sum
from tests.archive.search.archives import SIZE, label_set, random_units
from tests.archive.search.test_scan import rows_of

pytest.importorskip("faiss", reason="the extra faiss is not installed: pip install -e '.[dev]'")
ROWS = 20_000


def clustered(seed: int = 1, count: int = ROWS) -> Array:
    random = np.random.default_rng(seed)
    centres = random.standard_normal((200, SIZE))
    return unit(centres[random.integers(0, 200, count)] + 0.5 * random.standard_normal((count, SIZE))).astype(
        np.float16
    )


def candidates(folder: Path, rows: Rows, query: VectorQuery | TextQuery, allowed: Array | None = None) -> Candidates:
    needles = {
        name: (Nearest(folder, rows, name, lambda text: None), vectors) for name, vectors in query.needles().items()
    }
    return Candidates(rows, query, needles, 10, allowed)


def unit(vectors: Array) -> Array:
    found: Array = vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
    return found


def test_hits_and_scores_are_those_of_a_full_scan(tmp_path: Path) -> None:
    rows = rows_of(tmp_path, clustered())
    shares = []
    for query in (VectorQuery({"image": vector.astype(np.float64)}) for vector in random_units(3, 20, SIZE)):
        full = {each.row: each.score for each in merged(rows, Scan(rows, query), 10)}
        found = {each.row: each.score for each in merged(rows, candidates(tmp_path, rows, query), 10)}
        assert all(found[row] == pytest.approx(full[row], abs=1e-12) for row in full.keys() & found.keys())
        shares.append(len(full.keys() & found.keys()) / 10)
    assert np.mean(shares) > 0.95


def test_words_give_their_probability(tmp_path: Path) -> None:
    vectors, labels = clustered(), label_set(("image",))
    side = labels.sides["image"]
    rows = rows_of(tmp_path, vectors, log_sum(vectors.astype(np.float64) @ side.background.T, side.temperature))
    query = TextQuery(labels, ["image"])
    full, found = (merged(rows, each, 10) for each in (Scan(rows, query), candidates(tmp_path, rows, query)))
    assert len({each.row for each in full} & {each.row for each in found}) >= 9


def test_what_is_not_allowed_is_left_out(tmp_path: Path) -> None:
    rows = rows_of(tmp_path, clustered())
    query = VectorQuery({"image": random_units(4, 1, SIZE)[0].astype(np.float64)})
    allowed = np.arange(ROWS) % 2 == 0
    found = merged(rows, candidates(tmp_path, rows, query, allowed), 10)
    assert len(found) == 10
    assert all(each.row % 2 == 0 for each in found)


def test_the_index_is_extended_and_made_anew_when_it_is_too_small(tmp_path: Path) -> None:
    vectors = clustered()
    told: list[str] = []
    for count, trained in ((1000, 1), (2000, 1), (20_000, 2)):
        folder = tmp_path / str(count)
        rows = rows_of(folder, vectors[:count])
        (old,) = [*tmp_path.glob("*/1/image.ivf")] or [None]
        if old is not None:
            old.rename(folder / "1" / "image.ivf")
            (old.parent / "image.ivf.json").rename(folder / "1" / "image.ivf.json")
        index = Nearest(folder, rows, "image", told.append)
        assert index.path == folder / "1" / "image.ivf"
        assert len(told) == trained
        near = index.rows_near(vectors[count - 1][None].astype(np.float32), 1, np.ones(count, bool))
        assert near.tolist() == [count - 1], "the newest row is in it"


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:1000])


def flip(path: Path) -> None:
    """Another value in the middle, which faiss reads without a word."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0x55
    path.write_bytes(data)


def forget_state(path: Path) -> None:
    path.with_name("image.ivf.json").unlink()


@pytest.mark.parametrize("damage", [cut, flip, forget_state])
def test_a_damaged_index_is_told_and_made_anew(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    rows = rows_of(tmp_path, clustered(count=2000))
    told: list[str] = []
    path = Nearest(tmp_path, rows, "image", told.append).path
    whole = path.read_bytes()
    damage(path)
    Nearest(tmp_path, rows, "image", told.append)
    assert [text.split(",")[0] for text in told[1:]] == [
        "the index of image vectors is made again",
        "preparing the approximate search of 2",
    ]
    assert path.read_bytes() == whole
    Nearest(tmp_path, rows, "image", told.append)
    assert len(told) == 3, "what is whole is read"


@pytest.mark.parametrize("count", [1500, 2000, 2500])
def test_the_index_of_another_archive_is_told_and_made_anew(tmp_path: Path, count: int) -> None:
    """Of fewer, as many and more vectors. It is whole, so only the vectors in it tell."""
    told: list[str] = []
    other = Nearest(tmp_path / "b", rows_of(tmp_path / "b", clustered(2, count)), "image", told.append).path
    rows = rows_of(tmp_path / "a", clustered(count=2000))
    for name in ("image.ivf", "image.ivf.json"):
        (other.parent / name).rename(tmp_path / "a/1" / name)
    index = Nearest(tmp_path / "a", rows, "image", told.append)
    assert "is made again, because it is that of other vectors" in told[1]
    for row in (0, 777, 1999):
        needle = rows.column("image")[row][None].astype(np.float32)
        assert index.rows_near(needle, 1, np.ones(2000, bool)).tolist() == [row]
