"""Compares what became of a clock film with what is right: shifts, losses, and a verdict."""

import math
import statistics
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.cases_expected import Expected, Steps
from benchmarks.cases_read import WINDOW_S, Look, Section
from tests.clock_film import DARK, FRACTION_LEVELS, HZ_PER_S, LOWEST_HZ

SHIFT_S = 0.1
"""Largest shift that is right. Encoder delay of sound and the length of a picture are below it."""
LOST_S = 0.25
"""Most that may be lost in all."""
LOST_OF_SECOND_S = 0.12
"""Less missing of a single second is not counted: a picture, or the pieces of sound at its ends."""
NEXT_S = 0.2
"""Moments closer than this follow each other."""
END_S = 0.15
ROUND = (0.9, 1.1)


@dataclass(frozen=True)
class Moment:
    """A picture or a piece of sound, the time it tells, and how long it lasts."""

    time_s: float
    told_s: float
    lasts_s: float

    @property
    def second(self) -> int:
        return math.floor(self.told_s + 1e-3)


@dataclass(frozen=True)
class Track:
    """How late picture or sound are in seconds, and how much is lost. NaN: it tells no time."""

    median_s: float = math.nan
    largest_s: float = math.nan
    lost_s: float = math.nan
    foreign_s: float = 0.0
    """Seconds that tell what the film does not contain."""


@dataclass(frozen=True)
class Verdict:
    """One line of the table."""

    look: Look
    picture: Track
    sound: Track
    wrong: tuple[str, ...]


def judge(look: Look, expected: Expected) -> Verdict:
    """The verdict on the best of the right results; the first one if all are wrong."""
    verdicts = [judged(look, expected)]
    if expected.or_else is not None:
        verdicts.append(judged(look, expected.or_else))
    return next((verdict for verdict in verdicts if not verdict.wrong), verdicts[0])


def judged(look: Look, expected: Expected) -> Verdict:
    if look.failure and not look.sections:
        return Verdict(look, Track(), Track(), () if expected.may_refuse else (f"failed: {look.failure}",))
    picture = track(pictures(look.sections, expected), expected.picture, expected)
    sound = track(sounds(look.sections, expected), expected.sound, expected)
    wrong = [*wrong_content(look, expected), *wrong_track("picture", picture)]
    if not any(word in text for word in expected.says for text in (*look.said, look.failure)):
        wrong += [*wrong_extent(look, expected), *wrong_track("sound", sound)]
    return Verdict(look, picture, sound, tuple(wrong))


def pictures(sections: Sequence[Section], expected: Expected) -> list[Moment]:
    """All pictures. Each lasts until the next one, or its section's end."""
    moments = []
    for section in sections:
        times = [time_s for time_s, *_ in section.pictures]
        ends = [*times[1:], section.end_s]
        for number, (time_s, upper, lower) in enumerate(section.pictures):
            told_s = (upper - DARK) / expected.level
            told_s = round(told_s) + (max(0.0, lower - DARK) / FRACTION_LEVELS if expected.is_even else 0.0)
            begin_s = section.start_s if number == 0 and time_s - section.start_s < NEXT_S else time_s
            moments.append(Moment(time_s, told_s, max(0.0, ends[number] - begin_s)))
    return moments


def sounds(sections: Sequence[Section], expected: Expected) -> list[Moment]:
    """All pieces of sound. With steps, those between two of them are left out."""
    moments = []
    for section in sections:
        for time_s, hz in section.sound:
            told_s = (hz - LOWEST_HZ) / HZ_PER_S
            if not expected.is_even and abs(told_s - round(told_s)) > 0.2:
                continue
            moments.append(Moment(time_s, told_s if expected.is_even else round(told_s), WINDOW_S))
    return moments


def track(moments: Sequence[Moment], steps: Steps | None, expected: Expected) -> Track:
    """Shifts and losses of picture or sound."""
    if steps is None:
        return Track()
    found: dict[int, float] = defaultdict(float)
    for moment in moments:
        found[moment.second] += moment.lasts_s
    right = durations(steps, expected.end_s)
    missing = [length_s - found[second] for second, length_s in right.items()]
    lost_s = sum(each for each in missing if each > LOST_OF_SECOND_S)
    foreign_s = sum(length_s for second, length_s in found.items() if second not in right)
    bounds: list[float] = []
    if expected.is_even:
        shifts = even_shifts(moments, steps)
    else:
        shifts, bounds = step_shifts(moments, steps, expected.end_s)
    if not shifts and not bounds:
        return Track(lost_s=lost_s, foreign_s=foreign_s)
    return Track(statistics.median(shifts or bounds), max((*shifts, *bounds), key=abs), lost_s, foreign_s)


