"""Pooling many clips at once."""

import numpy as np
import pytest
import torch

from archive.relabel_scores import applied, contributions, pool
from stages.words import scoring
from stages.words.contributions import contributions as exact


@pytest.mark.parametrize("weights", [(0.3, 0.9), (0.0, 0.5), (0.0, 0.0), (1.0, 0.2)])
def test_pooled_odds_are_those_of_one_clip(weights: tuple[float, float]) -> None:
    odds = np.random.default_rng(1).normal(0, 40, (2, 1, 30))
    found = pool(torch.from_numpy(odds), torch.tensor(weights).double()[:, None], torch.ones(2, 1, dtype=torch.bool))
    wanted = scoring.pool({"a": odds[0, 0], "b": odds[1, 0]}, {"a": weights[0], "b": weights[1]})
    np.testing.assert_allclose(found[0].numpy(), wanted, atol=1e-5)


def test_a_modality_that_a_clip_lacks_changes_nothing() -> None:
    odds = torch.tensor([[[2.0]], [[50.0]]], dtype=torch.float64)
    weights, present = torch.tensor([[0.5], [0.0]]).double(), torch.tensor([[True], [False]])
    wanted = scoring.pool({"a": np.array([2.0])}, {"a": 0.5})
    np.testing.assert_allclose(pool(odds, weights, present)[0].numpy(), wanted)
    np.testing.assert_allclose(
        pool(odds, 0 * weights, present)[0].numpy(), scoring.pool({"a": np.array([2.0])}, {"a": 0.0})
    )
    assert applied(weights, present).tolist() == [[0.5], [0.0]]
    assert applied(0 * weights, present).tolist() == [[scoring.LEAST_WEIGHT], [0.0]]


@pytest.mark.parametrize("weights", [(0.3, 0.9, 0.5), (0.0, 0.5, 0.7), (0.0, 0.0, 0.0)])
def test_contributions_are_those_of_one_clip(weights: tuple[float, ...]) -> None:
    odds = np.random.default_rng(2).normal(0, 8, (3, 2, 9))
    present = torch.tensor([[True, True], [True, True], [True, False]])
    trust = torch.tensor(weights, dtype=torch.float64)[:, None] * present
    base, found = contributions(torch.from_numpy(odds), trust, present)
    for clip, names in enumerate(("abc", "ab")):
        given = {name: odds[place, clip] for place, name in enumerate(names)}
        wanted_base, wanted = exact(given, dict(zip(names, weights, strict=False)))
        assert base[clip].item() == pytest.approx(wanted_base, abs=1e-9)
        for place, name in enumerate(names):
            np.testing.assert_allclose(found[place, clip].numpy(), wanted[name], atol=1e-9)
    assert found[2, 1].tolist() == [0.0] * 9
