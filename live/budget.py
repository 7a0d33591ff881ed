"""Thresholds from a camera's own past: each label may give so many events a day in it.

For each label, events are counted as they would be at each of `LEVELS` thresholds, with their hysteresis and hold time.
Of the thresholds that would have kept the budget, the lowest is taken: with c events in T days at a threshold,
(c + 1) / T is its rate. (So it is with the thresholds of `percept calibrate`: if c of n clips are above one, further
clips are so with a probability of at most (c + 1) / (n + 1) where the future is like the past; split conformal
prediction, Papadopoulos et al. 2002.) Nothing is known of what the past shows: real events count against the budget.

* There is enough past after a day with results, or after the time in which the budget allows one event, if that is
  longer.
* Before, but after ten minutes, and with `FEW` events: the peaks of events above a level are taken to have an
  exponential tail in log-odds (the peaks over threshold of Pickands 1975, with shape 0). Its mean is set two standard
  errors higher, and twice the rate is assumed. The result is never below the camera's threshold. On the first day, what
  is rare and loud is not known yet, and there may be more events than the budget allows.
* Until then: the camera's threshold.

The past fades, by half in seven days or in the time of ten events. So thresholds follow slow changes, late.
"""

import math
from collections.abc import Mapping
from typing import Literal

import msgspec
import numpy as np

from pipeline.arrays import Array
from pipeline.status import LEAVE_SHARE

DAY_S, LEAST_S = 86_400.0, 600.0
LOWEST, HIGHEST = 0.2, 0.9999
LEVELS = 64
NEVER = 2.0
"""No probability reaches it: no threshold keeps the budget."""
FEW = 10
"""Events from which a tail is estimated."""
HALF_LIFE_DAYS = 7.0
SAFETY = 2.0
EVERY_S = 600.0
"""Thresholds are set anew so often."""
LOG_ODDS = np.linspace(math.log(LOWEST / (1 - LOWEST)), math.log(HIGHEST / (1 - HIGHEST)), LEVELS)
THRESHOLDS: Array = 1 / (1 + np.exp(-LOG_ODDS))
STEP = float(LOG_ODDS[1] - LOG_ODDS[0])

Basis = Literal["past", "estimate", "camera", "label"]


class Threshold(msgspec.Struct, frozen=True):
    """A label's threshold, and what it rests on."""

    value: float
    basis: Basis
    """past: enough of it. estimate: little of it. camera: the camera's threshold. label: the label's own."""


class _Past(msgspec.Struct):
    """What a budget has learned. Arrays are "N L", packed: N labels, L levels."""

    labels: list[str]
    days: list[float]
    """With results, of each label; faded like the counts."""
    counts: bytes
    away_s: bytes
    lasting: bytes


class Budget:
    """The thresholds of labels that have none of their own. hold_s: by label."""

    def __init__(self, per_day: float, fixed: float, hold_s: Mapping[str, float]) -> None:
        self.per_day, self.fixed = per_day, fixed
        self.labels = list(hold_s)
        self.days: Array = np.zeros(len(self.labels))
        """Of past with results, by label; it fades like the counts."""
        shape = len(self.labels), LEVELS
        self._hold_s: Array = np.array(list(hold_s.values()), np.float32).reshape(-1, 1)
        self._counts: Array = np.zeros(shape, np.float32)
        self._away_s: Array = np.full(shape, np.inf, np.float32)
        self._lasting: Array = np.zeros(shape, bool)
        self._since_s = math.inf
        self._thresholds: dict[str, Threshold] = {}

    def add(self, probabilities: Mapping[str, float], seconds: float) -> None:
        """Count the next result; a label that is not in it is improbable."""
        found: Array = np.array([probabilities.get(label, 0.0) for label in self.labels]).reshape(-1, 1)
        probable = found >= np.where(self._lasting, LEAVE_SHARE * THRESHOLDS, THRESHOLDS)
        self._fade(seconds)
        over = np.where(self._hold_s > 0, self._away_s > self._hold_s + 1e-3, self._away_s > 0)
        self._counts += probable & over
        self._away_s = np.where(probable, np.float32(0), self._away_s + np.float32(seconds))
        self._lasting = probable
        self._since_s += seconds

    def interrupt(self, seconds: float = math.inf) -> None:
        """Nothing is probable for so long: a gap, or too long without a result."""
        self._lasting = np.zeros_like(self._lasting)
        self._away_s = self._away_s + np.float32(seconds)

    def threshold(self, label: str) -> Threshold:
        if self._since_s >= EVERY_S:
            self._since_s = 0.0
            self._thresholds = {name: self._find(row) for row, name in enumerate(self.labels)}
        return self._thresholds[label]

    @property
    def days_needed(self) -> float:
        """After so much past, thresholds rest on it alone."""
        return max(1.0, 1.0 / self.per_day)

    def _fade(self, seconds: float) -> None:
        days = seconds / DAY_S
        kept = 0.5 ** (days / max(HALF_LIFE_DAYS, 10.0 / self.per_day))
        self.days = self.days * kept + days
        self._counts *= np.float32(kept)

    def _find(self, row: int) -> Threshold:
        counts = np.maximum.accumulate(self._counts[row][::-1])[::-1]  # a higher one may split an event in two
        days = float(self.days[row])
        if days >= 0.999 * self.days_needed:
            kept = np.flatnonzero((counts + 1) / days <= self.per_day * 1.001)
            return Threshold(float(THRESHOLDS[kept[0]]) if len(kept) else NEVER, "past")
        if days * DAY_S < LEAST_S * 0.99 or counts[0] < FEW:
            return Threshold(self.fixed, "camera")
        return Threshold(max(self.fixed, self._estimated(counts, days)), "estimate")

    def _estimated(self, counts: Array, days: float) -> float:
        """The threshold at which a tail that begins at the highest level with `FEW` events keeps the budget."""
        start = int(np.flatnonzero(counts >= FEW)[-1])
        count = float(counts[start])
        mean = STEP * (float(counts[start + 1 :].sum()) / count + 0.5)
        mean *= 1 + 2 / math.sqrt(count)
        excess = mean * max(0.0, math.log(SAFETY * count / days / self.per_day))
        return 1 / (1 + math.exp(-(float(LOG_ODDS[start]) + excess)))

    # -- across processes

    def pack(self) -> bytes:
        """What was learned; about 550 bytes a label."""
        past = _Past(
            self.labels,
            self.days.tolist(),
            self._counts.tobytes(),
            self._away_s.tobytes(),
            np.packbits(self._lasting, axis=1).tobytes(),
        )
        return msgspec.msgpack.encode(past)

    def learn(self, packed: bytes) -> None:
        """Take over what another one has learned of the same labels; others begin with nothing.

        Raises:
            msgspec.DecodeError, ValueError: it is no such past.
        """
        past = msgspec.msgpack.decode(packed, type=_Past)
        shape = len(past.labels), LEVELS
        counts = np.frombuffer(past.counts, np.float32).reshape(shape)
        away_s = np.frombuffer(past.away_s, np.float32).reshape(shape)
        lasting = np.unpackbits(np.frombuffer(past.lasting, np.uint8).reshape(shape[0], -1), axis=1, count=LEVELS)
        rows = {label: row for row, label in enumerate(past.labels)}
        for row, label in enumerate(self.labels):
            if label in rows:
                self._counts[row], self._away_s[row] = counts[rows[label]], away_s[rows[label]]
                self._lasting[row] = lasting[rows[label]].astype(bool)
                self.days[row] = past.days[rows[label]]
        self._since_s = math.inf
