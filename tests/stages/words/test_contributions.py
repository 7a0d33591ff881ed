"""What modalities add to the log-odds of a label: it sums to the result, and each gets what it deserves."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.words import scoring
from stages.words.contributions import BASE, NOT_THERE, contributions, sets, shapley_factors

NAMES = ("image", "motion", "audio", "text")
odds_of_one = st.floats(-40, 40)
weight = st.one_of(st.just(0.0), st.floats(1e-3, 0.95))
clips = st.lists(st.tuples(st.lists(odds_of_one, min_size=3, max_size=3), weight), min_size=1, max_size=4)


def clip(said: list[tuple[list[float], float]]) -> tuple[dict[str, np.ndarray], dict[str, float]]:
    names = NAMES[: len(said)]
    return (
        {name: np.array(z) for name, (z, _) in zip(names, said, strict=True)},
        {name: w for name, (_, w) in zip(names, said, strict=True)},
    )


@given(clips)
def test_the_base_and_all_contributions_sum_to_the_pooled_log_odds(said: list[tuple[list[float], float]]) -> None:
    odds, weights = clip(said)
    base, added = contributions(odds, weights)
    assert list(added) == list(odds)
    np.testing.assert_allclose(base + sum(added.values()), scoring.pool(odds, weights), rtol=1e-9, atol=1e-9)


@given(clips, st.lists(odds_of_one, min_size=3, max_size=3))
def test_a_modality_of_weight_zero_adds_nothing_and_changes_nothing(
    said: list[tuple[list[float], float]], silence: list[float]
) -> None:
    odds, weights = clip(said[:3])
    if not any(weights.values()):
        return
    base, added = contributions(odds, weights)
    base_with, with_silence = contributions(odds | {"text": np.array(silence)}, weights | {"text": 0.0})
    assert base_with == base
    assert with_silence["text"].tolist() == [0.0, 0.0, 0.0]
    for name in odds:
        np.testing.assert_array_equal(with_silence[name], added[name])


@given(clips, st.randoms())
def test_the_order_of_modalities_does_not_matter(said: list[tuple[list[float], float]], random: object) -> None:
    odds, weights = clip(said)
    base, added = contributions(odds, weights)
    names = list(odds)
    random.shuffle(names)  # type: ignore[attr-defined]
    other_base, other = contributions({name: odds[name] for name in names}, weights)
    assert other_base == pytest.approx(base, abs=1e-9)
    for name in names:
        np.testing.assert_allclose(other[name], added[name], rtol=1e-9, atol=1e-9)


@given(odds_of_one, odds_of_one, st.floats(1e-3, 0.95))
def test_modalities_that_say_the_same_with_the_same_weight_add_the_same(z: float, third: float, w: float) -> None:
    odds = {"image": np.array([z]), "motion": np.array([third]), "audio": np.array([z])}
    _, added = contributions(odds, {"image": w, "motion": 0.5, "audio": w})
    assert added["image"][0] == pytest.approx(added["audio"][0], abs=1e-9)


@given(st.lists(st.tuples(st.floats(BASE, 40), st.floats(1e-3, 0.95)), min_size=1, max_size=3), st.floats(-40, BASE),
       st.floats(1e-3, 0.95))  # fmt: skip
def test_a_modality_that_does_not_see_a_label_takes_away_at_most_its_part_of_the_base(
    others: list[tuple[float, float]], blind: float, w: float
) -> None:
    names = NAMES[: len(others)]
    odds = {name: np.array([z]) for name, (z, _) in zip(names, others, strict=True)} | {"text": np.array([blind])}
    weights = {name: of for name, (_, of) in zip(names, others, strict=True)} | {"text": w}
    base, added = contributions(odds, weights)
    without, _ = contributions({name: odds[name] for name in names}, weights)
    assert without - base - 1e-9 <= added["text"][0] <= 1e-9


def test_a_label_of_which_all_say_that_it_is_not_there_is_at_the_base() -> None:
    odds, weights = {"image": np.full(2, BASE), "audio": np.full(2, BASE)}, {"image": 0.8, "audio": 0.75}
    base, added = contributions(odds, weights)
    p = 1 - (1 - 0.8 * NOT_THERE) * (1 - 0.75 * NOT_THERE)
    assert base == pytest.approx(math.log(p / (1 - p)), abs=1e-9)
    np.testing.assert_allclose([*added["image"], *added["audio"]], 0, atol=1e-12)


def test_one_modality_alone_adds_all_there_is() -> None:
    base, added = contributions({"audio": np.array([0.8])}, {"audio": 0.75})
    heard = 0.75 * scoring.sigmoid(np.array(0.8))
    assert added["audio"][0] == pytest.approx(math.log(heard / (1 - heard)) - base, abs=1e-9)


@pytest.mark.parametrize("players", [1, 2, 3, 4])
def test_factors_are_the_mean_over_all_orders(players: int) -> None:
    subsets = sets(players)
    values = np.random.default_rng(players).normal(size=len(subsets))
    value = dict(zip(map(tuple, subsets.tolist()), values, strict=True))
    wanted = np.zeros(players)
    for order in itertools.permutations(range(players)):
        said = [False] * players
        for one in order:
            before = value[tuple(said)]
            said[one] = True
            wanted[one] += (value[tuple(said)] - before) / math.factorial(players)
    np.testing.assert_allclose(shapley_factors(subsets).T @ values, wanted, atol=1e-12)
