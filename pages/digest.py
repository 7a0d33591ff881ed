"""A recording in few stretches, for pages that show many sources: its likeliest labels, each at its best moment.

What comes out has the form of a recording (`pages.recording`), so the same scripts draw it.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from pages.recording import RESULT
from pipeline.clip import MODALITIES

LANES = 4
"""Labels of a source that are drawn."""
STRETCHES = 100
"""As many stretches as a strip can show well on a small screen."""
LEAST = 300
"""Thousandths: labels that are never as probable do not count, unless no label is."""
FAINT = 50
"""Thousandths: a bar that nobody would see is left out."""
MOST_WORDS = 40
"""Labels of a source that a filter finds."""


def digest(tree: Mapping[str, Any], lanes: int = LANES, stretches: int = STRETCHES) -> dict[str, Any]:
    """tree: of `Recording.tree`. Times are milliseconds and probabilities thousandths, as there."""
    peaks, weights = _peaks(tree)
    ranked = sorted(peaks, key=lambda word: (-weights[word], -peaks[word], word))
    shown = ranked[:lanes]
    small = _empty(tree, [tree["words"][word] for word in shown])
    for clips in _groups(tree["clips"], max(1, tree["end"]), stretches):
        _add(small, tree, clips, shown)
    small["peaks"] = [[tree["words"][word], peaks[word]] for word in ranked[:MOST_WORDS] if peaks[word] >= LEAST]
    return small


def _peaks(tree: Mapping[str, Any]) -> tuple[dict[int, int], dict[int, int]]:
    """By word: its highest probability, and its probability times its duration where it counts."""
    peaks: dict[int, int] = {}
    weights: dict[int, int] = {}
    clips, labels = tree["clips"], tree["labels"]
    for clip, (start, end) in enumerate(zip(clips["start"], clips["end"], strict=True)):
        for place in _places(tree, clip):
            word, probability = labels["word"][place], labels["probability"][place]
            peaks[word] = max(peaks.get(word, 0), probability)
            weights[word] = weights.get(word, 0) + (probability * (end - start) if probability >= LEAST else 0)
    return peaks, weights


def _groups(clips: Mapping[str, Sequence[int]], end: int, stretches: int) -> list[list[int]]:
    """Clips that become one: those of one state that begin in the same stretch. Each alone if they are few."""
    count = len(clips["start"])
    if count <= stretches:
        return [[clip] for clip in range(count)]
    groups: dict[tuple[int, int], list[int]] = {}
    for clip in range(count):
        stretch = min(stretches - 1, clips["start"][clip] * stretches // end)
        groups.setdefault((stretch, clips["state"][clip]), []).append(clip)
    return sorted(groups.values(), key=lambda each: clips["start"][each[0]])


def _add(small: dict[str, Any], tree: Mapping[str, Any], group: Sequence[int], shown: Sequence[int]) -> None:
    clips, labels = tree["clips"], tree["labels"]
    columns, kept = small["clips"], small["labels"]
    columns["start"].append(clips["start"][group[0]])
    columns["end"].append(max(clips["end"][clip] for clip in group))
    columns["state"].append(clips["state"][group[0]])
    columns["first"].append(len(kept["word"]))
    best = _best(tree, group, shown) if clips["state"][group[0]] == RESULT else {}
    for place in sorted((place for place, _ in best.values()), key=lambda place: -labels["probability"][place]):
        kept["word"].append(shown.index(labels["word"][place]))
        for name in ("probability", *MODALITIES):
            kept[name].append(labels[name][place])
        for name in MODALITIES:
            small["contributions"][name].append(tree["contributions"][name][place])
    strongest = max(best.values(), key=lambda each: labels["probability"][each[0]], default=(0, group[0]))[1]
    for name in MODALITIES:
        small["weights"][name].append(tree["weights"][name][strongest])
    small["bases"].append(tree["bases"][strongest])


def _best(tree: Mapping[str, Any], group: Sequence[int], shown: Sequence[int]) -> dict[int, tuple[int, int]]:
    """The place of each word where it is most probable, and the clip that it is in."""
    labels, best = tree["labels"], dict[int, tuple[int, int]]()
    for clip in group:
        for place in _places(tree, clip):
            word, probability = labels["word"][place], labels["probability"][place]
            if word not in shown or probability < FAINT:
                continue
            if word not in best or probability > labels["probability"][best[word][0]]:
                best[word] = place, clip
    return best


def _places(tree: Mapping[str, Any], clip: int) -> range:
    """The places of a clip's labels."""
    first = tree["clips"]["first"]
    return range(first[clip], first[clip + 1] if clip + 1 < len(first) else len(tree["labels"]["word"]))


def _empty(tree: Mapping[str, Any], words: list[str]) -> dict[str, Any]:
    return {
        "source": tree["source"],
        "end": tree["end"],
        "counts": tree["counts"],
        "words": words,
        "texts": [],
        "clips": {name: [] for name in ("start", "end", "state", "first")},
        "labels": {name: [] for name in ("word", "probability", *MODALITIES)},
        "weights": {name: [] for name in MODALITIES},
        "contributions": {name: [] for name in MODALITIES},
        "bases": [],
        "notes": [],
        "sizes": [],
        "tracks": [],
        "regions": [],
        "events": [],
    }
