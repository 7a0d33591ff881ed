"""Words and places: padding changes nothing, and transport is the linear programme's."""

import numpy as np
import pytest

from engines.models.checkpoint import read_model
from engines.models.text_tower import TextTower, WordTower
from evidence.finding.aligned import late_interaction, moved, sinkhorn
from pipeline.stage import RunSettings
from stages.encode import unit

CHANCE = np.random.default_rng(0)


def test_padding_changes_nothing() -> None:
    words, patches = CHANCE.normal(size=(5, 16)), CHANCE.normal(size=(9, 16))
    padded = np.concatenate([words, CHANCE.normal(size=(3, 16))])
    spoken = np.arange(8) < 5
    assert late_interaction(padded, patches, spoken) == pytest.approx(late_interaction(words, patches), abs=1e-6)
    assert late_interaction(padded, patches) != pytest.approx(late_interaction(words, patches), abs=1e-6)


def test_sinkhorn_costs_what_the_linear_programme_costs() -> None:
    from itertools import permutations

    for _ in range(5):
        cost = CHANCE.uniform(size=(4, 4))
        plan = sinkhorn(cost, smooth=2e-3, rounds=3000)
        np.testing.assert_allclose(plan.sum(axis=0), 0.25, atol=1e-6)
        # With even sums, a plan of least cost is a permutation (Birkhoff).
        least = min(sum(cost[row, column] for row, column in enumerate(order)) for order in permutations(range(4))) / 4
        assert (plan * cost).sum() == pytest.approx(least, abs=1e-3)


def test_words_move_boxes_against_each_other_and_not_their_level() -> None:
    words = unit(CHANCE.normal(size=(3, 16)))
    patches = np.stack([np.tile(words, (3, 1)), CHANCE.normal(size=(9, 16))])
    change = moved(np.array([0.2, 0.2]), words, patches)
    assert change.mean() == pytest.approx(0, abs=1e-12)
    assert change[0] > change[1]


def test_the_words_of_the_bundled_tower_add_up_to_its_vector(tmp_path) -> None:  # type: ignore[no-untyped-def]
    spec, run = read_model("percept-mini"), RunSettings(model="percept-mini", cache_directory=str(tmp_path), threads=1)
    texts, tower = ["a red cup", "a dog on the green grass"], WordTower(spec.texts["minilm"], run)
    together, alone = tower.words(texts), tower.words(texts[:1])
    assert [len(each) for each in together] == [3, 6]
    np.testing.assert_allclose(together[0], alone[0], atol=1e-5)  # the other one is longer
    vectors = TextTower(spec.texts["minilm"], run).vectors(texts)
    assert (unit(together[1].mean(axis=0)[None])[0] * vectors[1]).sum() > 0.9
