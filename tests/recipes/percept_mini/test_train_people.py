"""What people do is learnt beside what the motion tower knows, which stays as it is."""

import numpy as np
import torch

from engines.networks.motion import WORDS, load_motion
from recipes.percept_mini.motion_words import BUNDLED, TOWER_WORDS
from recipes.percept_mini.train_people import check, fit, with_people


def test_people_are_learnt_and_the_rest_stays() -> None:
    random = torch.Generator().manual_seed(0)
    tower = load_motion(BUNDLED)
    things = torch.rand(40, 8, 128, generator=random).half(), torch.zeros(40, 9, dtype=torch.int8)
    truth = torch.zeros(40, 9, dtype=torch.int8)
    each = torch.rand(40, 8, 128, generator=random)
    for row in range(36):
        truth[row, row % 9] = 1
        each[row, :, row % 9] += 3
    branch = fit(tower, things, (each.half(), truth), steps=60)
    assert check(branch, (each.half(), truth)).startswith("first of 9 right 100.0%")
    taught = with_people(tower, branch)
    pictures = torch.rand(2, 8, 3, 56, 56, generator=random) * 2 - 1
    with torch.inference_mode():
        before, after = tower.logits(pictures).numpy(), taught.logits(pictures).numpy()
    np.testing.assert_array_equal(before[:, :WORDS], after[:, :WORDS])
    assert after.shape == (2, len(TOWER_WORDS))
    assert np.abs(before[:, WORDS:] - after[:, WORDS:]).max() > 0.01
    torch.testing.assert_close(taught.concepts, tower.concepts, atol=1e-3, rtol=0)
