"""Relevance goes from the last feature map to the pixels: nothing is lost, and it stays about where it was."""

import pytest
import torch
from torch import Tensor

from engines.networks.picture import load_picture
from engines.networks.relevance import pixel_relevance
from tests.engines.networks.test_features import MINI, feeds_of


@pytest.fixture(scope="module")
def relevance() -> tuple[Tensor, Tensor]:
    """Of two pictures: all of it in the upper left place, and spread over all places."""
    places = torch.zeros(2, 7, 7)
    places[0, 1, 1], places[1] = 2.5, 0.1
    return places, pixel_relevance(load_picture(MINI).network, feeds_of("concept_picture", MINI, 2), places)


def test_relevance_is_conserved(relevance: tuple[Tensor, Tensor]) -> None:
    places, pixels = relevance
    assert pixels.shape == (2, 224, 224)
    assert (pixels >= 0).all()
    torch.testing.assert_close(pixels.sum((1, 2)), places.sum((1, 2)), rtol=1e-3, atol=0)


def test_most_of_a_corners_relevance_stays_in_its_quarter(relevance: tuple[Tensor, Tensor]) -> None:
    _, pixels = relevance
    assert pixels[0, :112, :112].sum() > 0.6 * pixels[0].sum()
    assert pixels[1, :112, :112].sum() < 0.5 * pixels[1].sum()
