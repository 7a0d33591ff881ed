"""What each modality adds to the log-odds of a label, so that evidence and result add up.

The pool is no sum: what the sound adds depends on what the picture has said already. The Shapley value (Shapley 1953,
"A value for n-person games") is the mean, over all orders in which the modalities may speak, of what each one changes.
It is the only division that adds up, treats modalities alike, and gives nothing to one that changes nothing.
"""

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from pipeline.arrays import Array
from stages.words import scoring
from stages.words.scoring import Floats

NOT_THERE = 0.01
"""What a modality says of a label that is not there, as a probability: the same for all labels and modalities."""
BASE = math.log(NOT_THERE) - math.log1p(-NOT_THERE)
"""The same as log-odds."""


def contributions(log_odds_of: Mapping[str, Array], weights: Mapping[str, float]) -> tuple[float, dict[str, Floats]]:
    """The base and what each modality adds to it, in log-odds: "C" per modality and a weight each -> "C" each.

    Base + contributions = `scoring.pool`. The base is the pool of the same modalities if all say `NOT_THERE`, so it is
    the same for all labels. A modality with weight 0 adds exactly 0.
    """
    applied = scoring.applied({name: weights[name] for name in log_odds_of})
    trusted = {name: weight for name, weight in applied.items() if weight > 0}
    silent = np.full(len(next(iter(log_odds_of.values()))), BASE)
    subsets = sets(len(trusted))
    values = []
    for said in subsets:
        spoken = {name: log_odds_of[name] if has else silent for name, has in zip(trusted, said, strict=True)}
        values.append(scoring.pool(spoken, trusted))
    found = dict(zip(trusted, shapley_factors(subsets).T @ np.stack(values), strict=True))
    base = scoring.pool(dict.fromkeys(trusted, np.array([BASE])), trusted)
    return float(base[0]), {name: found.get(name, np.zeros_like(silent)) for name in log_odds_of}


def sets(players: int) -> NDArray[np.bool_]:
    """All sets of players: bool "S P", none of them first and all of them last."""
    found: NDArray[np.bool_] = (np.arange(2**players)[:, None] >> np.arange(players) & 1).astype(bool)
    return found


def shapley_factors(subsets: NDArray[np.bool_]) -> Floats:
    """How often the value of each set counts in each player's Shapley value: "S P".

    Its product with the values of the sets sums to value(all) - value(none).
    """
    players = subsets.shape[1]
    others = subsets.sum(axis=1, keepdims=True) - subsets
    orders = np.array([math.comb(players - 1, size) * players for size in range(players)], np.float64)
    found: Floats = np.where(subsets, 1.0, -1.0) / orders[others]
    return found
