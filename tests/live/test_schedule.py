"""Schedules in named time zones, through both changes of the clock."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from live.schedule import is_active, next_change, problems, window_of
from live.settings import Schedule
from pipeline.errors import ConfigError

BERLIN = ZoneInfo("Europe/Berlin")
MINUTE = timedelta(minutes=1)


def berlin(*windows: str) -> Schedule:
    return Schedule(zone="Europe/Berlin", active=windows)


def at(text: str) -> datetime:
    """A local time in Berlin, such as "2026-06-01 08:00"."""
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN)


def active_minutes(schedule: Schedule, start: datetime, end: datetime) -> int:
    """How many minutes of real time between two instants are active."""
    first, count = start.astimezone(UTC), int((end.astimezone(UTC) - start.astimezone(UTC)) / MINUTE)
    return sum(is_active(schedule, first + minute * MINUTE) for minute in range(count))


def test_without_windows_it_is_always_active() -> None:
    assert is_active(Schedule(), datetime.now(UTC))
    assert next_change(Schedule(), datetime.now(UTC)) is None


@pytest.mark.parametrize(
    ("window", "local", "expected"),
    [
        ("Mon-Fri 08:00-18:00", "2026-06-01 08:00", True),  # a Monday
        ("Mon-Fri 08:00-18:00", "2026-06-01 07:59", False),
        ("Mon-Fri 08:00-18:00", "2026-06-01 18:00", False),
        ("Mon-Fri 08:00-18:00", "2026-06-06 12:00", False),
        ("Sat 22:00-06:00", "2026-06-06 23:00", True),
        ("Sat 22:00-06:00", "2026-06-07 05:59", True),
        ("Sat 22:00-06:00", "2026-06-06 05:00", False),
        ("Fri-Mon 10:00-11:00", "2026-06-07 10:30", True),
        ("Fri-Mon 10:00-11:00", "2026-06-02 10:30", False),
        ("sat, sun 10:00-11:00", "2026-06-07 10:30", True),
        ("Monday-Friday 8:00-9:00", "2026-06-03 08:30", True),
        ("22:00-24:00", "2026-06-03 23:59", True),
        ("daily 00:00-24:00", "2026-06-03 23:59", True),
    ],
)
def test_a_window_is_of_local_time(window: str, local: str, expected: bool) -> None:
    assert is_active(berlin(window), at(local)) is expected


def test_a_day_has_23_or_25_hours_where_the_clock_changes() -> None:
    for day, hours in (("2026-03-29", 23), ("2026-10-25", 25), ("2026-06-01", 24)):
        start = at(f"{day} 00:00")
        end = at((start.replace(tzinfo=None) + timedelta(days=1)).isoformat())
        assert active_minutes(berlin("daily 00:00-24:00"), start, end) == 60 * hours
        assert (end.astimezone(UTC) - start.astimezone(UTC)) == timedelta(hours=hours)


def test_an_hour_that_occurs_twice_is_active_twice_and_one_that_never_occurs_not_at_all() -> None:
    window = berlin("daily 02:00-03:00")
    assert active_minutes(window, at("2026-10-25 00:00"), at("2026-10-25 12:00")) == 120
    assert active_minutes(window, at("2026-03-29 00:00"), at("2026-03-29 12:00")) == 0
    assert active_minutes(berlin("daily 02:30-03:30"), at("2026-03-29 00:00"), at("2026-03-29 12:00")) == 30


def test_a_window_over_midnight_goes_through_the_change_of_the_clock() -> None:
    window = berlin("Sat 22:00-06:00")
    assert active_minutes(window, at("2026-10-24 12:00"), at("2026-10-25 12:00")) == 9 * 60
    assert active_minutes(window, at("2026-03-28 12:00"), at("2026-03-29 12:00")) == 7 * 60


def test_a_window_in_the_hour_that_occurs_twice_changes_four_times() -> None:
    schedule, now, changes = berlin("daily 01:30-02:30"), at("2026-10-25 01:00").astimezone(UTC), []
    for _ in range(4):
        change = next_change(schedule, now)
        assert change is not None
        now = change
        changes.append(f"{now:%H:%M}")
    assert changes == ["23:30", "00:30", "01:00", "01:30"]


ZONES = st.sampled_from(["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "UTC"])
WINDOWS = st.sampled_from(
    ["Mon-Fri 08:00-18:00", "Sat 22:00-06:00", "daily 01:30-02:30", "Sun 00:00-24:00", "Wed 23:59-00:01"]
)
INSTANTS = st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 1)).map(lambda time: time.replace(tzinfo=UTC))


@settings(deadline=None)
@given(ZONES, st.lists(WINDOWS, min_size=1, max_size=3, unique=True), INSTANTS)
def test_the_next_change_is_the_first_at_which_it_changes(zone: str, windows: list[str], now: datetime) -> None:
    schedule = Schedule(zone=zone, active=tuple(windows))
    change = next_change(schedule, now)
    assert change is not None
    before = is_active(schedule, now)
    assert is_active(schedule, change) != before
    steps = int((change - now) / (7 * MINUTE))
    probes = [now + number * 7 * MINUTE for number in range(min(steps, 400) + 1)] + [change - timedelta(seconds=1)]
    assert all(is_active(schedule, probe) == before for probe in probes if now <= probe < change)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Mon",
        "08:00",
        "Mon 8-9",
        "Moo 08:00-09:00",
        "Mon 25:00-26:00",
        "Mon 08:60-09:00",
        "Mon 08:00-08:00",
        "Mon- 08:00-09:00",
    ],
)
def test_what_is_no_window_is_an_error_that_shows_it(text: str) -> None:
    with pytest.raises(ConfigError) as error:
        window_of(text)
    assert repr(text) in str(error.value)
    assert "Mon-Fri" in str(error.value) or "00:00" in str(error.value)


def test_an_unknown_zone_is_hinted_at() -> None:
    (problem,) = problems(Schedule(zone="Europe/Berln"))
    assert problem.startswith("zone is 'Europe/Berln' (did you mean 'Europe/Berlin'?); expected the name")
    assert problems(Schedule(zone="../../etc/passwd"))
    assert problems(berlin("Mon-Fri 08:00-18:00")) == []
