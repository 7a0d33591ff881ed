"""The curves of a training: a CSV with a row per step, and a picture of it."""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from pipeline.arrays import Array
from pipeline.errors import OutputError
from training.train.state import write_whole

Row = dict[str, float]
"""`step` and the values measured at it. Held-out figures are present only where they were measured."""


class Curves:
    """The CSV of the curves, with one row per step."""

    def __init__(self, path: Path, columns: Sequence[str], rows: Sequence[Row] = ()) -> None:
        """Replace the file by one with `rows`, those up to the checkpoint."""
        self.columns, self.rows = tuple(columns), list(rows)
        self._path = path
        write_whole(path, _text([",".join(self.columns)], self.columns, self.rows).encode())
        self._file = path.open("a", encoding="utf-8", newline="")

    def add(self, row: Row) -> None:
        """Raises:
        OutputError: it cannot be written.
        """
        self.rows.append(row)
        try:
            self._file.write(_text([], self.columns, [row]))
            self._file.flush()
        except OSError as error:
            raise OutputError(f"{self._path}: cannot be written: {error.strerror}") from error

    def columnwise(self) -> dict[str, list[float]]:
        """All columns, for the checkpoint; NaN for missing values."""
        return {name: [row.get(name, np.nan) for row in self.rows] for name in self.columns}

    def close(self) -> None:
        self._file.close()


def from_columns(columns: Mapping[str, Sequence[float]]) -> list[Row]:
    """The rows of these columns: the inverse of `columnwise`."""
    count = len(next(iter(columns.values()), ()))
    return [{name: values[k] for name, values in columns.items() if not np.isnan(values[k])} for k in range(count)]


def _text(lines: list[str], columns: Sequence[str], rows: Sequence[Row]) -> str:
    written = io.StringIO()
    csv.writer(written, lineterminator="\n").writerows(
        [f"{row[name]:.9g}" if name in row else "" for name in columns] for row in rows
    )
    return "\n".join([*lines, written.getvalue()]) if lines else written.getvalue()


def save_picture(path: Path, rows: Sequence[Row], losses: Sequence[str], measures: Sequence[str]) -> None:
    """Write a PNG of the losses (above) and the held-out figures (below) over the steps.

    Raises:
        OutputError: it cannot be written.
    """
    import cv2

    above = _panel(rows, losses, "loss", None)
    below = _panel(rows, measures, "held-out, %", (0.0, 100.0))
    encoded = cv2.imencode(".png", np.concatenate([above, below]))[1]
    write_whole(path, encoded.tobytes())


WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 900, 320, 80, 150, 24, 48
INKS = ((180, 90, 20), (40, 40, 200), (40, 140, 40), (150, 50, 150), (0, 140, 220))
GREY, BLACK = (215, 215, 215), (40, 40, 40)


def _panel(rows: Sequence[Row], names: Sequence[str], title: str, bounds: tuple[float, float] | None) -> Array:
    """A diagram of these columns, uint8 "H W 3"."""
    import cv2

    canvas = np.full((HEIGHT, WIDTH, 3), 255, np.uint8)
    last = max((row["step"] for row in rows), default=1.0)
    values = [row[name] for row in rows for name in names if name in row]
    low, high = bounds or _bounds(values)
    box = Box((0.0, max(last, 1.0)), (low, high))
    for value in ticks(low, high):
        _line(canvas, box.place(0, value), box.place(last, value), GREY)
        _write(canvas, f"{value:>6g}", (LEFT - 56, box.place(0, value)[1] + 4))
    for step in ticks(0, max(last, 1.0)):
        x, y = box.place(step, low)
        _line(canvas, (x, y), (x, y + 4), BLACK)
        _write(canvas, f"{step:g}", (x - 8, y + 20))
    cv2.rectangle(canvas, box.place(0, high), box.place(last, low), BLACK, 1)
    _write(canvas, title, (LEFT, TOP - 8))
    _write(canvas, "step", ((LEFT + WIDTH - RIGHT) // 2, HEIGHT - 10))
    for number, name in enumerate(names):
        ink = INKS[number % len(INKS)]
        points = [box.place(row["step"], row[name]) for row in rows if np.isfinite(row.get(name, np.nan))]
        if points:
            cv2.polylines(canvas, [np.array(points, np.int32)], False, ink, 2, cv2.LINE_AA)
        _line(canvas, (WIDTH - RIGHT + 10, TOP + 16 + 22 * number), (WIDTH - RIGHT + 34, TOP + 16 + 22 * number), ink)
        _write(canvas, name.replace("_", " "), (WIDTH - RIGHT + 40, TOP + 20 + 22 * number))
    return canvas


class Box:
    """Maps steps and values to pixels of a panel."""

    def __init__(self, steps: tuple[float, float], values: tuple[float, float]) -> None:
        self._steps, self._values = steps, values

    def place(self, step: float, value: float) -> tuple[int, int]:
        x = np.interp(step, self._steps, (LEFT, WIDTH - RIGHT))
        y = np.interp(value, self._values, (HEIGHT - BOTTOM, TOP))
        return round(float(x)), round(float(y))


def ticks(low: float, high: float) -> list[float]:
    """Round numbers in [low, high], about five of them."""
    raw = (high - low) / 6
    power = 10.0 ** np.floor(np.log10(raw))
    width = next(float(factor * power) for factor in (1, 2, 2.5, 5, 10) if factor * power >= raw)
    first = int(np.ceil(low / width - 1e-9))
    return [k * width for k in range(first, int(np.floor(high / width + 1e-9)) + 1)]


def _bounds(values: Sequence[float]) -> tuple[float, float]:
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    room = 0.05 * (high - low) or 0.5
    return low - room, high + room


def _line(canvas: Array, begin: tuple[int, int], end: tuple[int, int], ink: tuple[int, int, int]) -> None:
    import cv2

    cv2.line(canvas, begin, end, ink, 1 if ink in (GREY, BLACK) else 3, cv2.LINE_AA)


def _write(canvas: Array, text: str, place: tuple[int, int]) -> None:
    import cv2

    cv2.putText(canvas, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.42, BLACK, 1, cv2.LINE_AA)
