import pytest

from benchmarks.watch import interval, largest
from benchmarks.watch_sides import Seen, summed_up


@pytest.mark.parametrize(("limit", "first"), [(0, 8), (2, 8), (6, 8), (8, 8), (14, 8), (30, 8), (31, 4), (128, 8)])
def test_the_search_finds_the_largest_even_number_that_is_kept(limit: int, first: int) -> None:
    tried: list[int] = []

    def keeps(count: int) -> bool:
        tried.append(count)
        return count <= limit

    assert largest(keeps, first) == limit - limit % 2
    assert len(tried) == len(set(tried)) <= 10


def seen(missing: int = 0, slow: int = 0) -> list[Seen]:
    """100 s of two cameras; the second lacks some clips and has some old answers."""
    moving = [Seen("moving1", 2.0 * number, 0.5) for number in range(50)]
    still = [Seen("still1", 2.0 * number, 4.0 if number < slow + missing else 0.2) for number in range(missing, 50)]
    return moving + still


def test_a_side_that_answers_every_clip_in_time_keeps_up() -> None:
    outcome = summed_up("percept", ["moving1", "still1"], seen(), 100.0)
    assert (outcome.age_p50_s, outcome.age_p99_s, outcome.age_p99_of_still_s) == (0.2, 0.5, 0.2)
    assert (outcome.results, outcome.share_kept, outcome.least_kept) == (100, 1.0, 1.0)
    assert outcome.keeps(3.0)


def test_a_side_that_skips_clips_or_is_late_does_not_keep_up() -> None:
    assert not summed_up("percept", ["moving1", "still1"], seen(missing=5), 100.0).keeps(3.0)
    assert not summed_up("percept", ["moving1", "still1"], seen(slow=2), 100.0).keeps(3.0)
    assert not summed_up("percept", ["moving1", "still1", "still2"], seen(), 100.0).keeps(3.0)


def test_an_interval_is_shown_with_its_unit() -> None:
    assert interval({"value": 0.01, "low": -0.02, "high": 0.04}, "s") == "+0.010 [-0.020, +0.040] s"
    assert interval({}, "s") == "unknown"
