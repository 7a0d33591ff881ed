"""The words of the motion tower, in the order of its answers, and how they change when a clip is mirrored."""

from __future__ import annotations

from pathlib import Path

BUNDLED = Path(__file__).parents[2] / "engines" / "bundled" / "percept-mini"
WORDS_FILE = "motion_words.txt"
MIRRORED = {"left": "right"}
UPSIDE_DOWN = {"up": "down"}
TURNED = {"left": "up", "right": "down"}
"""Rows become columns."""
BACKWARDS = {"left": "right", "up": "down", "zooming in": "zooming out", "toward": "away from"}
"""The film runs backwards."""


def word_lines(directory: Path = BUNDLED) -> list[list[str]]:
    """Every word, and after it the other ways to say it."""
    lines = (directory / WORDS_FILE).read_text(encoding="utf-8").splitlines()
    return [line.split("|") for line in lines if line and not line.startswith("#")]


WORDS = tuple(names[0] for names in word_lines())
"""The last two are fast and slow, which say nothing of what moves where."""
KIND_WORDS = WORDS[:-2]


def exchanged(pairs: dict[str, str]) -> list[int]:
    """For each word, which one is true of a changed clip in its place: indices "W"."""
    both = pairs | {new: old for old, new in pairs.items()}
    found = []
    for word in WORDS:
        part = next((old for old in both if f" {old} " in f" {word} "), "")
        found.append(WORDS.index(word.replace(part, both[part]) if part else word))
    return found
