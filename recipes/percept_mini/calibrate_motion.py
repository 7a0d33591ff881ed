"""Temperature and bias that make the motion tower's scores sensible probabilities; for `[motion]` in model.toml.

    python -m recipes.percept_mini.calibrate_motion              for the tower as it is
    python -m recipes.percept_mini.calibrate_motion --read-out   compare ways to read the tower out first

Fitted on made-up clips of photos that were not trained on (split "check"), by the logistic loss of
`calibrate_sound`. Labels are the motion words in all the ways that `motion_words.txt` says them, and,
always wrong, the everyday words that are asked when nobody gives labels: a motion is no reason to believe in a dog.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from engines.networks.motion import ConceptMotion, load_motion
from pipeline.arrays import Array
from recipes.percept_mini.calibrate_sound import RIGHT_SHARE
from recipes.percept_mini.motion_data import RUNS, load
from recipes.percept_mini.motion_read_out import background_words, concept_vectors, scores, vectors
from recipes.percept_mini.motion_words import BUNDLED, word_lines
from stages.encode import unit
from stages.words.scoring import competing, log_odds, sigmoid
from stages.words.word import default_labels

TEMPERATURES = np.geomspace(0.02, 0.2, 24)
BIASES = np.arange(-14, 8, 0.25)
EVERYDAY_SHARE = 0.5
"""Of the everyday words among the wrong ones."""


@dataclass(frozen=True)
class Sample:
    """Cosines of clips with labels "N C" and with the background "N V"; truth of the first columns "N P", -1 unknown.

    The columns after those are everyday words, which are all wrong.
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


def sample(network: ConceptMotion, heard: Array, truth: Array) -> Sample:
    """heard: probability of every word "N W"; the network only reads them out."""
    names = word_lines()
    ways = [(way, row) for row, line in enumerate(names) for way in line]
    words = [way for way, _ in ways] + [word for word in default_labels() if word not in dict(ways)]
    labels, background = (unit((vectors(texts) - network.center).numpy()) for texts in (words, background_words()))
    tokens = unit(network.read_out(torch.from_numpy(heard)).numpy())
    own = truth[:, [row for _, row in ways]]
    return Sample(tokens @ labels.T, tokens @ background.T, competing(labels, background), own)


def loss_of(odds: Array, truth: Array) -> float:
    """Logistic loss: right labels weigh `RIGHT_SHARE`, everyday words `EVERYDAY_SHARE` of the rest."""
    count = truth.shape[1]
    right = np.logaddexp(0, -odds[:, :count])[truth == 1].mean()
    wrong = np.logaddexp(0, odds[:, :count])[truth == 0].mean()
    everyday = np.logaddexp(0, odds[:, count:]).mean()
    return float(RIGHT_SHARE * right + (1 - RIGHT_SHARE) * ((1 - EVERYDAY_SHARE) * wrong + EVERYDAY_SHARE * everyday))


def fit(data: Sample) -> Fitted:
    """The temperature and bias of the least loss."""
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


def compare_read_outs(network: ConceptMotion, heard: Array, truth: Array) -> None:
    """The loss with the words' shared part left in to another degree."""
    for shared in (2.0, 1.0, 0.5, 0.3, 0.2, 0.1):
        network.concepts, network.center = concept_vectors(word_lines(), background_words(), shared)
        data = sample(network, heard, truth)
        found = fit(data)
        print(f"shared {shared:3.1f}: loss {found.loss:.4f}\n{described(data, found)}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, default=RUNS, help="where training left its clips")
    parser.add_argument("--tower", type=Path, default=BUNDLED, help="folder with motion.safetensors")
    parser.add_argument("--read-out", action="store_true", help="compare ways to read the tower out")
    options = parser.parse_args()
    network, (pictures, truth, _) = load_motion(options.tower), load(options.runs, "check")
    heard = scores(network, pictures).numpy()
    if options.read_out:
        return compare_read_outs(network, heard, truth)
    data = sample(network, heard, truth)
    found = fit(data)
    print(f"temperature = {found.temperature:.3f}\nbias = {found.bias:.2f}\n# loss {found.loss:.4f}")
    print(described(data, found))


if __name__ == "__main__":
    main()
