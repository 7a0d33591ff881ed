"""Sections of several tracks take turns."""

import numpy as np
import pytest

from stages.decode.relay import whose_turn

LOUD, QUIET = 0.1, 10 ** (-76 / 20)
"""QUIET is 76 dB below full scale."""


@pytest.mark.parametrize(
    ("levels", "turn"),
    [
        ((LOUD, LOUD), 0),
        ((QUIET, LOUD), 1),
        ((QUIET, QUIET, LOUD), 2),
        ((QUIET, LOUD, 9 * LOUD), 1),
        ((QUIET, QUIET), 0),
        ((None, QUIET), 1),
        ((None, QUIET, LOUD), 2),
        ((None, None), 0),
    ],
)
def test_the_first_track_that_is_not_silent_has_its_turn(levels: tuple[float | None, ...], turn: int) -> None:
    samples = np.array([[np.full(100, level or 0.0)] for level in levels], np.float32)
    mask = np.array([[np.full(100, level is not None)] for level in levels], np.uint8)
    assert whose_turn(samples, mask).tolist() == [turn]


def test_a_short_sound_counts_by_its_own_length() -> None:
    samples, mask = np.zeros((2, 1, 1000), np.float32), np.ones((2, 1, 1000), np.uint8)
    samples[0, 0, :1] = mask[0, 0, 1:] = 0
    samples[0, 0, 0] = 0.001
    assert whose_turn(samples, mask).tolist() == [0]


def test_each_section_has_its_own_turn() -> None:
    samples = np.zeros((2, 3, 50), np.float32)
    samples[0, 0] = samples[1] = LOUD
    assert whose_turn(samples, np.ones((2, 3, 50), np.uint8)).tolist() == [0, 1, 1]
