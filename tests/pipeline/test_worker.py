"""A group in its worker: its answer for one clip, with the reasons for what is absent."""

import os
import time
from collections.abc import Callable, Iterator
from typing import Any, cast

import numpy as np
import pytest

from pipeline.arrays import RECORD, Spec
from pipeline.build import make_plan
from pipeline.bus import Bus
from pipeline.clip import Absent, Clip, ClipInfo
from pipeline.config import make_config
from pipeline.group import StageGroup
from pipeline.messages import Done, DoneClip, FromWorker, WorkClip, unpack
from pipeline.plan import Plan
from pipeline.slots import SlotError, Slots
from pipeline.stage import Fold, Outputs, Stage
from pipeline.worker import FLUSH_NS, Answers, ClipRunner
from tests.pipeline.fakes import LABELS, TRACKS

HERE = "tests.pipeline.test_worker"


class Double(Stage):
    meanwhile: Callable[[], object]
    """Called while clip 16 is processed."""

    required = ("frames",)
    optional = ("hint",)

    def gives(self) -> dict[str, Spec]:
        return {"double": Spec("float32", "N", 400), "tag": Spec("float32", "1", in_message=True)}

    def process(self, clip: Clip) -> Outputs:
        if clip.info.index == 16:
            Double.meanwhile()
        if clip.info.index == 13:
            raise RuntimeError("no luck")
        if clip.info.index == 15:
            return {"double": np.ones(200, np.float32), "tag": np.ones(1, np.float32)}
        if clip.info.index == 14:
            return {"double": Absent("too_short"), "tag": np.ones(1, np.float32)}
        return {"double": clip["frames"].ravel()[:4].astype(np.float32) * 2, "tag": np.ones(1, np.float32)}


class Sum(Stage):
    """In the group of Double: uses an array that never leaves the process."""

    required = ("double",)

    def gives(self) -> dict[str, Spec]:
        return {"labels": LABELS}

    def process(self, clip: Clip) -> Outputs:
        with pytest.raises(ValueError, match="read-only"):
            clip["double"][0] = 7
        return {"labels": [{"label": str(clip["double"].sum()), "probability": 1.0, "share": 1.0}]}


class Last(Fold):
    required = ("double",)

    def gives(self) -> dict[str, Spec]:
        return {"tracks": TRACKS}

    def update(self, state: bytes, clip: Clip) -> tuple[bytes, Outputs]:
        return state + b"x", {"tracks": [{"id": len(state), "boxes": []}]}


def plan_of(*groups: list[str]) -> Plan:
    names = {"double": Double, "sum": Sum, "last": Last}
    stages = {name: {"class": f"{HERE}:{names[name].__name__}"} for group in groups for name in group}
    tree = {"groups": [{"stages": group} for group in groups], "stages": stages, "labels": {"words": ["x"]}}
    return make_plan(make_config(tree))


Work = Callable[..., DoneClip]


@pytest.fixture
def work() -> Iterator[Work]:
    """Settle clip `index` in the first group of a plan, as a worker does."""
    opened: list[int] = []

    def do(plan: Plan, index: int = 5, absent: dict[str, str] | None = None, state: bytes = b"", group: int = 0,
           generation: int = 0, **values: Any) -> DoneClip:  # fmt: skip
        slots = Slots.create(plan.layout, 2)
        Double.meanwhile = lambda: slots.retire(1)
        opened.append(slots.fd)
        shapes = {}
        for name, array in values.items():
            shapes[name] = slots.write(1, name, array)
        members = StageGroup(plan, plan.groups[group])
        members.open()
        item = WorkClip(ClipInfo("s", 0, index, 10, 20), 1, generation, shapes, {}, absent or {})
        (done,) = ClipRunner(members, plan, slots, seat=0).settle([item], [state])
        do.slots = slots  # type: ignore[attr-defined]
        return done

    yield do
    for fd in opened:
        os.close(fd)


FRAMES = np.arange(2 * 2 * 2 * 3, dtype=np.uint8).reshape(2, 2, 2, 3)


def test_arrays_that_other_groups_need_are_passed_on_and_the_others_stay(work: Work) -> None:
    done = work(plan_of(["double", "sum"], ["last"]), frames=FRAMES)
    assert (done.source_index, done.index) == (0, 5)
    assert done.shapes == {"double": (4,)}
    assert set(done.values) == {"labels"}
    assert unpack(RECORD, done.values["labels"])[0]["label"] == "12.0"
    written = work.slots.read(1, "double", (4,))  # type: ignore[attr-defined]
    assert written.tolist() == [0, 2, 4, 6]


