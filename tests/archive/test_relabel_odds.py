"""Log-odds of many clips at once are those of one clip at a time."""

from dataclasses import replace

import numpy as np
import pytest

from archive import relabel_odds
from archive.relabel_odds import BulkSide
from pipeline.arrays import Array
from stages.words import scoring
from stages.words.label_side import LabelSide
from tests.archive.made import unit
from tests.archive.worded import side_of


def compared(side: LabelSide, vectors: Array) -> tuple[Array, Array, Array, Array]:
    """Cosines and log-odds, at once and one at a time, of float16 vectors."""
    log_sum = scoring.log_sum(vectors.astype(float) @ side.background.T, side.temperature).astype(np.float32)
    cosine, odds = BulkSide(side).compare(vectors, log_sum)
    alone = [side.compare(vector[None].astype(float)) for vector in vectors]
    return (
        cosine.numpy(),
        np.concatenate([each[0] for each in alone]),
        odds.numpy(),
        np.concatenate([each[2] for each in alone]),
    )


@pytest.mark.parametrize("temperature", [0.01, 0.1])
def test_they_agree_for_random_clips(temperature: float) -> None:
    random = np.random.default_rng(1)
    side = side_of(random, labels=12, background=300, size=64, temperature=temperature)
    assert 0 < (side.kept.min(axis=0) < 1).sum() < 40, "few background words are near a label"
    cosine, cosine_alone, odds, odds_alone = compared(side, unit(random.standard_normal((500, 64))).astype(np.float16))
    np.testing.assert_allclose(cosine, cosine_alone, atol=1e-6)
    np.testing.assert_allclose(odds, odds_alone, atol=1e-4)


def test_they_agree_where_words_that_do_not_compete_are_nearly_all_of_the_sum(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clip that looks like a background word, and a label that means the same."""
    random = np.random.default_rng(2)
    side = side_of(random, labels=12, background=300, size=64, temperature=0.02, near=0.05)
    vectors = unit(side.background[:12] + 0.02 * random.standard_normal((12, 64))).astype(np.float16)
    _, _, odds, odds_alone = compared(side, vectors)
    np.testing.assert_allclose(odds, odds_alone, atol=1e-4)
    monkeypatch.setattr(relabel_odds, "DOMINATED", 1 - 1e-7)
    _, _, odds, _ = compared(side, vectors)
    assert np.abs(odds - odds_alone).max() > 1e-2, "the difference alone would not do"


def test_a_label_is_as_near_as_its_nearest_synonym() -> None:
    random = np.random.default_rng(3)
    side = side_of(random, labels=12)
    starts = np.array([0, 1, 5, 9])
    side = replace(side, starts=starts, kept=np.minimum.reduceat(side.kept, starts, axis=0))
    cosine, cosine_alone, odds, odds_alone = compared(side, unit(random.standard_normal((50, 16))).astype(np.float16))
    assert cosine.shape == (50, 4)
    np.testing.assert_allclose(cosine, cosine_alone, atol=1e-6)
    np.testing.assert_allclose(odds, odds_alone, atol=1e-4)


def test_blocks_are_smaller_with_more_words() -> None:
    random = np.random.default_rng(4)
    few, many = (BulkSide(side_of(random, labels=count, background=4000, size=64)) for count in (10, 4000))
    assert few.block_rows == relabel_odds.MOST_ROWS
    assert 64 <= many.block_rows < 1000
