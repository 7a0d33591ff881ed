"""The motion tower's words, in the order of its outputs, and how they change when a clip is mirrored or reversed."""

from __future__ import annotations

from pathlib import Path

BUNDLED = Path(__file__).parents[2] / "engines" / "bundled" / "percept-mini"
WORDS_FILE = "motion_words.txt"
MIRRORED = {"left": "right"}
UPSIDE_DOWN = {"up": "down"}
TURNED = {"left": "up", "right": "down"}
"""Rows and columns are swapped."""
BACKWARDS = {"left": "right", "up": "down", "zooming in": "zooming out", "toward": "away from"}
"""The clip plays backwards."""


def word_lines(directory: Path = BUNDLED) -> list[list[str]]:
    """Every word, followed by its other phrasings."""
    lines = (directory / WORDS_FILE).read_text(encoding="utf-8").splitlines()
    return [line.split("|") for line in lines if line and not line.startswith("#")]


WORDS = tuple(names[0] for names in word_lines())
KIND_WORDS = WORDS[:-2]
"""The words for kinds of motion: all except the last two, fast and slow."""


def exchanged(pairs: dict[str, str]) -> list[int]:
    """For each word, the index of the word that replaces it after the change: "W"."""
    both = pairs | {new: old for old, new in pairs.items()}
    found = []
    for word in WORDS:
        part = next((old for old in both if f" {old} " in f" {word} "), "")
        found.append(WORDS.index(word.replace(part, both[part]) if part else word))
    return found
