import msgspec
import pytest

from pipeline.errors import ConfigError
from training.captions.read import Captioned, CaptionList
from training.captions.split import CaptionSplit, divide, warnings
from training.data.example import Example
from training.train.plan import captions_plan

PLAN = captions_plan("picture", is_projection=True)


def item(number: int, group: str = "", caption: str = "") -> Captioned:
    return Captioned(Example(f"{number}.jpg", "", group=group or f"{number}.jpg"), (caption or f"caption {number}",))


def listed(*items: Captioned) -> CaptionList:
    return CaptionList("photos", items)


def test_a_third_is_held_out_in_whole_groups() -> None:
    found = divide(listed(*(item(number, f"walk {number // 3}") for number in range(30))), PLAN)
    assert len(found.held) in (9, 12)
    assert len(found.train) + len(found.held) == 30
    assert {each.example.group for each in found.train}.isdisjoint(each.example.group for each in found.held)


def test_share_and_seed_choose_what_is_held_out() -> None:
    given = listed(*map(item, range(20)))
    assert len(divide(given, msgspec.structs.replace(PLAN, held_out_share=0.1)).held) == 2
    assert divide(given, PLAN) == divide(given, PLAN)
    assert divide(given, PLAN) != divide(given, msgspec.structs.replace(PLAN, seed=1))


@pytest.mark.parametrize(
    ("items", "message"),
    [
        ([item(1), item(2), item(3)], "photos: 1 item held out; expected at least 2"),
        ([item(number, "one") for number in range(9)], "photos: 0 items held out"),
        ([item(number, caption="A dog") for number in range(9)], "photos: 1 different caption to learn from"),
    ],
)
def test_too_few_items_or_captions_are_refused(items: list[Captioned], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        divide(listed(*items), PLAN)


def test_few_items_are_told_for_learning_and_for_measuring() -> None:
    some = tuple(map(item, range(60)))
    learning, measuring = warnings(CaptionSplit(some[:44], some[44:]), "picture")
    assert learning.startswith("few items to learn from: 44; --captions needs about 200")
    assert measuring.startswith(
        "few items to measure on: 16, so the figures are uncertain by about 25 percentage points"
    )
    many = tuple(map(item, range(300)))
    assert warnings(CaptionSplit(many[:200], many[200:]), "picture") == ()
