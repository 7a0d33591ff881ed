"""Scores, AUROC and threshold for clips that no label fits."""

from collections.abc import Mapping, Sequence

import numpy as np

from pipeline.arrays import Array
from stages.words.label_side import LabelSide
from stages.words.open_set import OpenSetScore, SourceClips, usual
from training.calibrate.units import Units


def auroc(scores: Array, unknown: Array) -> float:
    """How often an unknown clip scores above a known one, ties counting half; nan if there are not both kinds."""
    high, low = np.asarray(scores)[unknown], np.sort(np.asarray(scores)[~unknown])
    if not len(high) or not len(low):
        return float("nan")
    below, not_above = np.searchsorted(low, high, "left"), np.searchsorted(low, high, "right")
    return float((below + not_above).mean() / (2 * len(low)))


class Judge:
    """Scores clips against any subset of the labels, relative to these labels' scores on clips of the source."""

    def __init__(
        self, units: Units, source: SourceClips, sides: Mapping[str, LabelSide], head_share: Array | None = None
    ) -> None:
        """head_share: that of the fusion head in each label's score, "C"; None without a head."""
        used = {name: side for name, side in sides.items() if name in units.clips.embeddings}
        odds, fused = units.clips.odds(used), units.clips.odds_with_head(used, head_share)
        weights = {name: units.clips.weights(name, side) for name, side in used.items()}
        self._clips = [
            (
                {name: odds[name][row] for name in names},
                {name: weights[name][row] for name in names},
                {name: fused[name][row] for name in names} if units.clips.is_fused[row] else None,
            )
            for row in range(len(units))
            if (names := units.present(row, used))
        ]
        self._source = source.evidence(used, head_share)

    def scores(self, labels: Sequence[int] | Array) -> Array:
        """The score of every clip against these labels only: "N". Higher means less like them."""
        columns = np.asarray(labels, np.int64)
        judge = OpenSetScore(0.0, {name: usual(found[:, columns]) for name, found in self._source.items()})
        return np.array(
            [
                judge.judge(_of(odds, columns), weights, None if fused is None else _of(fused, columns))["score"]
                for odds, weights, fused in self._clips
            ]
        )


def _of(odds: Mapping[str, Array], labels: Array) -> dict[str, Array]:
    return {name: of[labels] for name, of in odds.items()}


def threshold_for(scores: Array, false_alarms: float) -> float:
    """The threshold that at most this share of known clips exceeds."""
    return float(np.quantile(scores, 1.0 - false_alarms, method="higher"))


def mean_auroc(scores: Mapping[int, Array], right: Array, rows: Array) -> float:
    """Mean AUROC over labels left out in turn. scores: of all clips, by left-out label. rows: the clips to use."""
    each = [auroc(of[rows], right[rows] == label) for label, of in scores.items()]
    known = [value for value in each if not np.isnan(value)]
    return float(np.mean(known)) if known else float("nan")
