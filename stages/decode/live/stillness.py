"""Decides whether a clip shows and sounds like the one before, without decoding it in full.

Three witnesses must agree, each with what it knows of the quiet:

* sizes of predicted packets: who moves between two key frames makes them larger;
* key frames: blocks of their luma against the reference, after a common change of brightness is taken off;
* sound: level and spectrum against those of the clips before.

A clip is decoded in full at least every `FULL_EVERY_S`, so that an error cannot last.
"""

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from pipeline.arrays import Array
from stages.decode.live.luma import cells, luma
from stages.decode.live.measures import common_noise

FULL_EVERY_S = 60.0
LEARNT_CLIPS = 3
"""So many quiet clips must have been decoded in full before one is reused."""
KEPT_CLIPS = 12
SIGMAS = 6.0
LEVELS = 1.5
ROWS, COLUMNS = 18, 32
BANDS = 24


@dataclass(frozen=True)
class PacketFacts:
    """What is known of an encoded picture before it is decoded."""

    size: int
    is_key: bool


class Stillness:
    """Remembers the quiet of one camera."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.reset()

    def reset(self) -> None:
        """Forget everything: a new epoch begins, or somebody wants clips to be looked at anew."""
        self._sizes: deque[Array] = deque(maxlen=KEPT_CLIPS)
        self._spectra: deque[Array] = deque(maxlen=KEPT_CLIPS)
        self._reference: Array | None = None
        self._noise = 0.0
        self._quiet = 0
        self._decoded_s = -float("inf")

    def may_reuse(
        self, packets: Sequence[PacketFacts], keys: Sequence[Array], sound: Array | None, rate_hz: int
    ) -> bool:
        """Whether the answers of the clip before hold for this one.

        `packets`: those of its pictures. `keys`: luma uint8 "h w" of its decoded key frames. `sound`: its own samples,
        float32 "S".
        """
        if self._quiet < LEARNT_CLIPS or self._clock() - self._decoded_s >= FULL_EVERY_S:
            return False
        return self._sizes_agree(packets) and self._keys_agree(packets, keys) and self._sound_agrees(sound, rate_hz)

    def decoded(
        self, lumas: Sequence[Array], sound: Array | None, rate_hz: int, packets: Sequence[PacketFacts]
    ) -> None:
        """Learn from a clip that was decoded in full: the new reference. `lumas`: uint8 "h w" of its pictures."""
        self._decoded_s = self._clock()
        grids = [cells(luma(each, 1), ROWS, COLUMNS) for each in lumas]
        is_still = self._learn_pictures(grids)
        spectrum = spectrum_of(sound, rate_hz)
        if spectrum is not None:
            is_still &= not self._spectra or bool(np.abs(spectrum - self._spectra[-1]).max() < 6.0)
            self._spectra.append(spectrum)
        sizes = predicted(packets)
        if is_still:
            self._quiet += 1
            self._sizes.append(sizes)
        else:
            self._quiet = 0
            self._sizes.clear()

    def _learn_pictures(self, grids: Sequence[Array]) -> bool:
        before = self._reference
        if not grids:
            return before is None
        self._reference = grids[-1]
        if before is None or before.shape != grids[0].shape:
            return False
        steps = [second - first for first, second in pairwise(grids)]
        if steps:
            self._noise = float(np.median([common_noise(step) for step in steps]))
        return not any(self._has_moved(grid, before) for grid in grids)

    def _has_moved(self, grid: Array, reference: Array) -> bool:
        difference = grid - reference
        return bool(np.abs(difference - np.median(difference)).max() > max(LEVELS, SIGMAS * self._noise))

    def _sizes_agree(self, packets: Sequence[PacketFacts]) -> bool:
        sizes = predicted(packets)
        if not sizes.size:
            return bool(packets) or self._reference is None
        norm = np.concatenate(self._sizes)
        if not norm.size:
            return False
        middle = np.median(norm)
        spread = 1.4826 * np.median(np.abs(norm - middle)) + 0.02 * middle + 8
        return bool(np.abs(sizes - middle).max() < 5 * spread)

    def _keys_agree(self, packets: Sequence[PacketFacts], keys: Sequence[Array]) -> bool:
        if not packets:
            return self._reference is None
        if not keys or self._reference is None:
            return False
        grids = [cells(luma(each, 1), ROWS, COLUMNS) for each in keys]
        return all(g.shape == self._reference.shape and not self._has_moved(g, self._reference) for g in grids)

    def _sound_agrees(self, sound: Array | None, rate_hz: int) -> bool:
        spectrum = spectrum_of(sound, rate_hz)
        if spectrum is None or not self._spectra:
            return spectrum is None and not self._spectra
        return bool(np.abs(spectrum - np.median(self._spectra, axis=0)).max() < 6.0)


def predicted(packets: Sequence[PacketFacts]) -> Array:
    """float64 "N": sizes of the packets that are no key frames."""
    return np.array([each.size for each in packets if not each.is_key], np.float64)


def spectrum_of(sound: Array | None, rate_hz: int) -> Array | None:
    """float32 "B": level of the loudest moment in each band, in decibels; None without sound."""
    if sound is None or sound.size < 512:
        return None
    frames = np.lib.stride_tricks.sliding_window_view(sound, 512)[::256] * np.hanning(512).astype(np.float32)
    power = np.abs(np.fft.rfft(frames, axis=1)) ** 2
    edges = np.unique(np.geomspace(2, power.shape[1], BANDS + 1).astype(int))
    bands = np.add.reduceat(power[:, : edges[-1]], edges[:-1], axis=1)
    levels: Array = 10 * np.log10(np.mean(bands, axis=0) + 1e-7)
    return levels
