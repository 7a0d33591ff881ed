"""A label beside other words, so that a map can be told from the maps of other words."""

from dataclasses import replace

import numpy as np

from stages.words.label_side import LabelSide
from stages.words.scoring import competing

OTHERS = 8
"""Words of the background vocabulary that a map is compared with."""
ANOTHER_MEANING = 0.999
"""How far such a word competes with the label at least."""


def contrasted(side: LabelSide, row: int, others: int = OTHERS) -> LabelSide:
    """The label in row `row` alone, the first of the result, with so many words of the background: evenly spaced ones
    of another meaning."""
    label = side.synonyms(row)
    able = np.flatnonzero(side.kept[row] >= ANOTHER_MEANING)
    chosen = able[np.linspace(0, len(able) - 1, min(others, len(able))).astype(int)] if len(able) else able
    words = side.background[chosen]
    kept = (
        np.concatenate([side.kept[row][None], competing(words, side.background)])
        if len(chosen)
        else side.kept[row][None]
    )
    starts = np.array([0, *(len(label) + np.arange(len(chosen)))])
    return replace(side, labels=np.concatenate([label, words]), kept=kept, starts=starts, known=None)
