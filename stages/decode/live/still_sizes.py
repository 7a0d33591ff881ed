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
LEARNT_CLIPS, KEPT_CLIPS = 4, 12
WINDOWS = (1, 2, 4, 8, 16)
SHORT = 5
"""A mover may be there for a fifth of a clip."""
ENOUGH_PICTURES = 6
"""Who decodes so many pictures of a clip, or all, need not look at sizes."""
FEWEST = 0.8
"""Share of the usual number of pictures; a clip with fewer has lost some."""


@dataclass(frozen=True)
class PacketFacts:
    """What is known of an encoded picture before it is decoded."""

    size: int
    is_key: bool


@dataclass(frozen=True)
class _Sizes:
    """Predicted pictures of a clip: bytes float64 "N", and in which octave after the key frame each is, int "N"."""

    bytes: Array
    octaves: Array


class StillSizes:
    """Sizes of quiet clips."""

    def __init__(self) -> None:
        self._quiet: deque[_Sizes] = deque(maxlen=KEPT_CLIPS)
        self._keys: deque[int] = deque(maxlen=KEPT_CLIPS)
        self._counts: deque[int] = deque(maxlen=KEPT_CLIPS)
        self._since_key = 0

    def agree(self, packets: Sequence[PacketFacts], decoded: int) -> bool:
        """Whether nothing has moved between those pictures that were decoded, which are so many."""
        if is_enough(packets, decoded):
            return True
        clip = self._of(packets)
        if not clip.bytes.size:
            return False
        if len(self._quiet) < LEARNT_CLIPS or len(packets) < FEWEST * float(np.median(self._counts)):
            return False
        norm = self._norm()
        quiet = self._quiet_sums(norm)
        return self._would_show(quiet, len(packets)) and bool((_sums(clip, norm) <= quiet).all())

    @property
    def tell(self) -> bool:
        """Whether sizes can show a mover at all, so that key frames are worth decoding."""
        if len(self._quiet) < LEARNT_CLIPS:
            return False
        if not any(each.bytes.size for each in self._quiet):
            return True
        return self._would_show(self._quiet_sums(self._norm()), int(np.median(self._counts)))

    def add(self, packets: Sequence[PacketFacts], is_still: bool) -> None:
        """Learn from a clip; each is told once."""
        if is_still and packets:
            self._quiet.append(self._of(packets))
            self._counts.append(len(packets))
        self._keys.extend(each.size for each in packets if each.is_key)
        for each in packets:
            self._since_key = 0 if each.is_key else self._since_key + 1

    def _quiet_sums(self, norm: Array) -> Array:
        """float64 "W": beyond these, a sum over a window shows a change."""
        quiet: Array = np.max([_sums(each, norm) for each in self._quiet], axis=0) * MARGIN + 1
        return quiet

    def _would_show(self, quiet: Array, count: int) -> bool:
        mover = LEAST_MOVER * float(np.median(self._keys)) if self._keys else 0.0
        return any(
            mover * window**0.5 > limit
            for window, limit in zip(WINDOWS, quiet, strict=True)
            if window <= max(1, count // SHORT)
        )

    def _of(self, packets: Sequence[PacketFacts]) -> _Sizes:
        sizes, octaves, since = [], [], self._since_key
        for each in packets:
            since = 0 if each.is_key else since + 1
            if not each.is_key:
                sizes.append(each.size)
                octaves.append((since - 1).bit_length())
        return _Sizes(np.array(sizes, np.float64), np.array(octaves, int))

    def _norm(self) -> Array:
        """float64 "octave": the usual size, which differs just after a key frame."""
        sizes = np.concatenate([each.bytes for each in self._quiet])
        octaves = np.concatenate([each.octaves for each in self._quiet])
        usual = np.full(64, np.median(sizes))
        for octave in np.unique(octaves):
            usual[octave] = np.median(sizes[octaves == octave])
        return usual


def is_enough(packets: Sequence[PacketFacts], decoded: int) -> bool:
    """Whether so many pictures of a clip tell all about it."""
    return decoded >= min(len(packets), ENOUGH_PICTURES)


def _sums(clip: _Sizes, norm: Array) -> Array:
    """float64 "W": the largest deviation of a sum over each window, for noise that is independent: over its root."""
    steps = np.concatenate([[0.0], np.cumsum(clip.bytes - norm[clip.octaves])])
    return np.array(
        [
            np.abs(steps[window:] - steps[:-window]).max() / window**0.5 if steps.size > window else 0.0
            for window in WINDOWS
        ]
    )
