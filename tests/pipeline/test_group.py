"""A group of stages: every clip gets in a batch what it gets alone, and a failure costs only itself."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.arrays import Spec
from pipeline.build import make_plan
from pipeline.clip import Absent, Clip, ClipInfo
from pipeline.config import make_config
from pipeline.group import Settled, StageGroup
from pipeline.part import Part
from pipeline.stage import Fold, Outputs, Resources, Stage
from tests.pipeline.fakes import TRACKS

HERE = "tests.pipeline.test_group"


class Square(Stage):
    """Fails as the clip's arrays ask, in a batch or alone; records how many clips each call had."""

    required = ("frames",)

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.calls: list[int] = []

    def gives(self) -> dict[str, Spec]:
        return {"square": Spec("float32", "N", in_message=True)}

    def open(self, resources: Resources) -> None:
        self.network = resources.get("network", lambda: ["loaded"])

    def describe(self) -> dict[str, str]:
        return {"engine": "fake-fp32"}

    def process(self, clip: Clip) -> Outputs:
        return self._process([clip])[0]

    def process_many(self, clips: Sequence[Clip]) -> list[Outputs]:
        how = {clip.get("audio_start_ns") for clip in clips}
        if "together" in how:
            raise MemoryError("too many")
        outputs = self._process(clips)
        return outputs[1:] if "one_missing" in how else outputs

    def _process(self, clips: Sequence[Clip]) -> list[Outputs]:
        self.calls.append(len(clips))
        outputs: list[Outputs] = []
        for clip in clips:
            how = clip.get("audio_start_ns")
            if how == "raise":
                raise ValueError(f"clip {clip.info.index} is bad")
            square = np.square(clip["frames"].astype(np.float32))
            given = {"forget": {}, "absent": {"square": Absent("too_short")}, "shape": {"square": square[None]}}
            outputs.append(given.get(how or "", {"square": square}))
        return outputs


class Sum(Stage):
    required = ("square",)

    def gives(self) -> dict[str, Spec]:
        return {"labels": Part(type=list[float], doc="Sums.", essential=True)}

    def open(self, resources: Resources) -> None:
        self.network = resources.get("network", lambda: ["loaded again"])

    def process(self, clip: Clip) -> Outputs:
        return {"labels": [float(clip["square"].sum())]}


class Count(Fold):
    required = ("frames",)

    def gives(self) -> dict[str, Spec]:
        return {"tracks": TRACKS}

    def update(self, state: bytes, clip: Clip) -> tuple[bytes, Outputs]:
        return state + b"x", {"tracks": [{"id": len(state), "boxes": []}]}


def group_of(*names: str) -> tuple[StageGroup, list[str]]:
    """A group of stages of this module, and the notes that it writes."""
    stages = {name: {"class": f"{HERE}:{name.title()}"} for name in names}
    plan = make_plan(make_config({"groups": [{"stages": names}], "stages": stages, "labels": {"words": ["x"]}}))
    notes: list[str] = []
    return StageGroup(plan, plan.groups[0], notes.append), notes


def square_and_sum() -> tuple[StageGroup, Square, list[str]]:
    group, notes = group_of("square", "sum")
    square = group.stages["square"]
    assert isinstance(square, Square)
    return group, square, notes


def clip_of(index: int, how: str = "") -> Clip:
    info = ClipInfo(f"s{index % 2}", index % 2, index, 0, 1)
    if how == "no_stream":
        return Clip(info, {}, {"frames": "no_stream"})
    return Clip(info, {"frames": np.arange(index + 1, dtype=np.uint8), "audio_start_ns": how})


def run_batch(group: StageGroup, *clips: Clip) -> list[Settled]:
    return group.run_many(clips, [b""] * len(clips))


def same(one: Settled, other: Settled) -> bool:
    if one.values.keys() != other.values.keys() or one[1:] != other[1:]:
        return False
    return all(np.array_equal(value, other.values[name]) for name, value in one.values.items())


def test_clips_of_several_sources_are_one_call() -> None:
    group, square, notes = square_and_sum()
    settled = run_batch(group, *map(clip_of, range(4)))
    assert square.calls == [4]
    assert [each.values["labels"] for each in settled] == [[0.0], [1.0], [5.0], [14.0]]
    assert notes == []


