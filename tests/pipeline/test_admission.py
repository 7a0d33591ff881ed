"""Newest wins, under any order of what can happen to the clips of two sources in two groups."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from pipeline.admission import Admission

PLACES = [(source, group) for source in range(2) for group in range(2)]


class Clips:
    """What happens to clips at one place, and what must hold."""

    def __init__(self) -> None:
        self.next = 0
        self.waiting: int | None = None
        self.working: int | None = None
        self.fates: Counter[int] = Counter()


@given(st.lists(st.tuples(st.sampled_from(PLACES), st.sampled_from(["arrive", "begin", "settle", "die"])), max_size=80))
def test_one_clip_is_in_work_and_the_newest_other_one_waits(steps: list[tuple[tuple[int, int], str]]) -> None:
    admission, places = Admission(), {place: Clips() for place in PLACES}
    for place, step in steps:
        clips = places[place]
        assert admission.may_begin(place) == (clips.working is None)
        superseded = None
        if step == "arrive":
            superseded = admission.arrive(place, clips.next)
            older, clips.waiting, clips.next = clips.waiting, clips.next, clips.next + 1
            assert superseded == older
        elif step == "begin" and clips.waiting is not None and clips.working is None:
            admission.begin(place, clips.waiting)
            clips.working, clips.waiting = clips.waiting, None
        elif step == "settle" and clips.working is not None:
            admission.leave(place, clips.working)
            clips.fates[clips.working] += 1
            clips.working = None
        elif step == "die" and clips.working is not None:
            superseded = admission.give_back(place, clips.working)
            both = {clips.working, clips.waiting} - {None}
            assert superseded == (min(both) if len(both) == 2 else None)
            clips.waiting, clips.working = max(both), None
        if superseded is not None:
            clips.fates[superseded] += 1
    for place, clips in places.items():
        there = {clips.waiting, clips.working} - {None}
        assert {index: clips.fates[index] + (index in there) for index in range(clips.next)} == dict.fromkeys(
            range(clips.next), 1
        ), place


def test_a_clip_that_was_given_up_elsewhere_makes_room() -> None:
    admission = Admission()
    admission.arrive((0, 0), 5)
    admission.begin((0, 0), 5)
    admission.leave((0, 0), 4)
    assert not admission.may_begin((0, 0))
    admission.leave((0, 0), 5)
    assert admission.may_begin((0, 0))
    assert admission.arrive((0, 0), 6) is None