def durations(steps: Steps, end_s: float) -> dict[int, float]:
    """How long each second is told."""
    lengths: dict[int, float] = defaultdict(float)
    for start_s, until_s, second in stretches(steps, end_s):
        lengths[second] += until_s - start_s
    return dict(lengths)


def stretches(steps: Steps, end_s: float) -> list[tuple[float, float, int]]:
    """Start, end and the second told."""
    ends = [*(start_s for start_s, _ in steps[1:]), end_s]
    pairs = zip(steps, ends, strict=True)
    return [(start_s, until_s, second) for (start_s, second), until_s in pairs if second is not None]


def even_shifts(moments: Sequence[Moment], steps: Steps) -> list[float]:
    """How late each moment is that does not repeat the one before."""
    origin_s = next(second - math.floor(start_s) for start_s, second in steps if second is not None)
    pairs = zip([None, *moments], moments, strict=False)
    fresh = [now for before, now in pairs if before is None or abs(before.told_s - now.told_s) > 0.015]
    return [moment.time_s - (moment.told_s - origin_s) for moment in fresh]


def step_shifts(moments: Sequence[Moment], steps: Steps, end_s: float) -> tuple[list[float], list[float]]:
    """How late each step is, from a second that is told to another; and how late other moments are at least."""
    places: dict[int, list[tuple[float, float]]] = defaultdict(list)
    for start_s, until_s, second in stretches(steps, end_s):
        places[second].append((start_s, until_s))
    exact: list[float] = []
    bounds: list[float] = []
    before: Moment | None = None
    for now in moments:
        follows = before is not None and before.second != now.second and now.time_s - before.time_s < NEXT_S
        earliest_s = before.time_s if before is not None and follows else None
        late = [lateness(now.time_s, earliest_s, *place) for place in places[now.second]]
        if late:
            (exact if follows else bounds).append(min(late, key=abs))
        before = now
    return exact, bounds


def lateness(time_s: float, earliest_s: float | None, start_s: float, until_s: float) -> float:
    """How late a moment is whose second should be told from `start_s` to `until_s`.

    With `earliest_s`, the moment before it, it is the first of its second. Without, it is at least so late.
    """
    if earliest_s is None:
        return min(0.0, time_s - start_s + NEXT_S) + max(0.0, time_s - until_s - NEXT_S)
    if earliest_s < start_s <= time_s:
        return 0.0
    return time_s - start_s if time_s < start_s else earliest_s - start_s


def wrong_content(look: Look, expected: Expected) -> list[str]:
    wrong = []
    if expected.loudness_db is not None:
        low, high = expected.loudness_db
        if not low <= look.loudness_db <= high:
            wrong.append(f"sound of {look.loudness_db:.0f} dBFS, not {low:g} to {high:g}")
    if expected.is_disc:
        ratios = [section.disc for section in look.sections]
        if not all(ratio is not None and ROUND[0] < ratio < ROUND[1] for ratio in ratios):
            shown = ", ".join("none" if ratio is None else f"{ratio:.2f}" for ratio in ratios)
            wrong.append(f"width over height of the disc {shown}")
    return wrong


def wrong_extent(look: Look, expected: Expected) -> list[str]:
    wrong = [f"failed: {look.failure}"] if look.failure else []
    if look.errors > expected.errors:
        wrong.append(f"{look.errors} decode errors")
    if expected.clips is not None and len(look.sections) != expected.clips:
        wrong.append(f"{len(look.sections)} clips, not {expected.clips}")
    if abs(look.end_s - expected.end_s) > END_S:
        wrong.append(f"end {look.end_s:.2f} s, not {expected.end_s:g}")
    return wrong


def wrong_track(kind: str, found: Track) -> list[str]:
    wrong = []
    if abs(found.largest_s) > SHIFT_S:
        wrong.append(f"{kind} {found.largest_s:+.2f} s late")
    if found.lost_s > LOST_S:
        wrong.append(f"{found.lost_s:.1f} s of {kind} lost")
    if found.foreign_s > LOST_S:
        wrong.append(f"{found.foreign_s:.1f} s of {kind} from elsewhere")
    return wrong
