"""Draws the confusion matrix: with names and counts for few labels, with marked pairs for hundreds."""

from collections.abc import Sequence

import cv2
import numpy as np

from pipeline.arrays import Array
from pipeline.sinks.lettering import Text
from training.evaluate.confusion import near_order, used, worst_pairs

NAMED_UP_TO = 100
"""Rows have names up to this number of labels."""
COUNTED_UP_TO = 45
"""Cells have counts up to this number of labels."""
SIDE_PX, MARKED_SIDE_PX = 1000, 850
MARKED = 20
"""Number of pairs that are marked and listed if rows have no names."""
INK, GREY, WHITE, RED = (31, 41, 55), (107, 114, 128), (255, 255, 255), (200, 60, 30)
RIGHT_SCALE = np.array([[239, 244, 250], [147, 184, 225], [38, 92, 154]], np.float32)
WRONG_SCALE = np.array([[250, 246, 240], [240, 170, 90], [178, 50, 20]], np.float32)
LONGEST_NAME_PX = 220


def draw_confusion(matrix: Array, names: Sequence[str]) -> Array:
    """Counts "C C" (row: right label, column: answer) -> uint8 "H W 3" RGB. Labels that never occur are omitted."""
    shown = used(matrix)
    part = matrix[np.ix_(shown, shown)]
    order = near_order(part)
    part, names = part[np.ix_(order, order)], [names[shown[index]] for index in order]
    return _named(part, names) if len(names) <= NAMED_UP_TO else _marked(part, names)


def png(picture: Array) -> bytes:
    done, content = cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_PNG_COMPRESSION, 9])
    assert done
    return bytes(content)


def _named(matrix: Array, names: Sequence[str]) -> Array:
    cell = int(np.clip(SIDE_PX / len(names), 14, 56))
    text = Text(int(np.clip(cell * 0.62, 11, 16)))
    labels = [text.fit(name, LONGEST_NAME_PX) for name in names]
    margin = max(text.width(name) for name in labels) + 16
    head, side = margin + 34, cell * len(names)
    canvas = np.full((head + side + 14, margin + 30 + side + 14, 3), 255, np.uint8)
    left = margin + 30
    canvas[head : head + side, left : left + side] = _cells(matrix, cell)
    _grid(canvas, left, head, cell, len(names))
    for index, name in enumerate(labels):
        middle = index * cell + cell // 2 + text.size_px * 3 // 8
        text.draw(canvas, name, left - 8 - text.width(name), head + middle, INK)
        _upwards(canvas, text, name, left + middle, head - 8)
    if len(names) <= COUNTED_UP_TO:
        _counts(canvas, matrix, left, head, cell)
    axis = Text(14)
    axis.draw(canvas, "answer", left, 20, GREY)
    _upwards(canvas, axis, "right label", 24, head + axis.width("right label"))
    return canvas


