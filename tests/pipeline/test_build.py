"""From a config to a plan: the graph follows from what stages need and give, and what cannot be is said."""

from collections.abc import Mapping
from typing import Any

import pytest

from pipeline.arrays import RECORD, Spec
from pipeline.build import STAGES, make_plan
from pipeline.clip import Clip
from pipeline.config import Config, make_config
from pipeline.errors import ConfigError
from pipeline.plan import Plan
from pipeline.stage import Demand, Fold, Stage, StageOptions
from tests.pipeline.fakes import TRACKS, fake_config

HERE = "tests.pipeline.test_build"


class Silent(Stage):
    output = ""

    def gives(self) -> dict[str, Spec]:
        return {self.output: Spec("float32", "N", 4000)}

    def process(self, clip: Clip) -> Mapping[str, Any]:
        return {}


class A(Silent):
    required, output = ("frames",), "a"


class AfterB(Silent):
    required, optional, output = ("frames",), ("b",), "a"


class B(Silent):
    required, output = ("a",), "b"

    class Options(StageOptions):
        depth: int = 3


class C(Silent):
    required, optional, output = ("b", "audio"), ("frames",), "c"
    preload = ("json",)

    def demand(self) -> Demand:
        return Demand(short_side_px=160, audio_rate_hz=16_000, audio_context_s=10.0)


class Orphan(Silent):
    required, output = ("nobody_gives_this",), "orphan"


class AlsoA(Silent):
    output = "a"


class Count(Fold):
    required = ("c",)

    def gives(self) -> dict[str, Spec]:
        return {"tracks": TRACKS}

    def update(self, state: bytes, clip: Clip) -> tuple[bytes, Mapping[str, Any]]:
        return state, {}


class CountAgain(Count):
    def gives(self) -> dict[str, Spec]:
        return {"counts": RECORD}


NO_STAGE = "just a word"
NAMES = {
    "a": A,
    "after_b": AfterB,
    "b": B,
    "c": C,
    "orphan": Orphan,
    "also_a": AlsoA,
    "count": Count,
    "count_again": CountAgain,
}


def plan_of(*groups: tuple[str, ...], options: dict[str, dict[str, Any]] | None = None, **sections: Any) -> Plan:
    stages = {name: {"class": f"{HERE}:{NAMES[name].__name__}"} for group in groups for name in group if name in NAMES}
    for name, given in (options or {}).items():
        stages[name] = stages.get(name, {}) | given
    tree = {"labels": {"words": ["x"]}, "stages": stages, "groups": [{"stages": list(group)} for group in groups]}
    return make_plan(make_config(tree | sections))


def refused(*groups: tuple[str, ...], **more: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        plan_of(*groups, **more)
    return str(caught.value)


def test_what_follows_what_is_read_off_the_stages() -> None:
    plan = plan_of(("b",), ("c",), ("count",), ("a",))
    assert [group.after for group in plan.groups] == [(3,), (0,), (1,), ()]
    assert [group.ordered for group in plan.groups] == [False, False, True, False]
    assert plan.groups[1].needs == ("b", "audio", "frames")


def test_what_never_leaves_its_group_takes_no_room_in_the_slot() -> None:
    together = plan_of(("a", "b"), ("c",))
    assert "a" not in together.layout.regions
    assert "b" in together.layout.regions
    apart = plan_of(("a", "b", "c"))
    assert {"a", "b", "c"}.isdisjoint(apart.layout.regions)
    assert {"frames", "audio"} <= set(apart.layout.regions)


def test_decode_gives_what_the_most_demanding_stage_asks_for() -> None:
    plan = plan_of(("a", "b", "c"))
    assert plan.reader_options["short_side_px"] == 160
    assert plan.reader_options["audio_rate_hz"] == 16_000
    samples = int(10.5 * 16_000) + 2
    assert plan.layout.regions["audio"][1] == samples * 4
    assert plan.budget.audio_samples == samples


def test_modalities_that_are_not_asked_for_are_not_decoded() -> None:
    assert "audio" not in plan_of(("a", "b", "c"), modalities=["image"]).layout.regions
    assert "frames" not in plan_of(("a", "b", "c"), modalities=["audio"]).layout.regions


def test_slots_cover_every_worker() -> None:
    plan = make_plan(make_config(fake_config()))
    assert plan.slots >= sum(group.workers for group in plan.groups) + plan.decode_workers


@pytest.mark.parametrize(
    ("groups", "more", "said"),
    [
        ((("a", "orphan"),), {}, "groups: 'orphan' needs 'nobody_gives_this', which no stage gives. Add the stage"),
        ((("b", "a"),), {}, "groups: 'b' needs 'a' from 'a', which is listed after it"),
        ((("after_b", "b"),), {}, "groups: 'after_b' needs 'b' from 'b', which is listed after it"),
        ((("after_b",), ("b",)), {}, "groups: after_b, b wait for each other; put the stages concerned in one group"),
        ((("also_a", "a"),), {}, "stages.a: gives 'a', which also_a gives already"),
        ((("also_a", "also_a"),), {}, "stage 'also_a' is in two places"),
        ((("a", "b", "c"), ("count", "count_again")), {}, "has two stages that carry state; put them in two groups"),
        ((("trakc",),), {}, "groups: there is no stage 'trakc' (did you mean 'track'?). Known: flow,"),
        ((("also_a",),), {"options": {"flow": {"depth": 3}}}, "stages.flow: no group runs it"),
        ((("b",),), {"options": {"b": {"dept": 3}}}, "unknown field `dept` - at `$.stages.b` (did you mean 'depth'?)"),
        (
            (("b",),),
            {"options": {"b": {"depth": "x"}}},
            "Expected `int`, got `str` - at `$.stages.b.depth` (it is 'x')",
        ),
        (
            (("b",),),
            {"options": {"b": {"class": "no.such:Thing"}}},
            "stages.b.class: 'no.such:Thing' cannot be imported",
        ),
        ((("b",),), {"options": {"b": {"class": f"{HERE}:Nothing"}}}, "cannot be imported (module"),
        ((("b",),), {"options": {"b": {"class": "B"}}}, "stages.b.class: 'B' cannot be imported"),
        ((("b",),), {"options": {"b": {"class": 7}}}, "stages.b.class: '7' cannot be imported"),
        (
            (("b",),),
            {"options": {"b": {"class": f"{HERE}:NO_STAGE"}}},
            f"'{HERE}:NO_STAGE' is not a stage; expected a class",
        ),
    ],
)
def test_what_is_said(groups: tuple[tuple[str, ...], ...], more: dict[str, Any], said: str) -> None:
    assert said in refused(*groups, **more)


def test_a_class_that_cannot_be_imported_says_why() -> None:
    said = refused(("b",), options={"b": {"class": "no.such:Thing"}})
    assert "No module named 'no'" in said
    assert "expected package.module:name" in said


def test_all_stages_that_are_wrong_are_told_at_once() -> None:
    said = refused(("b", "trakc"), options={"b": {"dept": 3}})
    assert "dept" in said
    assert "trakc" in said


def test_every_stage_of_ours_is_known_by_name() -> None:
    plan = make_plan(Config())
    assert {name for group in plan.groups for name in group.stages} == set(STAGES)
    assert [group.name for group in plan.groups] == ["analyse", "track"]
    assert plan.groups[1].ordered
