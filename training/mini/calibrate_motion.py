"""Temperature and bias that make the motion tower's scores sensible probabilities; for `[motion]` in model.toml.

    python -m training.mini.calibrate_motion

Fitted on made-up clips of photos that were not trained on (split "check"), by the logistic loss of
`training.mini.calibrate_sound`. Labels are the motion words, and, always wrong, the everyday words that are asked when
nobody gives labels: a motion is no reason to believe in a dog.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from engines.checkpoint import read_model
from pipeline.arrays import Array
from pipeline.stage import RunSettings
from stages.labels import build_label_set
from stages.scoring import log_odds
from stages.words import default_labels
from training.mini.calibrate_sound import RIGHT_SHARE, TEMPERATURES
from training.mini.motion_data import RUNS, load
from training.mini.motion_figures import embeddings
from training.mini.motion_words import BUNDLED, WORDS

EVERYDAY_SHARE = 0.5
"""Of the everyday words among the wrong ones."""


def loss_of(odds: Array, truth: Array) -> float:
    """Logistic loss; `truth` "N W" of the first columns, where -1 is not counted, and all further columns are wrong."""
    words = odds[:, : truth.shape[1]]
    right = np.logaddexp(0, -words)[truth == 1].mean()
    wrong = np.logaddexp(0, words)[truth == 0].mean()
    everyday = np.logaddexp(0, odds[:, truth.shape[1] :]).mean()
    wrong = (1 - EVERYDAY_SHARE) * wrong + EVERYDAY_SHARE * everyday
    return float(RIGHT_SHARE * right + (1 - RIGHT_SHARE) * wrong)


def fit(runs: Path) -> tuple[float, float, float]:
    """(temperature, bias, loss) of the least loss."""
    pictures, truth, _ = load(runs, "check")
    everyday = tuple(word for word in default_labels() if word not in WORDS)
    run = RunSettings(modalities=("motion",))
    side = build_label_set(read_model("percept-mini"), (*WORDS, *everyday), run, lambda message: None).sides["motion"]
    near, background, _ = side.compare(embeddings(pictures, BUNDLED))
    best = (0.0, 0.0, np.inf)
    for temperature in TEMPERATURES:
        plain = log_odds(near, background, side.kept, temperature, 0.0)
        for bias in np.arange(-4, 10, 0.25):
            loss = loss_of(plain + bias, truth)
            if loss < best[2]:
                best = (float(temperature), float(bias), loss)
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, default=RUNS, help="where training left its clips")
    print("temperature = {:.3f}\nbias = {:.2f}\n# loss {:.3f}".format(*fit(parser.parse_args().runs)))


if __name__ == "__main__":
    main()
