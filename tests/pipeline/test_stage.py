"""The base classes of stages, and what the stages of a worker share."""

import msgspec
import pytest

from pipeline.arrays import RECORD, Spec
from pipeline.clip import Clip, ClipInfo
from pipeline.stage import Budget, Fold, Outputs, Resources, RunSettings, Stage, StageOptions

CLIPS = [Clip(ClipInfo("s", 0, index, 0, 1), {}) for index in range(3)]


class Echo(Stage):
    def gives(self) -> dict[str, Spec]:
        return {"index": RECORD}

    def process(self, clip: Clip) -> Outputs:
        return {"index": clip.info.index}


class Count(Fold):
    def gives(self) -> dict[str, Spec]:
        return {"seen": RECORD}

    def update(self, state: bytes, clip: Clip) -> tuple[bytes, Outputs]:
        return state + b"x", {"seen": state}


def made(kind: type[Stage]) -> Stage:
    return kind(StageOptions(), RunSettings(), Budget())


def test_a_stage_that_does_not_batch_runs_clips_one_by_one() -> None:
    assert made(Echo).process_many(CLIPS) == [{"index": 0}, {"index": 1}, {"index": 2}]


def test_a_fold_alone_sees_a_clip_as_the_first_of_its_source() -> None:
    count = made(Count)
    assert [count.process(clip) for clip in CLIPS] == [{"seen": b""}] * 3


def test_options_that_do_not_exist_are_refused() -> None:
    class Options(StageOptions):
        depth: int = 3

    assert msgspec.convert({"depth": 4}, Options).depth == 4
    with pytest.raises(msgspec.ValidationError, match="unknown field `dept`"):
        msgspec.convert({"dept": 4}, Options)


class Held:
    def __init__(self, name: str, closed: list[str]) -> None:
        self.name, self.closed = name, closed

    def close(self) -> None:
        self.closed.append(self.name)


def test_a_resource_is_made_once_by_its_key() -> None:
    resources = Resources()
    closed: list[str] = []
    first = resources.get("network", lambda: Held("first", closed))
    assert resources.get("network", lambda: Held("second", closed)) is first
    assert resources.get("other", lambda: Held("other", closed)) is not first


def test_resources_are_closed_once_in_reverse_order() -> None:
    resources = Resources()
    closed: list[str] = []
    for name in ("one", "two", "three"):
        resources.get(name, lambda name=name: Held(name, closed))  # type: ignore[misc]
    resources.get("a path", lambda: "nothing to close")
    resources.close()
    resources.close()
    assert closed == ["three", "two", "one"]
