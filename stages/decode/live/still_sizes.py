"""Whether the sizes of predicted pictures show that nobody has walked in between two key frames.

Whoever moves makes predicted pictures larger, by about the share of the picture that moves times the size of a key
frame. A still scene has sizes too: noise of the sensor, and rate control, which undoes what it can. Sums over windows
are compared with the largest of the quiet clips before. If a mover of `LEAST_MOVER` of the picture would not stand out,
the sizes say nothing, and do not agree.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.arrays import Array

LEAST_MOVER = 0.003
"""Share of the picture: a person at a distance, 40 of 360 lines high."""
MARGIN = 1.3
"""How far above the largest sum of quiet clips a change begins."""
REPAIRED = 2
"""In so many quiet clips, after somebody has walked by, an encoder may still repair what he has hidden."""
LEARNT_CLIPS, KEPT_CLIPS = 4, 12
WINDOWS = (1, 2, 4, 6, 8, 12, 16)
SHORT = 5
"""A mover may be there for a fifth of a clip."""
ENOUGH_PICTURES = 6
"""Who decodes so many pictures of a clip, or all, need not look at sizes."""
FEWEST_PLACES = 4
"""So many quiet pictures just as long after a key frame tell what is usual there."""
FEWEST = 0.8
"""Share of the usual number of pictures; a clip with fewer has lost some."""


@dataclass(frozen=True)
class PacketFacts:
    """What is known of an encoded picture before it is decoded."""

    size: int
    is_key: bool
    depth: int = 0
    """0: shown after all that were decoded before; else how many have been decoded since such a one, at most
    `DEEPEST`."""


DEEPEST = 2


@dataclass(frozen=True)
class _Sizes:
    """Predicted pictures of a clip: bytes float64 "N", how many pictures after the key frame each is, int "N", and
    its kind, int "N": pictures of one depth, in one octave after the key frame."""

    bytes: Array
    places: Array
    kinds: Array


class StillSizes:
    """Sizes of quiet clips."""

    def __init__(self) -> None:
        self._quiet: deque[_Sizes] = deque(maxlen=KEPT_CLIPS)
        self._keys: deque[int] = deque(maxlen=KEPT_CLIPS)
        self._counts: deque[int] = deque(maxlen=KEPT_CLIPS)
        self._since_key = 0
        self._still = REPAIRED
        """Quiet clips in a row."""
        self._known: tuple[_Usual, Array] | None = None
        """See `_learnt`."""

    def agree(self, packets: Sequence[PacketFacts], decoded: int) -> bool:
        """Whether nothing has moved between those pictures that were decoded, which are so many."""
        if is_enough(packets, decoded):
            return True
        clip = self._of(packets)
        if not clip.bytes.size:
            return False
        if len(self._quiet) < LEARNT_CLIPS or len(packets) < FEWEST * float(np.median(self._counts)):
            return False
        norm, quiet = self._learnt()
        return self._would_show(quiet, len(packets)) and bool((_sums(clip, norm) <= quiet).all())

    @property
    def tell(self) -> bool:
        """Whether sizes can show a mover at all, so that key frames are worth decoding."""
        if len(self._quiet) < LEARNT_CLIPS:
            return False
        if not any(each.bytes.size for each in self._quiet):
            return True
        return self._would_show(self._learnt()[1], int(np.median(self._counts)))

    def add(self, packets: Sequence[PacketFacts], is_still: bool) -> None:
        """Learn from a clip; each is told once."""
        self._still = self._still + 1 if is_still else 0
        if is_still and packets and (self._still > REPAIRED or len(self._quiet) < LEARNT_CLIPS):
            self._known = None
            self._quiet.append(self._of(packets))
            self._counts.append(len(packets))
        self._keys.extend(each.size for each in packets if each.is_key)
        for each in packets:
            self._since_key = 0 if each.is_key else self._since_key + 1

    def _learnt(self) -> tuple["_Usual", Array]:
        """The usual sizes; and float64 "W": beyond these, a sum over a window shows a change."""
        if self._known is None:
            norm = _Usual(
                *(
                    np.concatenate([getattr(each, name) for each in self._quiet])
                    for name in ("bytes", "places", "kinds")
                )
            )
            self._known = norm, np.max([_sums(each, norm) for each in self._quiet], axis=0) * MARGIN + 1
        return self._known

    def _would_show(self, quiet: Array, count: int) -> bool:
        mover = LEAST_MOVER * float(np.median(self._keys)) if self._keys else 0.0
        return any(
            mover * window**0.5 > limit
            for window, limit in zip(WINDOWS, quiet, strict=True)
            if window <= max(1, count // SHORT)
        )

    def _of(self, packets: Sequence[PacketFacts]) -> _Sizes:
        sizes, places, kinds, since = [], [], [], self._since_key
        for each in packets:
            since = 0 if each.is_key else since + 1
            if not each.is_key:
                sizes.append(each.size)
                places.append(since)
                kinds.append((since - 1).bit_length() * (DEEPEST + 1) + each.depth)
        return _Sizes(np.array(sizes, np.float64), np.array(places, int), np.array(kinds, int))


class _Usual:
    """The usual sizes, of what is "N" each as in `_Sizes`: they differ just after a key frame, and by depth."""

    def __init__(self, sizes: Array, places: Array, kinds: Array) -> None:
        self._of_all = float(np.median(sizes))
        self._of_kinds = _medians(sizes, kinds, 1)
        self._of_places = _medians(sizes, places, FEWEST_PLACES)

    def of(self, clip: _Sizes) -> Array:
        """float64 "N"."""
        kinds = [self._of_kinds.get(kind, self._of_all) for kind in clip.kinds.tolist()]
        pairs = zip(clip.places.tolist(), kinds, strict=True)
        return np.array([self._of_places.get(place, kind) for place, kind in pairs], np.float64)


def _medians(sizes: Array, names: Array, fewest: int) -> dict[int, float]:
    """The median of the sizes with each name that so many have."""
    order = np.lexsort((sizes, names))
    found, starts, counts = np.unique(names[order], return_index=True, return_counts=True)
    middles = sizes[order][starts + counts // 2]
    there = counts >= fewest
    return dict(zip(found[there].tolist(), middles[there].tolist(), strict=True))


def is_enough(packets: Sequence[PacketFacts], decoded: int) -> bool:
    """Whether so many pictures of a clip tell all about it."""
    return decoded >= min(len(packets), ENOUGH_PICTURES)


def _sums(clip: _Sizes, norm: _Usual) -> Array:
    """float64 "W": the largest deviation of a sum over each window, for noise that is independent: over its root."""
    steps = np.concatenate([[0.0], np.cumsum(clip.bytes - norm.of(clip))])
    sums = [np.abs(steps[window:] - steps[:-window]).max() if steps.size > window else 0.0 for window in WINDOWS]
    return np.array(sums) / np.sqrt(WINDOWS)
