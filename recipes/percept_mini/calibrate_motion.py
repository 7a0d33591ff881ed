"""Temperature and bias that calibrate the motion tower's scores as probabilities; for `[motion]` in model.toml.

    python -m recipes.percept_mini.calibrate_motion              for the tower as it is
    python -m recipes.percept_mini.calibrate_motion --read-out   compare ways to read the tower out first

Fitted by the logistic loss of `calibrate_sound` on synthetic clips of photos that are not trained on (split "check").
The labels are all phrasings of the motion words in `motion_words.txt`, and the default labels. The default labels are
always wrong: a motion is not evidence of a dog.
"""

from __future__ import annotations

import argparse
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from engines.networks.motion import ConceptMotion, load_motion
from pipeline.arrays import Array
from recipes.percept_mini.calibrate_sound import RIGHT_SHARE
from recipes.percept_mini.motion_data import RUNS, load
from recipes.percept_mini.motion_read_out import background_words, concept_vectors, scores, vectors
from recipes.percept_mini.motion_words import ACTION_WORDS, BUNDLED, WORDS, word_lines
from stages.encode import unit
from stages.words.scoring import competing, log_odds, sigmoid
from stages.words.word import default_labels

TEMPERATURES = np.geomspace(0.02, 0.2, 24)
BIASES = np.arange(-14, 8, 0.25)
EVERYDAY_SHARE = 0.5
"""Weight of the everyday words among the wrong ones."""


@dataclass(frozen=True)
class Sample:
    """Cosines of clips with labels "N C" and with the background "N V"; truth "N P" of the first P labels, -1 unknown.

    The other labels are everyday words, which are always wrong.
    """

    labels: Array
    background: Array
    kept: Array
    truth: Array

    def odds(self, temperature: float) -> Array:
        return log_odds(self.labels, self.background, self.kept, temperature, 0.0)


@dataclass(frozen=True)
class Fitted:
    temperature: float
    bias: float
    loss: float


def sample(network: ConceptMotion, shares: Array, truth: Array) -> Sample:
    """The cosines that the network reads out from `shares`, the probability of every word "N W"."""
    names = word_lines()
    ways = [(way, row) for row, line in enumerate(names) for way in line]
    words = [way for way, _ in ways] + everyday_words(dict(ways))
    labels, background = (unit((vectors(texts) - network.center).numpy()) for texts in (words, background_words()))
    tokens = unit(network.read_out(torch.from_numpy(shares)).numpy())
    columns = [WORDS.index(names[row][0]) for _, row in ways]
    own = truth[:, columns]
    return Sample(tokens @ labels.T, tokens @ background.T, competing(labels, background), own)


def everyday_words(known: Collection[str]) -> list[str]:
    """The default labels that no motion is evidence of: "crowd walking" and "sitting" may be right."""
    doings = {part for word in ACTION_WORDS for part in word.split()}
    return [word for word in default_labels() if word not in known and not doings & set(word.split())]


def loss_of(odds: Array, truth: Array) -> float:
    """Logistic loss: right labels have the weight `RIGHT_SHARE`, everyday words `EVERYDAY_SHARE` of the rest."""
    count = truth.shape[1]
    right = np.logaddexp(0, -odds[:, :count])[truth == 1].mean()
    wrong = np.logaddexp(0, odds[:, :count])[truth == 0].mean()
    everyday = np.logaddexp(0, odds[:, count:]).mean()
    return float(RIGHT_SHARE * right + (1 - RIGHT_SHARE) * ((1 - EVERYDAY_SHARE) * wrong + EVERYDAY_SHARE * everyday))


def fit(data: Sample) -> Fitted:
    """The temperature and bias with the lowest loss."""
    tried = []
    for temperature in TEMPERATURES:
        plain = data.odds(float(temperature))
        tried += [Fitted(float(temperature), float(bias), loss_of(plain + bias, data.truth)) for bias in BIASES]
    return min(tried, key=lambda one: one.loss)


def described(data: Sample, found: Fitted) -> str:
    probability = sigmoid(data.odds(found.temperature) + found.bias)
    words, everyday = probability[:, : data.truth.shape[1]], probability[:, data.truth.shape[1] :]
    parts = {"true": words[data.truth == 1], "false": words[data.truth == 0], "everyday": everyday}
    return "\n".join(
        f"# {name}: probability at 10, 25, 50, 75, 90, 99 %: "
        + " ".join(f"{q:.3f}" for q in np.quantile(part, [0.1, 0.25, 0.5, 0.75, 0.9, 0.99]))
        for name, part in parts.items()
    )


def compare_read_outs(network: ConceptMotion, shares: Array, truth: Array) -> None:
    """Print the loss for several amounts of the words' common part."""
    for shared in (2.0, 1.0, 0.5, 0.3, 0.2, 0.1):
        network.concepts, network.center = concept_vectors(word_lines(), background_words(), shared)
        data = sample(network, shares, truth)
        found = fit(data)
        print(f"shared {shared:3.1f}: loss {found.loss:.4f}\n{described(data, found)}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, default=RUNS, help="folder with the clips made for training")
    parser.add_argument("--tower", type=Path, default=BUNDLED, help="folder with motion.safetensors")
    parser.add_argument("--read-out", action="store_true", help="compare ways to read the tower out")
    options = parser.parse_args()
    network, (pictures, truth, _) = load_motion(options.tower), load(options.runs, "check")
    shares = scores(network, pictures).numpy()
    if options.read_out:
        return compare_read_outs(network, shares, truth)
    data = sample(network, shares, truth)
    found = fit(data)
    print(f"temperature = {found.temperature:.3f}\nbias = {found.bias:.2f}\n# loss {found.loss:.4f}")
    print(described(data, found))


if __name__ == "__main__":
    main()
