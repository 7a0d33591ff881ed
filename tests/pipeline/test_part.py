"""Parts: values that become plain data, checked against the type that the stage declares."""

from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.build import make_plan
from pipeline.clip import Clip
from pipeline.config import make_config
from pipeline.errors import ConfigError
from pipeline.part import Part, part_info, plain
from pipeline.result import CORE
from pipeline.stage import Outputs, Stage


class Reading(msgspec.Struct):
    """How bright a clip is."""

    mean: float
    dark: bool = False


READING = Part(type=Reading, doc="How bright the clip is.")
ANYTHING = Part(type=Any, doc="Anything.")

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=9,
)


@given(json_values)
def test_plain_data_stays_as_it_is(value: Any) -> None:
    assert plain("x", ANYTHING, value) == value


@pytest.mark.parametrize(
    ("value", "data"),
    [
        (Reading(0.5), {"mean": 0.5, "dark": False}),
        ({"mean": np.float32(0.5)}, {"mean": 0.5}),
        ({"mean": np.mean([0, 1]), "dark": np.bool_(True)}, {"mean": 0.5, "dark": True}),
    ],
    ids=["a struct", "a NumPy number", "a NumPy bool"],
)
def test_structs_and_numpy_values_become_plain_data(value: Any, data: Any) -> None:
    made = plain("reading", READING, value)
    assert made == data
    assert all(type(each) in (float, bool) for each in made.values())


def test_an_array_becomes_nested_lists() -> None:
    boxes = Part(type=list[tuple[float, float]], doc="Boxes.")
    assert plain("boxes", boxes, np.array([[1, 2], [3, 4]], np.float32)) == [[1.0, 2.0], [3.0, 4.0]]


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ({"mean": "bright"}, "part 'reading': Expected `float`, got `str` - at `$.mean`"),
        ({}, "part 'reading': Object missing required field `mean`"),
        (None, "part 'reading': Expected `object`, got `null`"),
        ([Reading(0.5)], "part 'reading': Expected `object`, got `array`"),
    ],
)
def test_a_value_of_another_type_is_refused_with_the_part_and_the_place(value: Any, problem: str) -> None:
    with pytest.raises(msgspec.ValidationError) as caught:
        plain("reading", READING, value)
    assert str(caught.value) == problem


def test_a_value_that_json_cannot_hold_is_refused_with_its_type() -> None:
    with pytest.raises(TypeError, match="object cannot be part of a result; expected what JSON can hold"):
        plain("x", ANYTHING, [object()])


def test_the_description_of_a_part_needs_no_import_of_its_type() -> None:
    info = part_info("reading", "brightness", READING)
    assert (info.name, info.stage, info.doc, info.essential) == ("reading", "brightness", READING.doc, False)
    assert info.schema["$defs"]["Reading"]["properties"]["mean"] == {"type": "number"}
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(info), type=type(info)) == info


@pytest.mark.parametrize("kind", [complex, Stage, dict[int, object]], ids=str)
def test_a_type_that_json_cannot_hold_is_refused_with_its_stage(kind: Any) -> None:
    with pytest.raises(ConfigError) as caught:
        part_info("x", "mine", Part(type=kind, doc="Mine."))
    assert str(caught.value).startswith("stages.mine: the type of part 'x' cannot be written as JSON (")
    assert str(caught.value).endswith("; expected a msgspec.Struct, or lists, dicts, strings and numbers")


class Named(Stage):
    """Gives a part that has the name of a field of every record, and one of a type that JSON cannot hold."""

    required = ("frames",)

    def gives(self) -> dict[str, Any]:
        return {"source": READING, "odd": Part(type=complex, doc="Odd.")}

    def process(self, clip: Clip) -> Outputs:
        return {}


def test_a_part_named_like_a_field_of_the_record_is_refused_and_so_is_its_odd_type() -> None:
    assert "source" in CORE
    tree = {
        "labels": {"words": ["x"]},
        "groups": [{"stages": ["mine"]}],
        "stages": {"mine": {"class": f"{__name__}:Named"}},
    }
    with pytest.raises(ConfigError) as caught:
        make_plan(make_config(tree))
    clash, odd, *_ = str(caught.value).splitlines()
    assert clash == "stages.mine: every record has a field 'source'; rename the part"
    assert odd.startswith("stages.mine: the type of part 'odd' cannot be written as JSON")
