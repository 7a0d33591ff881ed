"""Accuracy of the motion tower on synthetic clips whose photos, speeds and noise it was not trained on.

`python -m recipes.percept_mini.train_motion --data ../shared/data --evaluate` prints all of it, `benchmarks.accuracy`
a part.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from engines.models.checkpoint import read_model
from engines.networks.motion import load_motion
from pipeline.arrays import Array
from pipeline.errors import ModelError
from pipeline.stage import RunSettings
from recipes.percept_mini.motion_data import RUNS, load, make, splits
from recipes.percept_mini.motion_read_out import as_input
from recipes.percept_mini.motion_scenes import KINDS
from recipes.percept_mini.motion_words import KIND_WORDS, MOTION_WORDS
from stages.encode import pool
from stages.words import scoring
from stages.words.labels import build_label_set
from stages.words.word import default_labels
from training.intervals import Share, share

FAST, SLOW = MOTION_WORDS.index("fast"), MOTION_WORDS.index("slow")


@dataclass(frozen=True)
class Answers:
    """The product's log-odds for clips: of motion words "N W" and of everyday words "N C"; with the truth "N W"."""

    words: Array
    everyday: Array
    truth: Array
    kinds: list[str]


def embeddings(pictures: Array, directory: Path) -> Array:
    """Clips uint8 "N T 3 S S" -> "N 384", unit length, as from the product's encode stage."""
    import torch

    network = load_motion(directory)
    with torch.inference_mode():
        tokens = [network(as_input(pictures[first : first + 64])).numpy() for first in range(0, len(pictures), 64)]
    return np.stack([pool(token[None]) for token in np.concatenate(tokens)])


def answers(pictures: Array, truth: Array, model: str, cache_directory: str = "") -> Answers:
    everyday = tuple(word for word in default_labels() if word not in MOTION_WORDS)
    spec, run = read_model(model), RunSettings(modalities=("motion",), cache_directory=cache_directory)
    if spec.motion is None or spec.motion.network != "concept_motion":
        raise ModelError(f"--model {model}: no motion tower that accepts synthetic clips; expected `concept_motion`")
    labels = build_label_set(spec, (*MOTION_WORDS, *everyday), run, lambda message: None)
    odds = labels.sides["motion"].compare(embeddings(pictures, Path(spec.motion.directory)))[2]
    kinds = [KINDS[index % len(KINDS)] for index in range(len(truth))]
    return Answers(odds[:, : len(MOTION_WORDS)], odds[:, len(MOTION_WORDS) :], truth[:, : len(MOTION_WORDS)], kinds)


def answers_to_test(data: Path, runs: Path = RUNS, model: str = "percept-mini", cache_directory: str = "") -> Answers:
    """Answers for the test clips. Missing clips are made first, which takes minutes."""
    maker, count = splits(data, 0)["test"]
    make(runs, "test", maker, count)
    pictures, truth, _ = load(runs, "test")
    return answers(pictures, truth, model, cache_directory)


def figures(found: Answers) -> dict[str, Share]:
    """Shares with intervals.

    motion_words: clips whose top word of the 16 kinds of motion is true, among clips with a true one.
    motion_fast_or_slow: clips whose likelier word of the two is true, among clips with a true one.
    motion_against_everyday: clips whose top word of the 18 motion words and about 300 everyday words is true, among the
        clips of motion_words. Words whose truth is undecided (-1) are left out.
    motion_everyday_above_half: pairs of a clip and an everyday word with a probability above 0.5, among all pairs.
    """
    kinds = len(KIND_WORDS)
    has_word = (found.truth[:, :kinds] == 1).any(1)
    best = found.words[:, :kinds].argmax(1)
    speeds = (found.truth[:, [FAST, SLOW]] == 1).any(1)
    faster = found.words[:, FAST] > found.words[:, SLOW]
    decided = np.where(found.truth < 0, -np.inf, found.words)
    every = np.concatenate([decided, found.everyday], axis=1)[has_word]
    true = np.concatenate([found.truth == 1, np.zeros_like(found.everyday, bool)], axis=1)[has_word]
    return {
        "motion_words": share((found.truth[np.arange(len(best)), best] == 1)[has_word].tolist()),
        "motion_fast_or_slow": share((faster == (found.truth[:, FAST] == 1))[speeds].tolist()),
        "motion_against_everyday": share(true[np.arange(len(every)), every.argmax(1)].tolist()),
        "motion_everyday_above_half": share((scoring.sigmoid(found.everyday) > 0.5).ravel().tolist()),
    }


def table(found: Answers) -> str:
    """Per kind of clip: how often the top word is true, and the most frequent wrong words."""
    best = found.words[:, : len(KIND_WORDS)].argmax(1)
    lines = []
    for kind in KINDS:
        rows = [row for row, name in enumerate(found.kinds) if name == kind]
        wrong = Counter(KIND_WORDS[best[row]] for row in rows if found.truth[row, best[row]] != 1)
        right = len(rows) - sum(wrong.values())
        instead = ", ".join(f"{word} {count}" for word, count in wrong.most_common(3))
        lines.append(f"{kind:40} {right:3} of {len(rows)}   {instead}")
    return "\n".join(lines)


def probabilities(found: Answers) -> str:
    """Quantiles of the probabilities of true motion words, false motion words and everyday words."""
    rows: dict[str, Any] = {
        "true words": found.words[found.truth == 1],
        "false words": found.words[found.truth == 0],
        "everyday words": found.everyday,
    }
    return "\n".join(
        f"{name:16} probability at 10, 25, 50, 75, 90, 99 %: "
        + " ".join(f"{q:.3f}" for q in np.quantile(scoring.sigmoid(odds), [0.1, 0.25, 0.5, 0.75, 0.9, 0.99]))
        for name, odds in rows.items()
    )


def evaluate(data: Path, runs: Path = RUNS, model: str = "percept-mini") -> str:
    found = answers_to_test(data, runs, model)
    shares = "\n".join(f"{name:28} {value}" for name, value in figures(found).items())
    return f"{shares}\n\n{table(found)}\n\n{probabilities(found)}"
