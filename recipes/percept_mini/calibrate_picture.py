"""Temperature and bias that calibrate the picture tower's scores as probabilities; for `[image]` in model.toml.

    python -m recipes.percept_mini.calibrate_picture [--check engines/bundled/percept-mini/concepts.safetensors]

Fitted on the photos for choices that `recipes.percept_mini.picture_data` has read, by the logistic loss of
`calibrate_sound`: on all words that captions and boxes tell right from wrong, and on names of boxes and words for
people alone. The temperature should be the one that the projection was learnt with (`picture_photos.TEMPERATURE`). For
each temperature, it prints both losses with the best bias, and between which biases "person" is at least 0.5 in 80 % of
the photos with a large person, and below 0.2 in 90 % of those without one; if the first is larger, none has both.
"""

import argparse
import math
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional

from engines.networks.picture import CONCEPTS_FILE
from recipes.percept_mini.calibrate_sound import weighted_loss
from recipes.percept_mini.picture_data import RUNS
from recipes.percept_mini.picture_photos import Photos
from recipes.percept_mini.picture_words import RIGHT, WRONG
from recipes.percept_mini.text_data import BUNDLED
from recipes.percept_mini.train_picture import read_checked

TEMPERATURES = (0.04, 0.05, 0.06, 0.07, 0.085, 0.1)
BIASES = np.arange(0, 9, 0.1)
LARGE, PHOTO_PX = 0.25, 240 * 320
"""Share of the photo that a large person covers; and the usual size of VOC's photos here, which the lists lack."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, default=RUNS)
    parser.add_argument("--check", type=Path, default=BUNDLED / CONCEPTS_FILE, help="a projection")
    options = parser.parse_args()
    photos, stored = Photos(options.runs, with_maps=True), load_file(options.check)
    read_checked(photos, stored)
    rows, projection = photos.check, stored["projection"].float()
    tokens = photos.named[rows].float() + photos.directions[rows].float() @ projection
    for temperature in TEMPERATURES:
        odds = photos.odds(functional.normalize(tokens, dim=-1), 0.0, temperature)
        every, names = (
            fit(odds, photos.targets[rows]),
            fit(odds[:, photos.names], photos.targets[rows][:, photos.names]),
        )
        low, high = biases_for_people(photos, rows, odds)
        print(
            f"temperature {temperature:g}: words {every[0]:.4f} with bias {every[1]:.1f}, names {names[0]:.4f} with "
            f"{names[1]:.1f}; people from {low:.2f} to {high:.2f}"
        )


def fit(odds: Tensor, targets: Tensor) -> tuple[float, float]:
    """(loss, bias) with the lowest loss, of log-odds "N C" and `picture_words` targets "N C"."""
    known = (targets == RIGHT) | (targets == WRONG)
    z, right = odds[known].float().numpy(), (targets[known] == RIGHT).numpy()
    return min((weighted_loss(z + bias, right), float(bias)) for bias in BIASES)


def biases_for_people(photos: Photos, rows: Tensor, odds: Tensor) -> tuple[float, float]:
    """The lowest bias that finds large people, and the highest that finds nobody where nobody is."""
    place = photos.words.index("person")
    of_voc = torch.tensor([photos.of(row).collection == "voc2012" for row in rows.tolist()])
    covered = [
        max((((x1 - x0) * (y1 - y0)) for name, x0, y0, x1, y1 in photos.of(row).boxes if name == "person"), default=0.0)
        for row in rows.tolist()
    ]
    is_large = of_voc & (torch.tensor(covered) > LARGE * PHOTO_PX)
    is_none = of_voc & (photos.targets[rows][:, place] == WRONG)
    seen, unseen = odds[is_large, place].float(), odds[is_none, place].float()
    return -float(seen.quantile(0.2)), math.log(0.2 / 0.8) - float(unseen.quantile(0.9))


if __name__ == "__main__":
    main()
