"""Rows of clips as coloured lines of a terminal."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pipeline.logs import visible
from pipeline.sinks.rows import BETWEEN, NOTHING, Headings, percent, problem_text, time_text, tracks_text
from pipeline.status import Row

if TYPE_CHECKING:
    from rich.text import Text

_TIME_COLUMNS = 9
_INDENT = 2
_STATES = {"error": "red", "dropped": "yellow", "gap": "bright_black"}


class RowLines:
    """Lines for rows, with a heading where another source begins."""

    def __init__(self, sources: int) -> None:
        self._headings = Headings(sources)
        self._time_columns = _TIME_COLUMNS

    def lines(self, rows: Sequence[Row], width: int) -> list["Text"]:
        from rich.text import Text

        lines: list[Text] = []
        for row in rows:
            if heading := self._headings.before(row):
                lines.append(Text(heading, style="bold"))
            lines += self._row(row, width)
        return lines

    def _row(self, row: Row, width: int) -> list["Text"]:
        """The time, and what is said about it. What does not fit goes to further lines under its beginning."""
        from rich.text import Text

        time = time_text(row)
        self._time_columns = max(self._time_columns, len(time))
        indent = self._time_columns + _INDENT
        if width - indent < 2 * _TIME_COLUMNS:
            indent = _INDENT
        between = BETWEEN if row.state == "result" else " "
        first, *others = wrapped(pieces(row), max(1, width - indent), between)
        if indent == _INDENT and time:
            return [Text(time, style="cyan"), *(Text(" " * indent).append_text(line) for line in (first, *others))]
        head = Text.assemble((f"{time:>{self._time_columns}}", "cyan"), " " * _INDENT, first)
        return [head, *(Text(" " * indent).append_text(line) for line in others)]


def pieces(row: Row) -> list["Text"]:
    """What is said about a clip: labels by probability, then the tracks; or the words that say why it has none."""
    from rich.text import Text

    if row.state != "result":
        return [Text(word, style=_STATES[row.state]) for word in problem_text(row).split()]
    found = [
        Text.assemble(
            (f"{visible(name)} ", "bold" if value >= row.sure else ""),
            (percent(value), "bold green" if value >= row.sure else "yellow"),
        )
        for name, value in row.labels
    ] or [Text(NOTHING, style="bright_black")]
    return [*found, Text(tracks_text(row), style="bright_black")] if row.tracks else found


def wrapped(parts: Sequence["Text"], width: int, between: str = BETWEEN) -> list["Text"]:
    """Parts in lines of at most so many columns. A part that is longer than a line is cut."""
    from rich.text import Text

    from commands.screen import cut

    lines: list[Text] = []
    for part in (cut(each, width) for each in parts):
        if lines and lines[-1].cell_len + len(between) + part.cell_len <= width:
            lines[-1].append(between, style="bright_black").append_text(part)
        else:
            lines.append(part)
    return lines
