"""From a config to a plan: what crosses groups, what decode must give, and every problem of the config."""

from collections.abc import Mapping
from typing import Any

import pytest

from pipeline.arrays import Spec
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


NO_STAGE = "just a word"
NAMES = {
    "a": A,
    "b": B,
    "c": C,
    "orphan": Orphan,
    "also_a": AlsoA,
    "count": Count,
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


def test_the_order_of_groups_follows_from_what_stages_need_and_give() -> None:
    plan = plan_of(("b",), ("c",), ("count",), ("a",))
    assert [group.after for group in plan.groups] == [(3,), (0,), (1,), ()]
    assert [group.ordered for group in plan.groups] == [False, False, True, False]
    assert plan.groups[1].needs == ("b", "audio", "frames")


def test_an_array_that_never_leaves_its_group_has_no_region_in_the_slot() -> None:
    together = plan_of(("a", "b"), ("c",))
    assert "a" not in together.layout.regions
    assert "b" in together.layout.regions
    apart = plan_of(("a", "b", "c"))
    assert {"a", "b", "c"}.isdisjoint(apart.layout.regions)
    assert {"frames", "audio"} <= set(apart.layout.regions)


def test_decode_gives_what_the_most_demanding_stage_needs() -> None:
    plan = plan_of(("a", "b", "c"))
    assert plan.reader_options["short_side_px"] == 160
    assert plan.reader_options["audio_rate_hz"] == 16_000
    samples = int(10.5 * 16_000) + 2
    assert plan.layout.regions["audio"][1] == samples * 4
    assert plan.budget.audio_samples == samples


def test_there_is_room_for_a_clip_with_the_tail_of_its_source() -> None:
    plan = plan_of(("a",), clips={"seconds": 4.0, "fps": 10.0})
    assert plan.budget.frames == 45 + 2, "half a second more than the clip"
    assert plan.layout.regions["frame_times_ns"][1] == 8 * plan.budget.frames


def test_modalities_that_are_not_chosen_are_not_decoded() -> None:
    assert "audio" not in plan_of(("a", "b", "c"), modalities=["image"]).layout.regions
    assert "frames" not in plan_of(("a", "b", "c"), modalities=["audio"]).layout.regions


def test_key_frames_are_read_without_motion() -> None:
    plan = plan_of(("a",), decode={"key_frames": True})
    assert plan.reader_options["key_frames"]
    assert plan.settings.key_frames
    assert plan.settings.modalities == plan.reader_options["modalities"] == ("image", "audio")


def test_slots_suffice_for_one_batch_in_work_and_one_that_gathers() -> None:
    def slots(**group: Any) -> int:
        groups = [{"name": "model", "stages": ["fake_model"], **group}, {"stages": ["fake_track"]}]
        return make_plan(make_config(fake_config(groups=groups))).slots

    assert slots(workers=2, batch=16) == 2 * (2 * 16 + 1) + 2
    assert slots(workers=2) == 2 * (2 + 1) + 2


@pytest.mark.parametrize(
    ("groups", "more", "problem"),
    [
        ((("a", "orphan"),), {}, "groups: 'orphan' needs 'nobody_gives_this', which no stage gives. Add the stage"),
        ((("also_a", "a"),), {}, "stages.a: gives 'a', which also_a gives already"),
        ((("also_a", "also_a"),), {}, "stage 'also_a' is in two places"),
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
def test_a_problem_is_reported_with_its_place(
    groups: tuple[tuple[str, ...], ...], more: dict[str, Any], problem: str
) -> None:
    assert problem in refused(*groups, **more)


def test_a_class_that_cannot_be_imported_is_reported_with_the_reason() -> None:
    problem = refused(("b",), options={"b": {"class": "no.such:Thing"}})
    assert "No module named 'no'" in problem
    assert "expected package.module:name" in problem


def test_the_problems_of_all_stages_are_reported_at_once() -> None:
    problems = refused(("b", "trakc"), options={"b": {"dept": 3}})
    assert "dept" in problems
    assert "trakc" in problems


def test_the_default_config_runs_every_stage_of_ours() -> None:
    plan = make_plan(Config())
    assert {name for group in plan.groups for name in group.stages} == set(STAGES) - {
        "store",
        "text",
        "regions",
        "relations",
    }, "archives have the one, who asks the other"
    assert [group.name for group in plan.groups] == ["analyse", "track"]
    assert plan.groups[1].ordered