def test_an_array_that_no_other_group_needs_is_not_passed_on(work: Work) -> None:
    done = work(plan_of(["double", "sum"]), frames=FRAMES)
    assert done.shapes == {}
    assert set(done.values) == {"labels"}


def test_an_absent_input_settles_the_outputs_for_the_same_reason(work: Work) -> None:
    done = work(plan_of(["double", "sum"], ["last"]), absent={"frames": "no_stream"})
    assert done.absent == {"double": "no_stream", "labels": "no_stream"}
    assert done.failed == {}


def test_an_input_that_was_never_settled_was_not_asked_for(work: Work) -> None:
    done = work(plan_of(["double", "sum"], ["last"]))
    assert done.absent == {"double": "not_asked", "labels": "not_asked"}


def test_a_stage_that_raises_makes_its_outputs_and_those_that_need_them_failed(work: Work) -> None:
    done = work(plan_of(["double", "sum"], ["last"]), index=13, frames=FRAMES)
    assert done.failed == {"double": "RuntimeError: no luck"}
    assert done.absent == {"double": "failed", "labels": "failed"}


def test_a_stage_may_return_a_reason_in_place_of_an_array(work: Work) -> None:
    done = work(plan_of(["double", "sum"], ["last"]), index=14, frames=FRAMES)
    assert done.failed == {}
    assert done.absent == {"double": "too_short", "labels": "too_short"}


def test_an_array_too_large_for_its_region_is_absent_and_reported(work: Work) -> None:
    done = work(plan_of(["double", "sum"], ["last"]), index=15, frames=FRAMES)
    assert done.shapes == {}
    assert done.absent == {"double": "failed"}
    assert done.failed == {
        "double": "SlotError: double: float32 (200,) (800 bytes) does not fit its region of 400 bytes of float32"
    }
    assert set(done.values) == {"labels"}


def test_a_fold_returns_its_new_state_with_the_result(work: Work) -> None:
    done = work(plan_of(["double"], ["last"]), group=1, state=b"xx", double=np.zeros(4, np.float32))
    assert done.state == b"xxx"
    assert unpack(RECORD, done.values["tracks"]) == [{"id": 2, "boxes": []}]


def test_a_fold_without_its_input_keeps_its_state(work: Work) -> None:
    done = work(plan_of(["double"], ["last"]), group=1, state=b"xx", absent={"double": "failed"})
    assert done.state is None
    assert done.absent == {"tracks": "failed"}


def test_a_slot_that_was_granted_again_is_not_used(work: Work) -> None:
    with pytest.raises(SlotError, match="slot 1 is at generation 0, expected 3"):
        work(plan_of(["double", "sum"]), generation=3, frames=FRAMES)


def test_a_clip_whose_slot_is_granted_again_meanwhile_has_no_answer(work: Work) -> None:
    with pytest.raises(SlotError, match="slot 1 is at generation 1, expected 0"):
        work(plan_of(["double", "sum"]), index=16, frames=FRAMES)


# -- answers ----------------------------------------------------------------------------------------------------------


class SentBus:
    """Keeps what is sent."""

    def __init__(self) -> None:
        self.sent: list[FromWorker] = []

    def send(self, message: FromWorker) -> None:
        self.sent.append(message)


def done(index: int) -> DoneClip:
    return DoneClip(0, index, {}, {}, {})


def test_answers_for_quick_clips_are_sent_together_and_none_waits_long(monkeypatch: pytest.MonkeyPatch) -> None:
    now_ns = 0
    monkeypatch.setattr(time, "monotonic_ns", lambda: now_ns)
    bus = SentBus()
    answers = Answers(cast(Bus, bus), batch=1, took_ns={}, most_bytes={})
    for index in range(3):
        answers.add([done(index)])
    assert bus.sent == []
    now_ns = FLUSH_NS + 1
    answers.add([done(3)])
    assert bus.sent == [Done([done(index) for index in range(4)])]
    answers.add([done(4)])
    answers.flush()
    answers.flush()
    assert bus.sent[1:] == [Done([done(4)])]


def test_answers_of_a_group_that_batches_have_the_number_of_batches() -> None:
    bus = SentBus()
    answers = Answers(cast(Bus, bus), batch=4, took_ns={}, most_bytes={})
    answers.add([done(0), done(1)])
    answers.add([done(2)])
    answers.flush()
    assert bus.sent == [Done([done(0), done(1), done(2)], batches=2)]
