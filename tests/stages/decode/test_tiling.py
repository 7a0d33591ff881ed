"""Tiles, cells and repaired times."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from stages.decode.reader import NS
from stages.decode.tiling import ROUNDING_NS, Tiling, spread_indices
from stages.decode.timeline import Timeline

seconds = st.integers(1, 20).map(lambda tenths: tenths * NS // 10)


@given(anchor=st.integers(0, 100 * NS), clip=seconds, pause=st.integers(0, 5 * NS), time=st.integers(0, 200 * NS))
def test_a_time_is_in_the_tile_that_is_found_for_it(anchor: int, clip: int, pause: int, time: int) -> None:
    tiling = Tiling(anchor, clip, clip + pause, 8.0)
    place = tiling.locate(time)
    if place is None:
        assert all(
            not tiling.start_ns(k) <= time + ROUNDING_NS < tiling.end_ns(k) for k in range((time - anchor) // clip + 2)
        )
    else:
        assert tiling.start_ns(place.tile) <= time + ROUNDING_NS < tiling.end_ns(place.tile)
        assert 0 <= place.cell <= clip * 8 // NS


@given(count=st.integers(0, 60), limit=st.integers(1, 30))
def test_thinning_keeps_order_and_the_first(count: int, limit: int) -> None:
    kept = spread_indices(count, limit)
    assert len(kept) == min(count, limit)
    assert kept == sorted(set(kept))
    assert not kept or kept[0] == 0
    assert limit == 1 or not kept or kept[-1] == count - 1


@given(st.lists(st.one_of(st.none(), st.integers(0, 100 * NS)), max_size=50))
def test_repaired_times_increase(raw: list[int | None]) -> None:
    timeline = Timeline(NS // 25)
    times = [timeline.place(time, 0)[0] for time in raw]
    assert all(one < next_one for one, next_one in itertools.pairwise(times))


def test_missing_times_follow_the_frame_duration() -> None:
    timeline = Timeline(NS // 10)
    assert [timeline.place(None, 0) for _ in range(3)] == [(0, True), (NS // 10, True), (NS // 5, True)]
