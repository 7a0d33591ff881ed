"""Where percept-mini's motion tower sees a kind of motion: integrated gradients from a still scene.

Sundararajan et al. 2017, arXiv 1703.01365, equation 1: the log-odds of a word, less those of a still scene, are shared
out over the pixels of the flow pictures, exactly but for the steps of the sum.
"""

from pathlib import Path
from typing import Any

import numpy as np

from engines.models.model import TowerSpec
from engines.models.network import network
from pipeline.arrays import Array
from stages.words.label_side import LabelSide

NETWORK = "concept_motion"
STEPS = 24
CELLS = 14
"""Of a side: the fields are summed over squares of 4 x 4 pixels."""


class Moving:
    """The motion tower, with its log-odds as a function that can be differentiated."""

    def __init__(self, tower: TowerSpec) -> None:
        self._tower = tower
        self._network: Any = None

    def open(self) -> None:
        self._network = network(NETWORK).load(Path(self._tower.directory)).requires_grad_(False)

    def fields(self, pictures: Array, side: LabelSide) -> Array:
        """What each place adds to the log-odds of each word: flow pictures "1 T 3 S S" -> "W T 14 14"."""
        import torch

        given = torch.from_numpy(np.ascontiguousarray(pictures))
        still = torch.zeros_like(given)
        still[:, :, 2] = -1.0  # a speed of 0
        steps = (torch.arange(STEPS, dtype=torch.float32) + 0.5) / STEPS
        found = []
        path = (still + steps[:, None, None, None, None] * (given - still)).requires_grad_(True)
        with torch.enable_grad():
            odds = log_odds(self._network(path), side)
            for word in range(odds.shape[1]):
                (slope,) = torch.autograd.grad(odds[:, word].sum(), path, retain_graph=True)
                found.append(((given - still)[0] * slope.mean(0)).sum(1).numpy())
        fields = np.stack(found).astype(np.float64)
        side_px = fields.shape[-1] // CELLS
        cells: Array = fields.reshape(*fields.shape[:2], CELLS, side_px, CELLS, side_px).sum(axis=(3, 5))
        return cells


def log_odds(tokens: Any, side: LabelSide) -> Any:
    """`stages.words.scoring.log_odds` as torch computes it: tokens "N D" -> "N C". A word has its first name alone."""
    import torch

    starts = side.starts if side.starts is not None else np.arange(len(side.labels))
    labels, background, kept = (
        torch.from_numpy(np.asarray(each, np.float32)) for each in (side.labels[starts], side.background, side.kept)
    )
    embedding = torch.nn.functional.normalize(tokens, dim=-1)
    rivals = (embedding @ background.T / side.temperature)[:, None] + kept.clamp(min=1e-12).log()
    return embedding @ labels.T / side.temperature - rivals.logsumexp(-1) + side.bias
