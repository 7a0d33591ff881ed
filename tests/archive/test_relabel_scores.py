"""Pooling many clips at once."""

import numpy as np
import pytest
import torch

from archive.relabel_scores import normalised, pool
from stages.words import scoring


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
    assert normalised(weights, present).tolist() == [[1.0], [0.0]]
    assert normalised(0 * weights, present).tolist() == [[1.0], [0.0]]
