"""When a camera makes events: windows of local time in a named zone, with its daylight saving.

A window is a stretch of the local clock. Where clocks go forward, the part that does not exist is left out; where they
go back, an hour that occurs twice counts twice. `daily 00:00-24:00` so has 23 h, 24 h or 25 h.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, available_timezones

from live.settings import Schedule
from pipeline.config import did_you_mean
from pipeline.errors import ConfigError

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MINUTES = 24 * 60
HORIZON_DAYS = 16
"""A schedule repeats each week; one window of a week may not exist where clocks go forward."""
_WINDOW = re.compile(r"\s*(?:([a-z, -]+?)\s+)?(\d{1,2}):(\d{2})\s*-\s*(\d{1,2}):(\d{2})\s*", re.IGNORECASE)


@dataclass(frozen=True)
class Window:
    """A stretch of the local clock that begins on some days of the week, 0 for Monday."""

    days: frozenset[int]
    start_min: int
    """Minutes after local midnight."""
    end_min: int
    """Not included; more than 24 h where it goes over midnight."""

    def holds(self, local: datetime) -> bool:
        minute = local.hour * 60 + local.minute
        today, yesterday = local.weekday(), (local.weekday() - 1) % 7
        return (today in self.days and self.start_min <= minute < self.end_min) or (
            yesterday in self.days and minute + MINUTES < self.end_min
        )


def is_active(schedule: Schedule, at: datetime) -> bool:
    """Whether events may begin at this time, which has an offset."""
    windows = windows_of(schedule.active)
    local = at.astimezone(zone_of(schedule.zone))
    return not windows or any(window.holds(local) for window in windows)


def next_change(schedule: Schedule, after: datetime) -> datetime | None:
    """When `is_active` changes next, in UTC; None: never."""
    if not schedule.active:
        return None
    now = is_active(schedule, after)
    for instant in sorted(_borders(schedule, after)):
        if instant > after and is_active(schedule, instant) != now:
            return instant
    return None


def _borders(schedule: Schedule, after: datetime) -> Iterator[datetime]:
    """Instants, in UTC, at which the schedule may change: the borders of its windows and the changes of the clock."""
    zone = zone_of(schedule.zone)
    first = after.astimezone(zone).date() - timedelta(days=1)
    minutes = {0} | {of % MINUTES for each in windows_of(schedule.active) for of in (each.start_min, each.end_min)}
    for number in range(HORIZON_DAYS + 1):
        day = first + timedelta(days=number)
        for minute in minutes:
            local = datetime.combine(day, time(minute // 60, minute % 60), zone)
            yield from (local.replace(fold=fold).astimezone(UTC) for fold in (0, 1))
        yield from _clock_change(zone, day)


def _clock_change(zone: ZoneInfo, day: date) -> Iterator[datetime]:
    """The instant of a local day at which its offset from UTC changes, if there is one."""
    low = datetime.combine(day, time(), zone).astimezone(UTC)
    high = datetime.combine(day + timedelta(days=1), time(), zone).astimezone(UTC)
    offset = low.astimezone(zone).utcoffset()
    if high.astimezone(zone).utcoffset() == offset:
        return
    while high - low > timedelta(seconds=1):
        middle = (low + (high - low) / 2).replace(microsecond=0)
        if middle.astimezone(zone).utcoffset() == offset:
            low = middle
        else:
            high = middle
    yield high


def problems(schedule: Schedule) -> list[str]:
    """What is wrong with a schedule, a sentence each."""
    found = []
    try:
        zone_of(schedule.zone)
    except ConfigError as error:
        found.append(str(error))
    for text in schedule.active:
        try:
            window_of(text)
        except ConfigError as error:
            found.append(str(error))
    return found


@lru_cache(maxsize=256)
def zone_of(name: str) -> ZoneInfo:
    """Raises: ConfigError: there is no such zone."""
    try:
        return ZoneInfo(name)
    except (OSError, ValueError, KeyError):
        hint = did_you_mean(name, available_timezones())
        raise ConfigError(f"zone is {name!r}{hint}; expected the name of a time zone, such as Europe/Berlin") from None


@lru_cache(maxsize=256)
def windows_of(texts: tuple[str, ...]) -> tuple[Window, ...]:
    return tuple(map(window_of, texts))


def window_of(text: str) -> Window:
    """`Mon-Fri 08:00-18:00`, `Sat, Sun 22:00-06:00`, `daily 00:00-24:00`, or `08:00-18:00` for every day.

    Raises:
        ConfigError: it is none.
    """
    match = _WINDOW.fullmatch(text)
    if not match:
        raise ConfigError(f"active has {text!r}; expected days and times, such as Mon-Fri 08:00-18:00")
    days = _days(match.group(1) or "daily", text)
    start, end = (int(match.group(at)) * 60 + int(match.group(at + 1)) for at in (2, 4))
    if start >= MINUTES or end > MINUTES or int(match.group(3)) > 59 or int(match.group(5)) > 59:
        raise ConfigError(f"active has {text!r}; expected times from 00:00 to 24:00")
    if start == end:
        raise ConfigError(f"active has {text!r}, which is empty; expected two times, such as 00:00-24:00 for all day")
    return Window(days, start, end if end > start else end + MINUTES)


def _days(text: str, window: str) -> frozenset[int]:
    found: set[int] = set()
    for part in text.lower().replace(",", " ").replace(" - ", "-").split():
        if part in ("daily", "every", "day"):
            found.update(range(7))
            continue
        first, dash, last = part.partition("-")
        names = [name[:3] for name in ((first, last) if dash else (first, first))]
        if any(name not in DAYS for name in names):
            raise ConfigError(f"active has {window!r}; expected days such as Mon-Fri, Sat or daily, not {part!r}")
        low, high = map(DAYS.index, names)
        found.update(day % 7 for day in range(low, high + 1 if high >= low else high + 8))
    return frozenset(found)
