"""Reading: which pictures, which lines, where they are, and a reader as it is."""

from importlib.util import find_spec
from typing import Any

import cv2
import msgspec
import numpy as np
import pytest

from pipeline.build import make_plan, make_stage
from pipeline.clip import Clip, ClipInfo
from pipeline.config import Config, make_config
from pipeline.errors import ConfigError
from pipeline.result import TextLine
from pipeline.stage import Budget, Resources, RunSettings
from stages.text.phrases import phrase_of, read_rows, split_labels
from stages.text.reader import Line, TextReader
from stages.text.readers import READERS, make_reader
from stages.text.stage import TextOptions, TextStage


class FakeReader(TextReader):
    """Reads a line in each picture, named by its brightness, and one that it is not sure of."""

    def missing(self) -> str:
        return ""

    def open(self, threads: int) -> None:
        self.asked: list[int] = []

    def read(self, picture: Any, short_side_px: int) -> list[Line]:
        level = int(picture[0, 0, 0])
        self.asked.append(level)
        same = Line("Stop  sign", 0.6 + level / 1000, (10, 20, 50, 30))
        return [Line(f"level {level}", 0.9, (0, 0, 40, 10)), same, Line("unsure", 0.3, (0, 50, 40, 60))]


def clip_of(levels: list[int]) -> Clip:
    """Frames of 80×60 pixels, half a second apart, of a source of 160×120."""
    frames = np.stack([np.full((60, 80, 3), level, np.uint8) for level in levels])
    arrays = {"frames": frames, "frame_times_ns": 500_000_000 * np.arange(len(levels))}
    return Clip(ClipInfo("a", 0, 0, 0, 2_000_000_000, width=160, height=120), arrays)


def stage_of(**options: Any) -> TextStage:
    given = {"reader": f"{__name__}:FakeReader"} | options
    stage = TextStage(TextOptions(**given), RunSettings(), Budget())
    stage.open(Resources())
    return stage


def test_lines_of_several_pictures_are_told_once_each_in_pixels_of_the_source() -> None:
    lines = stage_of(pictures=2).process(clip_of([10, 20, 30, 40]))["text"]
    assert [(line.text, line.time_s, line.box) for line in lines] == [
        ("level 20", 0.5, (0, 0, 80, 20)),
        ("level 40", 1.5, (0, 0, 80, 20)),
        ("Stop sign", 1.5, (20, 40, 100, 60)),
    ]
    assert lines[2].confidence == pytest.approx(0.64)
    assert [line.text for line in stage_of(least_confidence=0.9).process(clip_of([10]))["text"]] == ["level 10"]


def test_nothing_is_read_unless_it_is_asked_for() -> None:
    def stages(**tree: Any) -> list[str]:
        return [name for group in make_plan(make_config(tree)).groups for name in group.stages]

    fake = {"stages": {"text": {"reader": f"{__name__}:FakeReader"}}}
    assert "text" not in stages(labels={"words": "dog"})
    assert stages(**fake)[0] == "text"
    plan = make_plan(make_config(fake | {"labels": {"words": 'dog, text:"EXIT"'}}))
    assert (plan.settings.labels, plan.settings.phrases) == (("dog",), ('text:"EXIT"',))
    assert plan.budget.short_side_px == 480
    with pytest.raises(ConfigError, match="add a label that is seen or heard"):
        make_plan(make_config(fake | {"labels": {"words": "text:EXIT"}}))


@pytest.mark.parametrize("name", ["no-such-reader", "stages.text.stage:TextStage", "stages.text.nothing:Reader"])
def test_a_reader_that_is_none_is_told(name: str) -> None:
    with pytest.raises(ConfigError, match=r"stages.text.reader: .* expected"):
        make_reader(name)


def test_labels_that_are_read_are_told_from_others() -> None:
    labels = ("dog", 'text:"Way Out"', "text:exit", "context: street")
    assert split_labels(labels) == (("dog", "context: street"), ('text:"Way Out"', "text:exit"))
    assert [phrase_of(label) for label in labels] == ["", "Way Out", "exit", ""]
    lines = [TextLine("Please use the WAY  OUT", 0.9, 0, (0, 0, 1, 1)), TextLine("way out", 0.7, 0, (0, 0, 1, 1))]
    found = read_rows(labels[1:3], lines)
    assert [(row["label"], row["probability"]) for row in found] == [('text:"Way Out"', 0.9), ("text:exit", 0.0)]


@pytest.mark.slow
@pytest.mark.skipif(find_spec("rapidocr") is None, reason="needs the extra ocr")
@pytest.mark.parametrize("name", READERS)
def test_a_reader_reads_a_sign_where_it_is(name: str) -> None:
    stage = make_stage(
        "text", msgspec.structs.replace(Config(), stages={"text": {"reader": name}}), RunSettings(), Budget()
    )
    stage.check()
    stage.open(Resources())
    picture = np.full((360, 640, 3), 90, np.uint8)
    cv2.putText(picture, "EXIT 24", (200, 150), cv2.FONT_HERSHEY_DUPLEX, 1.5, (255, 255, 255), 3)
    info = ClipInfo("a", 0, 0, 0, 2_000_000_000, width=1280, height=720)
    (line,) = stage.process(Clip(info, {"frames": picture[None], "frame_times_ns": np.zeros(1, np.int64)}))["text"]
    assert line.text == "EXIT 24"
    assert line.confidence > 0.9
    assert line.box == pytest.approx((400, 230, 780, 304), abs=30)
    empty = stage.process(Clip(info, {"frames": picture[None, :90], "frame_times_ns": np.zeros(1, np.int64)}))
    assert empty == {"text": []}
