"""Relations: how named tracks stand to one another, each told once, and who pays for it."""

from typing import Any

import numpy as np
import pytest

from pipeline.build import make_plan
from pipeline.clip import Clip, ClipInfo
from pipeline.config import make_config
from pipeline.errors import ConfigError
from pipeline.result import Movement, Relation, Track
from pipeline.stage import Budget, RunSettings
from stages.phrase.geometry import HOLDS
from stages.relations.stage import RelationOptions, RelationStage

Box = tuple[float, float, float, float]
TIMES_S = [round(0.25 * step, 3) for step in range(8)]


def track(number: int, label: str, box: Box, by: Box = (0, 0, 0, 0), moved: Movement | None = None) -> Track:
    """A track that moves by so much in every picture."""
    boxes = [
        (time_s, *(edge + step * move for edge, move in zip(box, by, strict=True)))
        for step, time_s in enumerate(TIMES_S)
    ]
    return Track(number, boxes, label or None, 0.9, movement=moved)  # type: ignore[arg-type]


def told(*tracks: Track, **options: Any) -> list[Relation]:
    stage = RelationStage(RelationOptions(**options), RunSettings(), Budget())
    found: list[Relation] = stage.process(Clip(ClipInfo("a", 0, 0, 0, 2_000_000_000), {"tracks": list(tracks)}))[
        "relations"
    ]
    return found


def texts(*tracks: Track, **options: Any) -> list[str]:
    return sorted(map(str, told(*tracks, **options)))


def test_two_things_side_by_side_are_told_once() -> None:
    dog, cat = track(1, "dog", (200, 100, 260, 160)), track(2, "cat", (100, 100, 160, 160))
    assert texts(dog, cat) == ["cat (2) left of dog (1)", "cat (2) next to dog (1)"]
    far = track(3, "cat", (-300, 100, -240, 160))
    assert texts(dog, far) == ["cat (3) left of dog (1)"]


@pytest.mark.parametrize(
    ("one", "other", "relation"),
    [
        (("bird", (120, 10, 160, 50)), ("cow", (100, 100, 220, 200)), "bird (1) above cow (2)"),
        (("cat", (130, 60, 170, 115)), ("sofa", (100, 80, 300, 200)), "cat (1) on sofa (2)"),
        (("cow", (100, 100, 220, 200)), ("person", (130, 120, 190, 260)), "person (2) in front of cow (1)"),
        (("cat", (120, 120, 180, 160)), ("box", (100, 100, 220, 200)), "cat (1) in box (2)"),
    ],
)
def test_of_things_that_are_not_side_by_side_the_most_telling_way_is_told(
    one: tuple[str, Box], other: tuple[str, Box], relation: str
) -> None:
    assert texts(track(1, *one), track(2, *other)) == [relation]


def test_what_is_told_is_what_find_holds_to_be_true() -> None:
    """Whatever is told about boxes holds by the function that judges phrases."""
    kinds = {
        "left of": "left",
        "above": "above",
        "on": "on",
        "in": "inside",
        "next to": "beside",
        "in front of": "front",
    }
    chance = np.random.default_rng(3)
    seen = set[str]()
    for _ in range(200):
        corners, sizes = chance.uniform(0, 300, (2, 2)), chance.uniform(20, 200, (2, 2))
        boxes = np.concatenate([corners, corners + sizes], axis=1)
        names = chance.permutation(["dog", "sofa", "basket", "car"])
        for each in told(*(track(number, str(names[number]), tuple(boxes[number])) for number in (0, 1))):
            one, other = boxes[[each.subject_track]], boxes[[each.object_track]]
            assert HOLDS[kinds[each.relation]](one, other)[0, 0] >= 0.5
            seen.add(each.relation)
    assert seen == kinds.keys()


def test_who_moves_toward_or_after_whom_is_told() -> None:
    right = Movement("moving right", 1.0, 0.0)
    dog = track(1, "dog", (0, 100, 60, 160), (20, 0, 20, 0), right)
    post, car = track(2, "post", (300, 100, 360, 160)), track(3, "car", (90, 100, 160, 160), (20, 0, 20, 0), right)
    assert "dog (1) moves toward post (2)" in texts(dog, post)
    assert [each for each in texts(dog, car) if "follows" in each] == ["dog (1) follows car (3)"]
    away = track(1, "dog", (200, 100, 260, 160), (-20, 0, -20, 0), Movement("moving left", 1.0, 180.0))
    assert not [each for each in texts(away, post) if "moves" in each]


def test_a_relation_has_the_moments_in_which_it_holds() -> None:
    """The dog is first left of the cat, and passes it in the sixth picture."""
    dog, cat = track(1, "dog", (0, 100, 60, 160), (30, 0, 30, 0)), track(2, "cat", (180, 100, 240, 160))
    way = next(each for each in told(dog, cat, least_held=0.5) if each.relation == "left of")
    assert (way.subject, way.start_s) == ("dog", 0.0)
    assert 0.75 <= way.end_s < TIMES_S[-1]


def test_what_has_no_sure_name_or_is_part_of_another_one_has_no_relation() -> None:
    dog, cat = track(1, "dog", (200, 100, 260, 160)), track(2, "", (100, 100, 160, 160))
    assert texts(dog, cat) == []
    assert texts(dog, track(2, "dog", (205, 105, 240, 140))) == []
    assert texts(dog, track(2, "cat", (100, 100, 160, 160)), least_probability=0.95) == []
    assert len(told(dog, track(2, "cat", (100, 100, 160, 160)), most=1)) == 1


def test_relations_run_with_tracks_if_they_are_asked_for() -> None:
    def groups(**tree: Any) -> dict[str, tuple[str, ...]]:
        return {group.name: group.stages for group in make_plan(make_config(tree)).groups}

    assert groups()["track"] == ("track",)
    assert groups(stages={"relations": {"most": 3}})["track"] == ("track", "relations")
    with pytest.raises(ConfigError, match="relations: they are those of tracks, and none are followed"):
        groups(stages={"relations": {}}, follow={"which": "none"})
    with pytest.raises(ConfigError, match=r"relations\.most is 0; expected at least 1"):
        groups(stages={"relations": {"most": 0}})
