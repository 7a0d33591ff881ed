"""Whether pictures look like those of the clip that was labelled last.

A picture is a grid of mean brightness. It is fitted to the reference by a gain and an offset, which take the slow
change of daylight and exposure, but not a light that goes out or a covered lens. What then remains in a cell is
compared with the noise of that cell, learnt while nothing moves: textures jitter more than walls do. A few cells that
change in almost every clip (a clock in the picture, a blinking lamp) are left out.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.arrays import Array
from stages.decode.live.luma import cells

ROWS, COLUMNS = 36, 64
SIGMAS = 10.0
"""A cell that deviates by more has changed. Quiet ones of real scenes stay below 6, small movers exceed 20."""
NOISE_LEAST = 0.3
"""Levels: what rounding and the codec leave of a noiseless picture."""
NOISE_RATIO = 3.0
"""No cell is so much noisier than the middle one: what was learnt in one that had a mover would hide the next."""
COARSE_LEVELS = 4.0
"""The least that changes a cell until noise is learnt."""
MOST_LEVELS = 12.0
"""What deviates by more has changed, whatever was taken for noise: another picture is no noise."""
LEARNT_CLIPS = 2
KEPT_CLIPS = 12
RESTLESS_SHARE, RESTLESS_MOST = 0.8, 0.05
"""A cell that changed in so many of the last clips is left out with its neighbours; at most so much of a picture is."""
RESTLESS_CLIPS = 8
GAINS = (0.8, 1.25)
SHIFT = 20.0
"""Largest change of the mean, in levels, that passes for daylight."""
MOVING_SHARE = 0.25
"""Of the cells: more than a gain, an offset and what is restless explain."""
KEPT_CELLS = 0.8
"""Share of the cells to which gain and offset are fitted: those that deviate least."""


@dataclass(frozen=True)
class Reference:
    """A clip that was labelled, to compare later ones with."""

    grid: Array | None
    """float32 "rows columns"; None without pictures."""
    is_steady: bool
    """Its pictures are all alike: what was said of them can be said of one that looks so."""
    place: int
    """Number of it among those that are remembered."""
    answered_s: float
    is_quiet: bool
    """It sounds like the quiet."""

    @property
    def may_hold(self) -> bool:
        """Whether what was said of it may be said of others."""
        return self.is_steady and self.is_quiet


@dataclass(frozen=True)
class Look:
    """The pictures of a clip beside the reference."""

    grids: Array
    """float32 "N rows columns"."""
    changed: Array
    """bool "rows columns": cells that differ in any picture."""
    variance: Array
    """float32 "rows columns": mean square of what remains."""
    is_still: bool
    """Nothing has changed, as far as is known."""
    agrees: bool
    """Nothing has changed, and the noise is known."""
    like: Reference | None = None
    """What it was compared with: the newest reference, or an older one that it looks like."""


class StillPictures:
    """The references, and the noise of each cell. `remembered`: how many, beside the newest."""

    def __init__(self, remembered: int = 0) -> None:
        self.references: list[Reference] = []
        """The newest first."""
        self._remembered = remembered
        self._variances: deque[Array] = deque(maxlen=KEPT_CLIPS)
        self._changes: deque[Array] = deque(maxlen=KEPT_CLIPS)

    @property
    def are_known(self) -> bool:
        """Whether there has been a picture."""
        return self._reference is not None

    @property
    def _reference(self) -> Array | None:
        return self.references[0].grid if self.references else None

    def look(self, lumas: Sequence[Array]) -> Look:
        """Compare pictures, uint8 "h w", with the newest reference, and if they differ, with older ones."""
        if len(lumas) > 2 and (ends := _moving_ends(lumas)) is not None:
            everything = np.ones(ends.shape[1:], bool)
            return Look(ends, everything, np.zeros(everything.shape, np.float32), False, False)
        grids = _grids(lumas)
        newest = self._beside(grids, self.references[0] if self.references else None)
        if newest.agrees or not lumas:
            return newest
        for reference in self.references[1:]:
            if self._beside(grids[:1], reference).is_still and (look := self._beside(grids, reference)).is_still:
                return look
        return newest

    def _beside(self, grids: Array, like: Reference | None) -> Look:
        reference = like.grid if like is not None else None
        if reference is None or reference.shape != grids.shape[1:]:
            everything = np.ones(grids.shape[1:], bool)
            is_nothing = reference is None and not len(grids)
            return Look(grids, everything, np.zeros(grids.shape[1:], np.float32), is_nothing, is_nothing, like)
        assert like is not None
        rest, is_daylight = residuals(grids, reference)
        changed: Array = np.any(np.abs(rest) > self._limit(rest), axis=0)
        if not is_daylight:
            changed[:] = True
        is_still = not bool((changed & ~self._restless(reference.shape)).any())
        variance: Array = np.square(rest).mean(axis=0)
        return Look(grids, changed, variance, is_still, is_still and like.is_steady and self._is_learnt, like)

    def add(self, look: Look) -> None:
        """Learn from the pictures of a clip that was decoded in full."""
        if self._reference is None or self._reference.shape != look.changed.shape:
            self._variances.clear()
            self._changes.clear()
        elif len(look.grids):
            self._changes.append(look.changed)
            if look.is_still:
                self._variances.append(look.variance)

    def add_unchanged(self) -> None:
        """Count a clip that was not decoded in full, as nothing had changed."""
        if self._reference is not None:
            self._changes.append(np.zeros(self._reference.shape, bool))

    def refer_to(self, look: Look, answered_s: float, is_quiet: bool) -> Reference:
        """Compare with these pictures from now on: they are labelled."""
        grid: Array | None = np.median(look.grids, axis=0) if len(look.grids) else None
        is_steady = grid is None or self._is_alike(look.grids, grid)
        older = [each for each in self.references if each.is_steady and not (look.is_still and each is look.like)]
        older = older[: self._remembered]
        place = min(set(range(self._remembered + 1)) - {each.place for each in older})
        made = Reference(grid, is_steady, place, answered_s, is_quiet)
        self.references = [made, *older]
        return made

    @property
    def _is_learnt(self) -> bool:
        return len(self._variances) >= LEARNT_CLIPS

    def _is_alike(self, grids: Array, reference: Array) -> bool:
        """Whether no picture of a reference differs from it."""
        rest, is_daylight = residuals(grids, reference)
        changed: Array = np.any(np.abs(rest) > self._limit(rest), axis=0)
        return is_daylight and not bool((changed & ~self._restless(reference.shape)).any())

    def _limit(self, rest: Array) -> Array:
        """Levels beyond which a cell has changed, for residuals "N rows columns"."""
        if not self._is_learnt:
            usual = 1.4826 * np.median(np.abs(rest), axis=(1, 2), keepdims=True)
            coarse: Array = np.clip(SIGMAS * usual, COARSE_LEVELS, MOST_LEVELS)
            return coarse
        noise = np.maximum(np.sqrt(np.mean(self._variances, axis=0)), NOISE_LEAST)
        limit: Array = np.minimum(SIGMAS * np.minimum(noise, NOISE_RATIO * np.median(noise)), MOST_LEVELS)
        return limit

    def _restless(self, shape: tuple[int, ...]) -> Array:
        """bool "rows columns": the cells that are left out."""
        if len(self._changes) < RESTLESS_CLIPS or self._changes[-1].shape != shape:
            return np.zeros(shape, bool)
        restless = with_neighbours(np.mean(self._changes, axis=0) >= RESTLESS_SHARE)
        return restless if restless.mean() <= RESTLESS_MOST else np.zeros_like(restless)


def residuals(grids: Array, reference: Array) -> tuple[Array, bool]:
    """What remains of grids "N rows columns" after a gain and an offset each, and whether these may be daylight."""
    y, x = grids.reshape(len(grids), -1), reference.ravel()[None]
    kept = np.ones(y.shape, np.float32)
    rank = int(KEPT_CELLS * (x.size - 1))
    for _ in range(3):
        count = kept.sum(axis=1, keepdims=True)
        mean_x, mean_y = (kept * x).sum(axis=1, keepdims=True) / count, (kept * y).sum(axis=1, keepdims=True) / count
        moved_x, moved_y = x - mean_x, y - mean_y
        spread = (kept * moved_x * moved_x).sum(axis=1, keepdims=True)
        both = (kept * moved_x * moved_y).sum(axis=1, keepdims=True)
        gain = np.where(spread > count, both / np.maximum(spread, 1.0), 1.0)
        rest = moved_y - gain * moved_x
        size = np.abs(rest)
        kept = (size <= np.partition(size, rank, axis=1)[:, rank : rank + 1]).astype(np.float32)
    is_daylight = ((gain >= GAINS[0]) & (gain <= GAINS[1]) & (np.abs(mean_y - mean_x) <= SHIFT)).all()
    return rest.reshape(grids.shape), bool(is_daylight)


def with_neighbours(marked: Array) -> Array:
    """bool "rows columns": marked cells, and those that touch them."""
    framed = np.pad(marked, 1)
    rows = framed[:-2] | framed[1:-1] | framed[2:]
    near: Array = rows[:, :-2] | rows[:, 1:-1] | rows[:, 2:]
    return near


def _moving_ends(lumas: Sequence[Array]) -> Array | None:
    """The grids of the first and the last picture, "2 rows columns", if they differ in so much that no reference can
    look like both; else None. A clip in which all moves is judged by these alone, as that costs little."""
    ends = _grids([lumas[0], lumas[-1]])
    if len(ends) < 2 or (np.abs(ends[0] - ends[1]) > 2 * MOST_LEVELS).mean() < MOVING_SHARE:
        return None
    return ends


def _grids(lumas: Sequence[Array]) -> Array:
    """float32 "N rows columns"."""
    grids = [cells(each, ROWS, COLUMNS) for each in lumas]
    if len({grid.shape for grid in grids}) > 1:  # the camera has changed its picture in mid clip
        grids = grids[-1:]
    return np.stack(grids) if grids else np.empty((0, 0, 0), np.float32)
