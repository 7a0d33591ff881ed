"""How far a run is: the part that is done, the time that is left, and the live lines that show both."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pipeline import result
from pipeline.sinks.rows import short_name
from pipeline.status import Position, Status, Writing

if TYPE_CHECKING:
    from rich.text import Text

MIN_BAR, MAX_BAR = 8, 40
_LEAST_S = 1.0
"""An estimate needs at least that much time since the first result."""


class Pace:
    """Progress over all sources. weights: how much each source counts, such as the bytes of its file."""

    def __init__(self, weights: Sequence[float] = ()) -> None:
        self._weights = list(weights)
        self._first: Status | None = None
        """When the first result came. The time before it, in which networks load, says nothing about the rest."""

    def add(self, status: Status) -> None:
        if self._first is None and status.position.source_number:
            self._first = status

    def fraction(self, status: Status) -> float | None:
        """The part of the run that is done, in [0, 1]; None if the end is unknown."""
        at = status.position
        if not at.source_number or at.end_s is None:
            return None
        weights = self._weights if len(self._weights) == at.source_count else [1.0] * at.source_count
        before, here = sum(weights[: at.source_number - 1]), weights[at.source_number - 1]
        return min(1.0, (before + here * done_of(at)) / (sum(weights) or 1.0))

    def left_s(self, status: Status) -> float | None:
        """Seconds until the last result, at the speed since the first one; None if that cannot be told yet."""
        first, now = self._first, self.fraction(status)
        began = None if first is None else self.fraction(first)
        if first is None or now is None or began is None:
            return None
        passed_s = status.elapsed_s - first.elapsed_s
        return passed_s * (1 - now) / (now - began) if passed_s >= _LEAST_S and now > began else None

    def x_real_time(self, status: Status) -> float:
        """Seconds of media per second since the first result."""
        first = self._first
        if first is None or status.elapsed_s - first.elapsed_s < _LEAST_S:
            return status.x_real_time
        return (status.media_s - first.media_s) / (status.elapsed_s - first.elapsed_s)


def done_of(at: Position) -> float:
    """The part of a source that is done, in [0, 1]; its end must be known."""
    assert at.end_s is not None
    length_s = at.end_s - at.start_s
    return min(1.0, max(0.0, (at.position_s - at.start_s) / length_s)) if length_s > 0 else 1.0


def run_lines(status: Status, pace: Pace, width: int) -> list["Text"]:
    """The live lines of a run: the results, then each output that lags behind."""
    return [_results_line(status, pace, width), *(_writing_line(each, width) for each in status.writing)]


def _results_line(status: Status, pace: Pace, width: int) -> "Text":
    """`talk.mp4 2/5  ━━━━━━──────  0:12/1:30  6.2×  1 failed  0:14 left`"""
    if status.phase == "build":
        return _fitted("building engines for later runs", None, ["Ctrl-C puts it off"], width)
    at = status.position
    doing = {"prepare": "preparing", "drain": "stopping"}.get(status.phase, "")
    if not at.source_number:
        return _fitted(f"{doing or 'loading'}", None, [f"{status.elapsed_s:.0f} s"], width)
    count = f" {at.source_number}/{at.source_count}" if at.source_count > 1 else ""
    name = (f"{doing}: " if doing else "") + short_name(at.source) + count
    left_s = pace.left_s(status)
    facts = [
        clock_text(at.position_s) + (f"/{clock_text(at.end_s)}" if at.end_s is not None else ""),
        f"{pace.x_real_time(status):.1f}×",
        f"{status.errors} failed" if status.errors else "",
        f"{status.drops} dropped" if status.drops else "",
        "" if left_s is None else f"{clock_text(left_s)} left",
    ]
    return _fitted(name, pace.fraction(status), facts, width)


def _writing_line(writing: Writing, width: int) -> "Text":
    """`writing talk-labelled.mp4  ━━━━────  40/60 clips`"""
    fraction = writing.done / max(1, writing.total)
    fact = f"{writing.done}/{writing.total} clips" if writing.done < writing.total else "finishing"
    return _fitted(f"writing {short_name(writing.path)}", fraction, [fact], width)


def _fitted(name: str, fraction: float | None, facts: Sequence[str], width: int) -> "Text":
    """Name, bar and facts in one line. Where it is narrow, the name is cut, then bar and facts go, from the left."""
    from rich.text import Text

    from commands.screen import cut

    kept = [fact for fact in facts if fact]
    while len(kept) > 1 and len("  ".join(kept)) + 2 + MIN_BAR > width:
        kept.pop(0)
    rest = "  ".join(kept)
    room = max(MIN_BAR, width - len(rest) - 2)
    with_bar = fraction is not None and room >= 2 * MIN_BAR + 2
    label = cut(Text(name, style="bold"), room - MIN_BAR - 2 if with_bar else room)
    line = Text.assemble(label, "  ")
    if with_bar and fraction is not None:
        bar(line, fraction, min(MAX_BAR, room - label.cell_len - 2))
        line.append("  ")
    return line.append(rest)


def bar(line: "Text", fraction: float, width: int) -> None:
    """Append `━━━━━━────`, which can be read without colours too."""
    done = round(fraction * width)
    line.append("━" * done, style="green")
    line.append("─" * (width - done), style="bright_black")


def clock_text(seconds: float) -> str:
    """`1:02` or `1:02:03`, whole seconds."""
    return result.clock_text(int(seconds))