def _marked(matrix: Array, names: Sequence[str]) -> Array:
    """For too many rows for names: the worst pairs are numbered in the matrix and listed next to it."""
    cell = max(2, MARKED_SIDE_PX // len(names))
    side, left, head = cell * len(names), 44, 40
    title, text = Text(15), Text(14)
    pairs = worst_pairs(matrix, MARKED)
    lines = [f"{names[p.right]} → {names[p.given]}" for p in pairs]
    lines = [text.fit(line, 400) for line in lines]
    room = max([text.width(line) for line in lines], default=0) + 150
    canvas = np.full((head + side + 20, left + side + 40 + max(room, 330), 3), 255, np.uint8)
    canvas[head : head + side, left : left + side] = _cells(matrix, cell)
    cv2.rectangle(canvas, (left - 1, head - 1), (left + side, head + side), GREY, 1)
    title.draw(canvas, f"answer, {len(names)} labels", left, 24, GREY)
    _upwards(canvas, title, "right label", 24, head + title.width("right label"))
    x = left + side + 40
    title.draw(canvas, "most frequent confusions", x, head + 14, INK, 700)
    taken: list[tuple[int, int]] = []
    for number, (pair, line) in enumerate(zip(pairs, lines, strict=True), start=1):
        y = head + 20 + number * 30
        text.draw(canvas, f"{number}", x, y, RED, 700)
        text.draw(canvas, line, x + 30, y, INK)
        share = f"{pair.times} of {pair.of}"
        text.draw(canvas, share, x + 44 + text.width(line), y, GREY)
        at = (left + pair.given * cell + cell // 2, head + pair.right * cell + cell // 2)
        _mark(canvas, text, f"{number}", at, taken)
    return canvas


def _mark(canvas: Array, text: Text, number: str, at: tuple[int, int], taken: list[tuple[int, int]]) -> None:
    """Draw a ring around a cell and its number next to it, at a place without another number if there is one."""
    cv2.circle(canvas, at, 7, RED, 2, cv2.LINE_AA)
    places = [(10, -4), (10, 16), (-26, -4), (-26, 16), (10, -20), (-26, 30), (10, 30), (-26, -20)]
    free = [(at[0] + dx, at[1] + dy) for dx, dy in places]
    best = next((p for p in free if all(abs(p[0] - q[0]) > 22 or abs(p[1] - q[1]) > 15 for q in taken)), free[0])
    taken.append(best)
    text.draw(canvas, number, *best, RED, 700)


def _cells(matrix: Array, cell: int) -> Array:
    """Cells coloured by their share of the row: blue on the diagonal, red elsewhere, white or pale grey for 0."""
    share = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    # the square root makes rare confusions visible
    colours = _scale(np.sqrt(share), WRONG_SCALE)
    diagonal = np.arange(len(matrix))
    colours[diagonal, diagonal] = _scale(np.diag(share), RIGHT_SCALE)
    colours[matrix == 0] = WHITE
    colours[diagonal, diagonal] = np.where(
        np.diag(matrix)[:, None] > 0, colours[diagonal, diagonal], np.array([238, 240, 243], np.uint8)
    )
    return np.kron(colours, np.ones((cell, cell, 1), np.uint8))


def _scale(values: Array, scale: Array) -> Array:
    """Values in [0, 1] as colours, interpolated on a scale of three: "..." -> uint8 "... 3"."""
    x = np.clip(values, 0.0, 1.0)[..., None] * 2
    low = np.minimum(x.astype(int), 1)[..., 0]
    part = x - low[..., None]
    mixed: Array = (scale[low] * (1 - part) + scale[low + 1] * part).round().astype(np.uint8)
    return mixed


def _grid(canvas: Array, left: int, top: int, cell: int, count: int) -> None:
    for index in range(count + 1):
        colour = GREY if index in (0, count) else (226, 230, 236)
        at = index * cell
        cv2.line(canvas, (left, top + at), (left + count * cell, top + at), colour, 1)
        cv2.line(canvas, (left + at, top), (left + at, top + count * cell), colour, 1)


def _counts(canvas: Array, matrix: Array, left: int, top: int, cell: int) -> None:
    text = Text(int(np.clip(cell * 0.4, 11, 17)))
    share = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    for row, column in zip(*np.nonzero(matrix), strict=True):
        word = str(matrix[row, column])
        x = left + column * cell + (cell - text.width(word)) // 2
        y = top + row * cell + cell // 2 + text.size_px * 3 // 8
        text.draw(canvas, word, x, y, WHITE if share[row, column] > (0.5 if row == column else 0.35) else INK)


def _upwards(canvas: Array, text: Text, word: str, baseline_x: int, bottom: int) -> None:
    """Draw text that reads upwards, with its baseline at `baseline_x` and its beginning at `bottom`."""
    height, width = text.size_px * 2, text.width(word) + 4
    horizontal = np.full((height, width, 3), 255, np.uint8)
    text.draw(horizontal, word, 0, text.size_px * 3 // 2, INK if word != "right label" else GREY)
    vertical = np.rot90(horizontal)
    top, left = bottom - width, baseline_x - text.size_px * 3 // 2
    cut = max(0, -top)
    place = canvas[max(0, top) : bottom, left : left + height]
    np.minimum(place, vertical[cut:], out=place)
