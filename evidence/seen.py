"""Where a picture tower sees a word in the pictures of a clip that it reads."""

import numpy as np

from engines.models.model import TowerSpec
from engines.models.patch_tower import PatchTower
from pipeline.arrays import Array
from pipeline.clip import Clip
from stages.maps.word_map import cell_odds, propagated
from stages.tower_inputs import seconds_of, tower_input, tower_rows
from stages.words.label_side import LabelSide


def seen_fields(clip: Clip, tower: PatchTower, side: LabelSide) -> Array:
    """Log-odds of each word of `side` in each cell of each picture: "W T r c"."""
    pictures = tower_input(tower.tower, clip)
    patches = tower.engine.run({"pictures": pictures})["patches"].astype(np.float32)
    fields: Array = cell_odds(np.stack([propagated(each) for each in patches]), side, tower.grid).swapaxes(0, 1)
    return fields


def seen_rows(clip: Clip, tower: TowerSpec) -> Array:
    """The frames of the clip that the tower reads, int64 "T"."""
    rows = tower_rows(tower, clip["frames"], seconds_of(clip))
    assert rows is not None
    return rows


def seen_window(height: int, width: int, tower: TowerSpec) -> tuple[slice, slice]:
    """Rows and columns of a frame that the tower sees: it reads squares, by default the one in the middle."""
    if tower.fit != "crop":
        return slice(0, height), slice(0, width)
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return slice(top, top + side), slice(left, left + side)
