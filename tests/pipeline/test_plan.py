"""A plan is plain data that every process can read."""

import msgspec
import pytest

from pipeline.build import make_plan
from pipeline.config import Config, make_config
from pipeline.plan import Plan
from pipeline.status import OutputSpec
from tests.pipeline.fakes import fake_config


@pytest.mark.parametrize("config", [Config(), make_config(fake_config())], ids=["default", "fakes"])
def test_a_plan_survives_its_way_to_another_process(config: Config) -> None:
    plan = make_plan(config, sources=3)
    output = OutputSpec(kind="csv", path="x.csv", sources=("a.mp4",), options={"least": 0.5})
    plan = msgspec.structs.replace(plan, outputs=(output,))
    again = msgspec.msgpack.decode(msgspec.msgpack.encode(plan), type=Plan)
    # options of a reader have no type here: a tuple becomes a list, until the reader's own struct is made
    as_lists = {name: list(each) if isinstance(each, tuple) else each for name, each in plan.reader_options.items()}
    assert again == msgspec.structs.replace(plan, reader_options=as_lists)


def test_the_arrays_of_a_slot_are_those_of_its_layout() -> None:
    plan = make_plan(make_config(fake_config()))
    assert "frames" in plan.slot_arrays
    assert plan.slot_arrays == plan.layout.regions.keys()
    assert plan.slot_arrays.isdisjoint({"mean", "labels", "tracks"}), "small arrays and records travel in messages"