def test_a_clip_without_the_arrays_that_the_stage_requires_is_left_out_of_the_batch() -> None:
    group, square, _ = square_and_sum()
    settled = run_batch(group, clip_of(1), clip_of(2, "no_stream"), clip_of(3))
    assert square.calls == [2]
    assert settled[1].absent == {"square": "no_stream", "labels": "no_stream"}
    assert [each.values.get("labels") for each in settled] == [[1.0], None, [14.0]]


def test_a_bad_clip_costs_only_itself_without_a_note() -> None:
    group, square, notes = square_and_sum()
    settled = run_batch(group, clip_of(1), clip_of(2, "raise"), clip_of(3))
    assert square.calls == [3, 1, 1, 1]
    assert [each.failed for each in settled] == [{}, {"square": "ValueError: clip 2 is bad"}, {}]
    assert [each.values.get("labels") for each in settled] == [[1.0], None, [14.0]]
    assert notes == []


@pytest.mark.parametrize(
    ("how", "why"), [("together", "MemoryError: too many"), ("one_missing", "ValueError: zip() argument 2 is shorter")]
)
def test_a_batch_that_fails_although_each_clip_is_fine_is_reported_once(how: str, why: str) -> None:
    group, _, notes = square_and_sum()
    for _ in range(3):
        settled = run_batch(group, clip_of(1), clip_of(2, how), clip_of(3))
        assert [each.failed for each in settled] == [{}] * 3
        assert [each.values["labels"] for each in settled] == [[1.0], [5.0], [14.0]]
    assert len(notes) == 1
    assert notes[0].startswith(f"square: a batch of 3 clips failed, but each clip alone did not ({why}")
    assert notes[0].endswith("Give its group a smaller batch")


@given(
    st.lists(st.sampled_from(["", "", "", "raise", "forget", "absent", "shape", "no_stream", "together"]), max_size=9)
)
@settings(deadline=None)
def test_every_clip_gets_in_a_batch_what_it_gets_alone(hows: list[str]) -> None:
    group, _, _ = square_and_sum()
    clips = [clip_of(index, how) for index, how in enumerate(hows)]
    settled = run_batch(group, *clips)
    assert len(settled) == len(clips)
    assert all(same(each, group.run(clip)) for each, clip in zip(settled, clips, strict=True))


@pytest.mark.parametrize(
    ("how", "failed", "reason"),
    [
        ("raise", "ValueError: clip 1 is bad", "failed"),
        ("forget", "KeyError: 'square was declared but not given; expected a value or Absent(reason)'", "failed"),
        ("shape", "ValueError: square must be float32 (N), got float32 (1, 2)", "failed"),
        ("absent", None, "too_short"),
    ],
)
def test_outputs_are_checked_and_a_stage_that_needs_one_that_is_absent_does_not_run(
    how: str, failed: str | None, reason: str
) -> None:
    group, _, _ = square_and_sum()
    settled = group.run(clip_of(1, how))
    assert settled.values == {}
    assert settled.absent == {"square": reason, "labels": reason}
    assert settled.failed == ({"square": failed} if failed else {})


def test_the_arrays_of_a_stage_are_read_only_and_its_parts_plain_data() -> None:
    group, _, _ = square_and_sum()
    settled = group.run(clip_of(1))
    assert not settled.values["square"].flags.writeable
    assert settled.values["labels"] == [1.0]
    assert settled.absent == {}


def test_the_stages_of_a_group_share_what_they_loaded() -> None:
    group, square, _ = square_and_sum()
    assert group.open() == {"engine": "fake-fp32"}
    assert square.network is group.stages["sum"].network  # type: ignore[attr-defined]
    group.close()


def test_a_fold_returns_its_new_state_and_without_its_input_none() -> None:
    group, _ = group_of("count")
    assert group.has_fold
    settled = group.run(clip_of(1), b"xx")
    assert (settled.state, settled.values["tracks"]) == (b"xxx", [{"id": 2, "boxes": []}])
    settled = group.run(clip_of(1, "no_stream"), b"xx")
    assert (settled.state, settled.absent) == (None, {"tracks": "no_stream"})
    assert not square_and_sum()[0].has_fold
