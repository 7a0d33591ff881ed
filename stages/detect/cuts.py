"""Scene cuts: pairs of frames that the optical flow could not connect."""

import numpy as np

from pipeline.arrays import Array
from pipeline.clip import Clip
from stages.flow import with_previous

DIFFERENT = 4.0
"""Mean difference of two pictures, in grey levels, from which flow that is zero everywhere is a cut. Two pictures that
are the same have such flow as well: a slide, a film with a frame twice."""
GRID = 4


def cut_pairs(clip: Clip) -> Array:
    """bool "P": which pairs of the flow are scene cuts. Pair p ends at frame p + T - P of the clip's T."""
    flow = clip.get("flow")
    if flow is None:
        return np.zeros(0, bool)
    frames = with_previous(clip)[0][-len(flow) - 1 :]
    found: Array = ~flow.any(axis=(1, 2, 3))
    for pair in np.flatnonzero(found).tolist():
        before, after = (frames[index][::GRID, ::GRID].astype(np.int16) for index in (pair, pair + 1))
        found[pair] = np.abs(after - before).mean() > DIFFERENT
    return found
