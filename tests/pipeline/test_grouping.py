"""The groups of a run, and their order, from what their stages need and give."""

from graphlib import CycleError, TopologicalSorter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.arrays import RECORD, Spec
from pipeline.clip import Clip
from pipeline.config import Config, make_config
from pipeline.errors import ConfigError, Problems
from pipeline.grouping import make_groups
from pipeline.part import Part, part_info
from pipeline.placing import Placing
from pipeline.plan import GroupPlan
from pipeline.stage import Budget, Fold, Outputs, RunSettings, Stage, StageOptions


class Steady(Stage):
    def gives(self) -> dict[str, Spec]:
        return self.given  # type: ignore[attr-defined, no-any-return]

    def process(self, clip: Clip) -> Outputs:
        return {}


class Carrying(Fold):
    def gives(self) -> dict[str, Spec]:
        return self.given  # type: ignore[attr-defined, no-any-return]

    def update(self, state: bytes, clip: Clip) -> tuple[bytes, Outputs]:
        return state, {}


LABELS = Part(type=list[str], doc="Labels.", essential=True)


def stage(
    needs: str, gives: str, *, optional: str = "", preload: str = "", part: Part | None = None, fold: bool = False
) -> Stage:
    """A stage by the names of its arrays, separated by spaces. `part` is the spec of all that it gives."""
    kind = type(
        "Made",
        (Carrying if fold else Steady,),
        {
            "required": tuple(needs.split()),
            "optional": tuple(optional.split()),
            "preload": tuple(preload.split()),
            "given": dict.fromkeys(gives.split(), part or RECORD),
        },
    )
    made: Stage = kind(StageOptions(), RunSettings(), Budget())
    return made


def grouped(*groups: dict[str, Any], cores: int = 4, **stages: Stage) -> tuple[GroupPlan, ...]:
    """The plans of groups, each given by its keys in a config. Decode gives `frames` and `audio`.

    Raises: ConfigError: every problem.
    """
    owner = {"frames": "decode", "audio": "decode"} | {
        array: name for name, made in stages.items() for array in made.gives()
    }
    parts = tuple(
        part_info(array, name, spec)
        for name, made in stages.items()
        for array, spec in made.gives().items()
        if isinstance(spec, Part)
    )
    config: Config = make_config({"groups": list(groups)})
    problems = Problems()
    plans = make_groups(config, stages, owner, parts, Placing(cores, 1, 1 << 40, None), problems)
    problems.raise_all()
    return plans


def refused(*groups: dict[str, Any], **stages: Stage) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        grouped(*groups, **stages)
    return str(caught.value).splitlines()


def test_a_group_needs_the_arrays_that_none_of_its_own_stages_gives() -> None:
    flow = stage("frames", "flow")
    encode = stage("flow", "embedding", optional="audio nobody_gives_this")
    last = stage("embedding", "labels")
    front, back = grouped({"stages": ["flow", "encode"]}, {"stages": ["last"]}, flow=flow, encode=encode, last=last)
    assert (front.needs, front.gives, front.after) == (("frames", "audio"), ("flow", "embedding"), ())
    assert (back.needs, back.gives, back.after) == (("embedding",), ("labels",), (0,))
    assert (front.name, back.name) == ("flow", "last"), "a group without a name has that of its first stage"


def test_the_parts_of_a_group_are_those_that_its_stages_give() -> None:
    labels, flow = stage("frames", "labels", part=LABELS), stage("frames", "flow")
    note = stage("frames", "note", part=Part(type=str, doc="A note."))
    (plan,) = grouped({"stages": ["flow", "note", "labels"]}, flow=flow, note=note, labels=labels)
    assert set(plan.parts) == {"note", "labels"}
    assert plan.essential == ("labels",)


@given(st.data())
def test_a_group_comes_after_the_groups_it_needs_and_a_cycle_is_refused(data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 5))
    needs = {number: data.draw(st.sets(st.sampled_from(range(count)))) - {number} for number in range(count)}
    stages = {
        f"s{number}": stage(" ".join(f"a{other}" for other in sorted(others)), f"a{number}")
        for number, others in needs.items()
    }
    groups = [{"stages": [name]} for name in stages]
    if cycle := cycle_in(needs):
        (text,) = refused(*groups, **stages)
        assert text.endswith(" wait for each other; put the stages concerned in one group")
        assert {f"s{number}" for number in cycle} <= set(text.split(": ")[1].split(" wait")[0].split(", "))
    else:
        after = [plan.after for plan in grouped(*groups, **stages)]
        assert after == [tuple(sorted(needs[number])) for number in range(count)]


def cycle_in(needs: dict[int, set[int]]) -> list[int]:
    try:
        TopologicalSorter(needs).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_inside_a_group_a_stage_uses_only_what_earlier_ones_give() -> None:
    first, second = stage("frames", "a"), stage("a", "b")
    (plan,) = grouped({"stages": ["first", "second"]}, first=first, second=second)
    assert plan.needs == ("frames",)
    text = "groups: 'second' needs 'a' from 'first', which is listed after it"
    assert refused({"stages": ["second", "first"]}, first=first, second=second) == [text]
    second = stage("frames", "b", optional="a")
    assert refused({"stages": ["second", "first"]}, first=first, second=second) == [text]


def test_an_array_that_no_stage_gives_is_refused_unless_decode_may_give_it() -> None:
    assert refused({"stages": ["one"]}, one=stage("flow", "a")) == [
        "groups: 'one' needs 'flow', which no stage gives. Add the stage that does, or remove it"
    ]
    grouped({"stages": ["one"]}, one=stage("previous_frame", "a"))


def test_a_group_with_a_fold_is_ordered_and_has_one_worker() -> None:
    count, heavy = stage("frames", "a", fold=True, preload="torch"), stage("frames", "b", preload="torch cv2")
    ordered, free = grouped({"stages": ["count"]}, {"stages": ["heavy"]}, count=count, heavy=heavy, cores=6)
    assert (ordered.ordered, ordered.workers, ordered.threads) == (True, 1, 6)
    assert (free.ordered, free.workers, free.threads, free.preload) == (False, 6, 1, ("torch", "cv2"))


def test_workers_and_threads_of_the_config_win() -> None:
    (plan,) = grouped({"stages": ["one"], "workers": 3, "threads": 5}, one=stage("frames", "a", preload="torch"))
    assert (plan.workers, plan.threads) == (3, 5)
    (plan,) = grouped({"stages": ["one"], "workers": 3}, one=stage("frames", "a"), cores=8)
    assert (plan.workers, plan.threads) == (3, 2)


def test_two_stages_that_carry_state_are_refused_in_one_group_and_so_is_a_batch() -> None:
    one, two = stage("frames", "a", fold=True), stage("frames", "b", fold=True)
    assert refused({"stages": ["one", "two"]}, one=one, two=two) == [
        "groups.0: has two stages that carry state; put them in two groups"
    ]
    assert refused({"stages": ["one"], "name": "last", "batch": 2}, one=one) == [
        "groups.last.batch is 2; expected 1: a stage in it carries state from clip to clip. "
        "Put the others in a group of their own"
    ]


def test_all_problems_are_reported_at_once() -> None:
    text = refused({"stages": ["one"]}, {"stages": ["two"]}, one=stage("b nothing", "a"), two=stage("a none", "b"))
    assert len(text) == 3
