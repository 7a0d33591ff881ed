"""Temperature and bias that calibrate the sound tower's scores as probabilities; for `[audio]` in model.toml.

    python -m recipes.percept_mini.calibrate_sound --data ../shared/data

Fitted by logistic loss on two-second clips of the animals and instruments, with their folder names as labels. The
wrong labels together have ten times the weight of the right ones.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from engines.networks.log_mel import LogMel
from engines.networks.sound import ConceptSound, load_sound
from recipes.percept_mini.sound_data import as_float, read_audio
from recipes.percept_mini.sound_read_out import BUNDLED, PROMPT, folder_files, text_vectors
from stages.loudness import normalised
from stages.words.scoring import competing, log_odds

CLIP = 32_000
"""Samples in a clip of 2 s, the default length."""
RIGHT_SHARE = 1 / 11
"""Weight of the right labels in the loss."""
TEMPERATURES = np.geomspace(0.02, 0.3, 28)


@dataclass(frozen=True)
class Sample:
    """Cosines of clips with labels "N C" and with the background "N V", and whether each label is right "N C"."""

    labels: np.ndarray
    background: np.ndarray
    kept: np.ndarray
    right: np.ndarray


@torch.inference_mode()
def sample(data: Path, network: ConceptSound, background: list[str]) -> Sample:
    """The loudest two seconds of every animal and instrument."""
    files = folder_files(data, "animals/*/*.ogg") + folder_files(data, "instruments/*/*.ogg")
    labels = sorted({label for label, _ in files})
    own, others = (
        F.normalize(text_vectors([PROMPT.format(word) for word in words]) - network.center, dim=-1)
        for words in (labels, background)
    )
    log_mel, embeddings = LogMel(), []
    for _, path in files:
        samples = normalised(loudest(as_float(read_audio(path))))
        embeddings.append(F.normalize(network(log_mel(torch.from_numpy(samples))).mean(0), dim=-1))
    tokens = torch.stack(embeddings)
    right = np.array([[label == word for word in labels] for label, _ in files])
    kept = competing(own.numpy(), others.numpy())
    return Sample((tokens @ own.T).numpy(), (tokens @ others.T).numpy(), kept, right)


def loudest(samples: np.ndarray) -> np.ndarray:
    """The two seconds with the most energy, searched in steps of half a second."""
    starts = range(0, max(1, len(samples) - CLIP + 1), CLIP // 4)
    best = max(starts, key=lambda start: float((samples[start : start + CLIP] ** 2).sum()))
    return samples[best : best + CLIP]


def weighted_loss(odds: np.ndarray, right: np.ndarray) -> float:
    """Logistic loss; the right labels together have the weight `RIGHT_SHARE`."""
    yes, no = np.logaddexp(0, -odds)[right].mean(), np.logaddexp(0, odds)[~right].mean()
    return float(RIGHT_SHARE * yes + (1 - RIGHT_SHARE) * no)


def fit(data: Sample) -> tuple[float, float, float]:
    """(temperature, bias, loss) with the lowest loss."""
    best = (0.0, 0.0, np.inf)
    for temperature in TEMPERATURES:
        plain = log_odds(data.labels, data.background, data.kept, temperature, 0.0)
        for bias in np.arange(-4, 10, 0.1):
            loss = weighted_loss(plain + bias, data.right)
            if loss < best[2]:
                best = (float(temperature), float(bias), loss)
    return best


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with audio/")
    options = parser.parse_args(arguments)
    background = (BUNDLED / "background.txt").read_text().split("\n")
    found = sample(options.data, load_sound(BUNDLED), [word for word in background if word])
    temperature, bias, loss = fit(found)
    odds = log_odds(found.labels, found.background, found.kept, temperature, bias)
    probability = 1 / (1 + np.exp(-odds))
    print(f"temperature = {temperature:.3f}\nbias = {bias:.1f}\n# loss {loss:.3f}")
    for name, chosen in (("right", probability[found.right]), ("wrong", probability[~found.right])):
        quantiles = np.quantile(chosen, [0.1, 0.25, 0.5, 0.75, 0.9])
        print(f"# {name} labels, probability at 10, 25, 50, 75, 90 %:", " ".join(f"{q:.3f}" for q in quantiles))


if __name__ == "__main__":
    main()
