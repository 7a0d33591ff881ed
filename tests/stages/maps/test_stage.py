"""Regions: where the probable labels of a clip are, in pixels of the source, and who pays for them."""

from typing import Any

import numpy as np
import pytest

from pipeline.build import make_plan
from pipeline.clip import Clip, ClipInfo
from pipeline.config import make_config
from pipeline.errors import ConfigError
from pipeline.stage import Budget, Resources, RunSettings
from stages.maps.stage import RegionOptions, RegionStage
from stages.words.label_side import LabelSide
from stages.words.labels import LABELS_FILE, LabelSet
from tests.stages.maps.test_word_map import VECTORS, Tower, halves


@pytest.fixture
def stage(tmp_path: Any) -> RegionStage:
    """A stage whose tower knows red, green and blue; "ruby" is another name of red."""
    vectors = VECTORS[[0, 1, 2, 0]]
    side = LabelSide(vectors, VECTORS[3:6], np.ones((4, 3), np.float32), 0.1, -2.0)
    LabelSet(("red", "green", "blue", "ruby"), {"image": side}).save(tmp_path / LABELS_FILE)
    stage = RegionStage(RegionOptions(), RunSettings(directory=str(tmp_path)), Budget())
    stage.__dict__["_tower"] = Tower()
    stage._tower.open = lambda: None
    stage.open(Resources())
    return stage


def told(stage: RegionStage, **probabilities: float) -> list[Any]:
    """Regions of a clip whose middle picture is red on the left, green on the right, in a source twice as large."""
    frames = np.stack([np.zeros((64, 64, 3), np.uint8), halves(64, 64), np.zeros((64, 64, 3), np.uint8)])
    labels = [{"label": name, "probability": value, "share": 0.0} for name, value in probabilities.items()]
    arrays = {"frames": frames, "frame_times_ns": 500_000_000 * np.arange(3), "labels": labels}
    found: list[Any] = stage.process(Clip(ClipInfo("a", 0, 0, 0, 2_000_000_000, width=128, height=128), arrays))[
        "regions"
    ]
    return found


def test_a_region_is_where_the_label_is_in_pixels_of_the_source(stage: RegionStage) -> None:
    green, ruby, red = told(stage, green=0.9, ruby=0.8, red=0.7)
    assert [each.label for each in (green, ruby, red)] == ["green", "ruby", "red"]
    assert green.time_s == 0.5
    assert green.box == pytest.approx((64, 0, 128, 128), abs=16)
    assert red.box == pytest.approx((0, 0, 64, 128), abs=16)
    assert (ruby.box, ruby.area) == (red.box, red.area), "names of one thing share their place"
    assert green.area == pytest.approx(0.5, abs=0.1)
    assert green.peak > 0.9


def test_what_is_not_in_the_picture_or_not_probable_has_no_region(stage: RegionStage) -> None:
    assert [each.label for each in told(stage, blue=0.9, red=0.6, green=0.4)] == ["red"]
    assert told(stage, unheard=0.9) == []
    assert told(stage, green=0.1) == []


def test_nobody_pays_for_regions_unless_they_are_asked_for() -> None:
    def stages(**tree: Any) -> list[str]:
        return [name for group in make_plan(make_config(tree)).groups for name in group.stages]

    assert "regions" not in stages()
    assert "regions" in stages(stages={"regions": {"most": 3}})
    with pytest.raises(ConfigError, match="regions: labels are looked for in pictures; expected image among"):
        stages(stages={"regions": {}}, modalities=["audio"])
    with pytest.raises(ConfigError, match=r"regions\.most is 0; expected at least 1"):
        stages(stages={"regions": {"most": 0}})
