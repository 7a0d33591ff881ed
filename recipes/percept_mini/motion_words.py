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


TOWER_WORDS = tuple(names[0] for names in word_lines())
"""The words that the tower scores: those of motions, then those of actions that it knows in real films."""
KIND_WORDS = TOWER_WORDS[: TOWER_WORDS.index("fast")]
"""The words for kinds of motion of the camera and of things."""
MOTION_WORDS = (*KIND_WORDS, "fast", "slow")
ACTION_WORDS = (
    "walking",
    "running",
    "jumping",
    "waving",
    "dancing",
    "fighting",
    "falling down",
    "sitting down",
    "standing up",
)
"""The words for what people do that are learnt together."""
WORDS = (*MOTION_WORDS, *ACTION_WORDS)
"""The words whose truth is known of synthetic clips."""


def exchanged(pairs: dict[str, str]) -> list[int]:
    """For each word, the index of the word that replaces it after the change: "W". Actions stay as they are."""
    both = pairs | {new: old for old, new in pairs.items()}
    found = []
    for word in MOTION_WORDS:
        part = next((old for old in both if f" {old} " in f" {word} "), "")
        found.append(WORDS.index(word.replace(part, both[part]) if part else word))
    return [*found, *range(len(MOTION_WORDS), len(WORDS))]
