"""Draws the parts of a picture on it, and what each word came to below it."""

import cv2
import numpy as np

from evidence.colours import FAINT, INK, PAPER, word_colour
from evidence.heat import percent
from pipeline.arrays import Array
from pipeline.sinks.lettering import DARK, WHITE, Text
from stages.maps.segments import Segments

WIDTH_PX = 960
TINT = 0.45
"""Opacity of a part's colour."""
LUMA, BRIGHT = (0.299, 0.587, 0.114), 115
"""On a brighter colour, words are dark."""
LEAST_ROOM = 0.9
"""Half-height of a part, in heights of the text, from which it has a name of its own."""


def overlay(frame: Array, found: Segments, words: tuple[str, ...], kind: str, peaks: Array) -> Array:
    """The frame uint8 "H W 3" with its parts and a legend, uint8 "h w 3" RGB.

    peaks: the highest probability of each word in a cell, "C".
    """
    scale = max(1.0, WIDTH_PX / frame.shape[1])
    size = round(frame.shape[1] * scale), round(frame.shape[0] * scale)
    picture = cv2.resize(np.ascontiguousarray(frame), size, interpolation=cv2.INTER_CUBIC)
    mask = cv2.resize(found.mask(kind).astype(np.uint16), size, interpolation=cv2.INTER_NEAREST)
    text = Text(max(15, size[0] // 48))
    shown = [part for part in found.parts if kind != "instance" or part.is_thing]
    label_of = {(part.label + 1 if kind == "semantic" else part.number): part.label for part in shown}
    dimmed = cv2.addWeighted(picture, 0.8, np.full_like(picture, 255), 0.0, 0)
    drawn = np.where((mask == 0)[..., None], dimmed, picture)
    for number, label in label_of.items():
        own = mask == number
        colour = np.array(word_colour(label), np.float32)
        drawn[own] = (picture[own] * (1 - TINT) + colour * TINT).astype(np.uint8)
    for number, label in label_of.items():
        own = (mask == number).astype(np.uint8)
        contours, _ = cv2.findContours(own, cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)
        cv2.drawContours(drawn, contours, -1, (255, 255, 255), 4, cv2.LINE_AA)
        cv2.drawContours(drawn, contours, -1, word_colour(label), 2, cv2.LINE_AA)
    for number, label in label_of.items():
        _name(drawn, mask == number, words[label], word_colour(label), text)
    return np.vstack([drawn, legend(size[0], found, words, peaks, text)])


def _name(picture: Array, own: Array, word: str, colour: tuple[int, int, int], text: Text) -> None:
    """The word in the middle of the widest place of a part, if there is room."""
    inside = cv2.distanceTransform(np.pad(own.astype(np.uint8), 1), cv2.DIST_L2, 3)[1:-1, 1:-1]
    row, column = np.unravel_index(int(inside.argmax()), inside.shape)
    if inside[row, column] < LEAST_ROOM * text.size_px:
        return
    word = text.fit(word, picture.shape[1] // 2, 600)
    width, height = text.width(word, 600) + text.size_px, round(text.size_px * 1.5)
    x = int(np.clip(column - width // 2, 0, picture.shape[1] - width))
    y = int(np.clip(row - height // 2, 0, picture.shape[0] - height))
    ink = DARK if np.dot(colour, LUMA) > BRIGHT else WHITE
    cv2.rectangle(picture, (x, y), (x + width, y + height), colour, -1, cv2.LINE_AA)
    text.draw(picture, word, x + text.size_px // 2, y + round(text.size_px * 1.1), ink, 600)


def legend(width: int, found: Segments, words: tuple[str, ...], peaks: Array, text: Text) -> Array:
    """One entry per word, in rows: its colour, its share of the picture, or that it was not found."""
    em = text.size_px
    entries = []
    for number, word in enumerate(words):
        area = sum(part.area for part in found.parts if part.label == number)
        told = f"{percent(area)} of the picture" if area else f"no part (at most {percent(peaks[number])})"
        entries.append((word, told, word_colour(number) if area else None))
    unknown = 1 - sum(part.area for part in found.parts)
    entries.append(("unknown", f"{percent(unknown)} of the picture", None))
    rows: list[list[tuple[str, str, tuple[int, int, int] | None]]] = [[]]
    left = em
    for entry in entries:
        room = _entry_width(entry[0], entry[1], text)
        if rows[-1] and left + room > width - em:
            rows.append([])
            left = em
        rows[-1].append(entry)
        left += room
    strip = np.full((round(em * (1.2 + 1.9 * len(rows))), width, 3), PAPER, np.uint8)
    for row, each in enumerate(rows):
        x, baseline = em, round(em * (1.9 + 1.9 * row))
        for word, told, colour in each:
            corner, other = (x, baseline - round(em * 0.78)), (x + em, baseline + round(em * 0.16))
            if colour is not None:
                cv2.rectangle(strip, corner, other, colour, -1)
            else:
                cv2.rectangle(strip, corner, other, FAINT, 1)
            text.draw(strip, word, x + round(em * 1.5), baseline, INK if colour else FAINT, 600)
            text.draw(strip, told, x + round(em * 2.1) + text.width(word, 600), baseline, FAINT)
            x += _entry_width(word, told, text)
    return strip


def _entry_width(word: str, told: str, text: Text) -> int:
    return text.width(word, 600) + text.width(told) + round(text.size_px * 3.8)
