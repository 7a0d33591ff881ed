from pathlib import Path

import pytest
import torch

from engines.networks import picture
from engines.networks.picture import ConceptPicture, load_picture
from training.captions.projection import Projection, mean_parts

BUNDLED = Path(picture.__file__).parents[1] / "bundled" / "percept-mini"


@pytest.fixture(scope="module")
def tower() -> ConceptPicture:
    return load_picture(BUNDLED)


def test_the_projection_of_the_mean_parts_is_the_mean_token(tower: ConceptPicture) -> None:
    pictures = torch.randn(3, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    network = Projection(tower.projection).eval()
    with torch.inference_mode():
        found = network(mean_parts(tower, pictures)[None])
        torch.testing.assert_close(found, tower(pictures).mean(0, keepdim=True), atol=1e-5, rtol=0)


def test_only_the_projection_is_learnt(tower: ConceptPicture) -> None:
    network = Projection(tower.projection)
    assert [name for name, weight in network.named_parameters() if weight.requires_grad] == ["projection"]
    network(torch.randn(2, 384 + 1280)).sum().backward()
    assert network.projection.grad is not None
    assert not any(weight.requires_grad for weight in tower.parameters())
