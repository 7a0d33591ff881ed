import numpy as np
import pytest
import torch
from torch.nn import functional

from training.captions.losses import caption_losses, centred

SHARPNESS = torch.tensor(5.0)


def unit(count: int, seed: int) -> torch.Tensor:
    return functional.normalize(torch.randn(count, 8, generator=torch.Generator().manual_seed(seed)), dim=-1)


def losses(vectors: torch.Tensor, texts: torch.Tensor, items: list[int], captions: list[int]) -> dict[str, float]:
    found = caption_losses(vectors, texts, SHARPNESS, torch.tensor(items), torch.tensor(captions))
    return {name: loss.item() for name, loss in found.items()}


def cross_entropy(logits: np.ndarray, right: int) -> float:
    return float(np.logaddexp.reduce(logits) - logits[right])


def test_infonce_is_that_of_both_directions() -> None:
    vectors, texts = unit(4, 0), unit(4, 1)
    near = 5.0 * (vectors @ texts.T).numpy()
    expected = np.mean([(cross_entropy(near[k], k) + cross_entropy(near[:, k], k)) / 2 for k in range(4)])
    assert losses(vectors, texts, [0, 1, 2, 3], [0, 1, 2, 3])["captions"] == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(("items", "captions"), [([0, 1, 0], [0, 1, 2]), ([0, 1, 2], [0, 1, 0])])
def test_pairs_of_the_same_item_or_caption_are_no_wrong_answers(items: list[int], captions: list[int]) -> None:
    vectors, texts = unit(3, 2), unit(3, 3)
    near = 5.0 * (vectors @ texts.T).numpy()
    allowed = {0: [0, 1], 1: [0, 1, 2], 2: [1, 2]}
    terms = [cross_entropy(side[k][allowed[k]], allowed[k].index(k)) / 2 for side in (near, near.T) for k in range(3)]
    assert losses(vectors, texts, items, captions)["captions"] == pytest.approx(sum(terms) / 3, abs=1e-5)


def test_the_cosine_is_that_of_each_pair() -> None:
    vectors, texts = unit(3, 4), unit(3, 5)
    expected = 1 - float((vectors * texts).sum(1).mean())
    assert losses(vectors, texts, [0, 1, 2], [0, 1, 2])["cosine"] == pytest.approx(expected, abs=1e-6)


def test_a_batch_of_one_item_has_no_wrong_answers() -> None:
    found = losses(unit(2, 6), unit(2, 7), [3, 3], [0, 1])
    assert found["captions"] == pytest.approx(0.0, abs=1e-5)


def test_centred_vectors_have_unit_length_and_no_common_part() -> None:
    given = unit(50, 8) + 3.0
    found = centred(given, given.mean(0))
    np.testing.assert_allclose(found.norm(dim=1).numpy(), 1.0, atol=1e-5)
    assert found.mean(0).norm() < 0.3 < functional.normalize(given, dim=-1).mean(0).norm()
