"""The console of a command: results, log lines, progress, and what is said at the end.

On a terminal, progress is a live area below everything else. Otherwise it is a log line every ten seconds.
"""

import argparse
import logging
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, TextIO

from commands.progress import Pace, clock_text, run_lines
from commands.rows import RowLines
from commands.screen import Screen
from pipeline.logs import is_terminal, lines_to, log, redact, start_logging
from pipeline.status import Notice, Row, Status

if TYPE_CHECKING:
    from rich.text import Text

LIVE_EVERY_S = 0.2
LINE_EVERY_S = 10.0


def add_console_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("messages on stderr")
    group.add_argument("-q", "--quiet", action="store_true", help="log errors only")
    group.add_argument("-v", "--verbose", action="store_true", help="log everything")
    group.add_argument("--log-json", action="store_true", help="log JSON lines")
    group.add_argument("--progress-every", type=float, default=LINE_EVERY_S, help=argparse.SUPPRESS)  # for Python


class Console:
    """Logs messages and shows results and progress. Use it as a context, which leaves the terminal as it was.

    live: progress is shown below everything else, otherwise logged. as_fields: progress and accounts are logged as
    fields, not as sentences. rows: where rows of results go; None if they are not shown.
    """

    def __init__(
        self,
        stream: TextIO | None = None,
        *,
        live: bool,
        as_fields: bool = True,
        rows: TextIO | None = None,
        line_every_s: float = LINE_EVERY_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        stream = stream or sys.stderr
        self.as_fields, self.pace = as_fields, Pace()
        self._live, self._clock, self._line_every_s = live, clock, line_every_s
        self._screen = Screen(rows if rows and live else stream)
        self._rows_screen = self._screen if live or rows is None else Screen(rows)
        self._shown_s = clock() - (LIVE_EVERY_S if live else 0.0)
        self._row_lines = RowLines(1)
        self._has_rows = rows is not None and stream.isatty()

    @classmethod
    def of(cls, options: argparse.Namespace, *, rows: bool = False, is_shared: bool = False) -> "Console":
        """Start logging and make the console, according to -q, -v and --log-json.

        rows: the terminal shows rows. is_shared: others write on it too, so nothing is live.
        """
        start_logging(1 if options.verbose else -1 if options.quiet else 0, options.log_json)
        loud = not options.quiet and not options.log_json
        live = loud and is_terminal(sys.stderr) and not is_shared
        as_fields = options.log_json or not sys.stderr.isatty()
        return cls(
            live=live, as_fields=as_fields, rows=sys.stdout if rows else None, line_every_s=options.progress_every
        )

    def __enter__(self) -> "Console":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Write what is left, and remove the live lines. Log lines go to stderr again."""
        lines_to(None)
        for screen in (self._screen, self._rows_screen):
            screen.close()

    def expect(self, weights: Sequence[float]) -> None:
        """The sources of a run, and how much each of them counts."""
        self.pace, self._row_lines = Pace(weights), RowLines(len(weights))

    def say(self, text: str) -> None:
        log(logging.INFO, text)

    def warn(self, text: str) -> None:
        log(logging.WARNING, text)

    def item(self, text: str) -> None:
        """Show a line about one of many, such as a clip: on a terminal, otherwise only with -v."""
        log(logging.INFO if self._live else logging.DEBUG, text)

    def detail(self, text: str) -> None:
        """Log what only -v shows."""
        log(logging.DEBUG, text)

    def notice(self, notice: Notice) -> None:
        """Log a notice of a run at its level, unless a row on the same terminal says it."""
        if notice.in_results and self._has_rows:
            return
        log(logging.getLevelNamesMapping()[notice.level.upper()], notice.text, **notice.fields)

    def rows(self, rows: Sequence[Row]) -> None:
        """Show results."""
        self._rows_screen.print(lambda width: self._row_lines.lines(rows, width))

    def print(self, lines: Sequence["Text"]) -> None:
        """Print closing lines on the terminal."""
        self._screen.print(lambda width: lines)

    def status(self, status: Status) -> None:
        """Show the progress of a run. It may be called at any rate."""
        self.pace.add(status)
        if self._is_due():
            fields = status_fields(status, self.pace.left_s(status))
            self._show(lambda width: run_lines(status, self.pace, width), "progress", fields)

    def line(self, text: str, message: str, fields: Mapping[str, object]) -> None:
        """Show a live line; without a terminal, log a message with fields now and then."""
        if self._is_due():
            self._show(lambda width: [_text(text[: max(1, width - 1)])], message, fields)

    def steps(self, what: str) -> "Steps":
        """A counter of steps. It measures time from its first step."""
        return Steps(self, what, self._clock)

    def step(self, what: str, done: int, total: int, left_s: float | None, facts: Mapping[str, float]) -> None:
        """Show one step of a counter. Without a terminal, the last one is always logged."""
        if not self._is_due() and (self._live or done < total):
            return
        left = {} if left_s is None else {"left_s": round(left_s)}
        fields: dict[str, object] = {"done": done, "total": total, **left, **facts}
        self._show(lambda width: [_text(step_line(what, done, total, left_s, facts))], what, fields)

    def clear(self) -> None:
        """Remove the live lines, until the next ones."""
        if self._live:
            self.close()

    def _is_due(self) -> bool:
        return self._clock() - self._shown_s >= (LIVE_EVERY_S if self._live else self._line_every_s)

    def _show(self, lines: Callable[[int], Sequence["Text"]], message: str, fields: Mapping[str, object]) -> None:
        self._shown_s = self._clock()
        if self._live:
            lines_to(self._print_log)
            self._screen.show(lines)
        else:
            log(logging.INFO, message, **fields)

    def _print_log(self, line: str) -> None:
        from rich.text import Text

        self._screen.print(lambda width: [Text.from_ansi(line)])


class Steps:
    """Counts steps of one kind: `steps(done, total, failed)`. It may be called at any rate."""

    def __init__(self, console: Console, what: str, clock: Callable[[], float]) -> None:
        self._console, self._what, self._clock = console, what, clock
        self._began_s: float | None = None
        self._first = 0

    def __call__(self, done: int, total: int, failed: int = 0, facts: Mapping[str, float] | None = None) -> None:
        now_s = self._clock()
        if self._began_s is None:  # the time before the first step, such as loading networks, does not count
            self._began_s, self._first = now_s, done
        made = done - self._first
        left_s = (now_s - self._began_s) / made * (total - done) if made > 0 else None
        self._console.step(self._what, done, total, left_s, ({"failed": failed} if failed else {}) | dict(facts or {}))
        if done >= total:
            self._console.clear()


def step_line(what: str, done: int, total: int, left_s: float | None, facts: Mapping[str, float]) -> str:
    """`training head: 120 of 400, 0:28 left, loss 2.31, base 61.2`"""
    left = "" if left_s is None else f", {clock_text(left_s)} left"
    return f"{what}: {done} of {total}{left}" + "".join(f", {name} {value:.4g}" for name, value in facts.items())


def status_fields(status: Status, left_s: float | None = None) -> dict[str, object]:
    """The fields of a progress line in the log. What is not known yet is left out."""
    at = status.position
    known: dict[str, object] = {"phase": status.phase}
    if status.phase == "build":
        return known | {"elapsed_s": round(status.elapsed_s, 1)}
    if at.source_number:
        known |= {"source": redact(at.source), "source_number": at.source_number, "sources": at.source_count}
        known |= {"clip": at.clip} if at.clip >= 0 else {}
        known |= {"position_s": round(at.position_s, 2)}
        known |= {} if at.duration_s is None else {"duration_s": round(at.duration_s, 2)}
        known |= {} if at.end_s is None else {"end_s": round(at.end_s, 2)}
    known |= {
        "clips_in": status.clips_in,
        "results": status.results,
        "failed": status.errors,
        "dropped": status.drops,
        "in_flight": status.in_flight,
        "clips_per_s": round(status.clips_per_s, 2),
        "x_real_time": round(status.x_real_time, 2),
    }
    known |= {"slowest": status.slowest_group} if status.slowest_group else {}
    known |= {} if left_s is None else {"left_s": round(left_s)}
    for each in status.writing:
        known |= {"writing": each.path, "written": each.done, "to_write": each.total}
    return known | {"elapsed_s": round(status.elapsed_s, 1)}


def _text(line: str) -> "Text":
    from rich.text import Text

    return Text(line)
