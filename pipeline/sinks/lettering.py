"""Text on pictures: one typeface, drawn by OpenCV."""

import unicodedata
from typing import Any

import cv2

from pipeline.arrays import Array

Colour = tuple[int, int, int]
"""RGB."""

WHITE, GREY, DARK, BLACK = (255, 255, 255), (170, 175, 185), (16, 18, 24), (0, 0, 0)


class Text:
    """One typeface at one size. OpenCV 5 draws Latin, Greek, Cyrillic and Chinese; OpenCV 4 only ASCII."""

    def __init__(self, size_px: int) -> None:
        self.size_px = size_px
        self._font: Any = cv2.FontFace("sans") if hasattr(cv2, "FontFace") else None

    def width(self, text: str, weight: int = 400) -> int:
        if self._font is not None:
            left, _, width, _ = cv2.getTextSize((1 << 14, 1 << 10), text, (0, 0), self._font, self.size_px, weight)
            return int(left + width)
        return int(cv2.getTextSize(plain(text), cv2.FONT_HERSHEY_SIMPLEX, self.size_px / 30, 1)[0][0])

    def draw(self, picture: Array, text: str, x: int, baseline: int, colour: Colour, weight: int = 400) -> None:
        if self._font is not None:
            cv2.putText(picture, text, (x, baseline), colour, self._font, self.size_px, weight)
        else:
            cv2.putText(
                picture, plain(text), (x, baseline), cv2.FONT_HERSHEY_SIMPLEX, self.size_px / 30, colour, 1, cv2.LINE_AA
            )

    def fit(self, text: str, width: int, weight: int = 400) -> str:
        """The text, shortened with an ellipsis to at most `width` pixels."""
        text = one_line(text)
        if self.width(text, weight) <= width:
            return text
        while text and self.width(text + "…", weight) > width:
            text = text[:-1]
        return text.rstrip() + "…"


def one_line(text: str) -> str:
    """At most 200 characters, without line breaks and double spaces."""
    return " ".join(text.split())[:200]


def plain(text: str) -> str:
    """Text for a typeface that has only ASCII: `Ärger` -> `Arger`, `犬` -> `?`."""
    letters = unicodedata.normalize("NFKD", text.replace("…", "..."))
    return "".join(letter if letter.isascii() else "?" for letter in letters if not unicodedata.combining(letter))
