"""Teach the sound tower's last layer the words of labelled recordings.

    python -m recipes.percept_mini.train_sound_words --data ../shared/data -o FOLDER  learn, and write the tower
    python -m recipes.percept_mini.train_sound_words --data ../shared/data --choose  print accuracy for each weight

After `train_sound`, which learns the scores of a teacher. To the teacher an idling engine is a vehicle most of all;
here the token of a patch is also drawn to the words that are right, and away from others. Only the layer from the
features to the scores changes, and the teacher's scores stay its targets. So a token is still the sum of the names'
vectors, and words that no recording is labelled with keep their place.
"""

from __future__ import annotations

import argparse
import copy
import hashlib
import logging
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engines.networks.log_mel import LogMel
from engines.networks.sound import ConceptSound, load_sound
from recipes.percept_mini.sound_data import Augmenter, Drawn, Recording, Teacher, applauding, as_float, recordings
from recipes.percept_mini.sound_read_out import BUNDLED, PROMPT, class_names, save_tower, set_read_out, text_vectors
from recipes.percept_mini.sound_words import Words, vectors_of
from recipes.percept_mini.train_sound import names_loss
from stages.loudness import normalised

log = logging.getLogger("train_sound_words")
PER_KIND = 60
"""Patches of each label in each group of recordings."""
UNLABELLED = 600
"""Further patches, mixed as in `train_sound`."""
STEPS, BATCH, LEARNING_RATE = 200, 256, 1e-3
FEATURES_LEFT_OUT = 0.1
WEIGHT = 0.03
"""Weight of the words in the loss; that of the teacher's scores is 1."""
WEIGHTS = (0.03, 0.1, 0.2, 0.3, 1.0, 3.0)
FOLDS = 3
MOST_PATCHES = 4
"""Patches of a recording that accuracy is measured on: 2.4 s."""


class Patches(NamedTuple):
    """Augmented patches of recordings."""

    features: Tensor
    """Of the tower, "N 1024"."""
    scores: Tensor
    """Of the teacher, "N 521"."""
    labels: Tensor
    """Row of the label, "N"; -1 for none."""
    folds: Tensor
    """"N"; -1 for patches of several recordings."""


class Whole(NamedTuple):
    """A recording as it is, at the level at which the product hears it."""

    features: Tensor
    """Of the tower, "K 1024"."""
    sound: Recording


def fold_of(name: str) -> int:
    """For cross-validation by recording."""
    return hashlib.sha256(name.encode()).digest()[1] % FOLDS


def rows_of(patches: Patches, fold: int) -> Tensor:
    return (patches.folds == fold).nonzero()[:, 0]


def labels_of(sounds: list[Recording]) -> list[str]:
    return sorted({sound.label for sound in sounds if sound.label})


@torch.inference_mode()
def patches_of(network: ConceptSound, teacher: Teacher, sounds: list[Recording], silence: int) -> Patches:
    """Patches of each kind of recording, and mixed ones; what the teacher hears as silence has no label."""
    augment, labels = Augmenter(sounds), labels_of(sounds)
    kinds = sorted({(sound.group, sound.label) for sound in sounds if sound.label})
    members = [Drawn([sound for sound in sounds if (sound.group, sound.label) == kind]) for kind in kinds]
    patches: list[Tensor] = []
    scores: list[Tensor] = []
    rows: list[tuple[int, int]] = []
    for number in range(PER_KIND * len(kinds) + UNLABELLED):
        random = np.random.default_rng((3, number))
        drawn = members[number // PER_KIND].draw(random) if number < PER_KIND * len(kinds) else None
        heard = teacher((augment.around(random, drawn) if drawn else augment(random)).astype(np.float32))
        patches.append(torch.from_numpy(heard[0]))
        scores.append(torch.from_numpy(heard[1]))
        rows.append((labels.index(drawn.label), fold_of(drawn.name)) if drawn else (-1, -1))
        if heard[1][silence] > 0.5:
            rows[-1] = (-1, rows[-1][1])
    features = torch.cat([network.features(part) for part in torch.stack(patches).split(256)])
    return Patches(features, torch.stack(scores), *torch.tensor(rows).T)


@torch.inference_mode()
def whole_of(network: ConceptSound, sounds: list[Recording]) -> list[Whole]:
    log_mel = LogMel()
    return [
        Whole(network.features(log_mel(torch.from_numpy(normalised(as_float(sound.samples))))[:MOST_PATCHES]), sound)
        for sound in sounds
    ]


def learnt(network: ConceptSound, patches: Patches, rows: Tensor, words: Words, weight: float) -> nn.Linear:
    """The network's last layer, trained on these rows of the patches; as it is if the weight is 0."""
    if not weight:
        return network.classify
    classify = copy.deepcopy(network.classify).requires_grad_()
    optimiser = torch.optim.AdamW(classify.parameters(), LEARNING_RATE, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, LEARNING_RATE, STEPS, pct_start=0.1)
    random = torch.Generator().manual_seed(0)
    torch.manual_seed(0)
    for _ in range(STEPS):
        some = rows[torch.randint(len(rows), (BATCH,), generator=random)]
        logits = classify(F.dropout(patches.features[some], FEATURES_LEFT_OUT))
        tokens = network.read_out(logits.sigmoid())
        loss = names_loss(logits, patches.scores[some]) + weight * words.loss(tokens, patches.labels[some])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    return classify.requires_grad_(False)


@torch.inference_mode()
def right_share(
    network: ConceptSound, classify: nn.Linear, sounds: list[Whole], every: list[Whole], group: str
) -> float:
    """Share of a group's recordings whose label is first among the labels of the group; nan without recordings.

    Each recording weighs as often as it is drawn in training.
    """
    labels = labels_of([each.sound for each in every if each.sound.group == group])
    chosen = [each for each in sounds if each.sound.group == group]
    if not chosen:
        return float("nan")
    queries = vectors_of(labels, network.center)
    tokens = [network.read_out(classify(each.features).sigmoid()).mean(0) for each in chosen]
    right = [
        labels[int((queries @ token).argmax())] == each.sound.label for token, each in zip(tokens, chosen, strict=True)
    ]
    return float(np.average(right, weights=[each.sound.often for each in chosen]))


@torch.inference_mode()
def agreement(classify: nn.Linear, patches: Patches, rows: Tensor) -> tuple[float, float]:
    """Distance from the teacher's scores, and how often the first name is the same."""
    logits, scores = classify(patches.features[rows]), patches.scores[rows]
    return float(names_loss(logits, scores)), float((logits.argmax(1) == scores.argmax(1)).float().mean())


def choices(network: ConceptSound, patches: Patches, wholes: list[Whole], background: list[str]) -> str:
    """A table by weight: how often the right label is first among those of its group, in percent, by cross-validation.

    "unknown": for recordings whose label was left out, as a third of the labels is in each fold. "names": distance from
    the teacher's scores, and share of patches with the same first name.
    """
    labels = labels_of([each.sound for each in wholes])
    groups = sorted({each.sound.group for each in wholes} - {"speech", "applause"})
    found: dict[float, list[list[float]]] = {weight: [] for weight in (0.0, *WEIGHTS)}
    every = Words(labels, background, network.center)
    for fold in range(FOLDS):
        held = [each for each in wholes if fold_of(each.sound.name) == fold]
        rows = torch.cat([rows_of(patches, other) for other in (-1, *range(FOLDS)) if other != fold])
        fewer = [label for label in labels if fold_of(label) != fold]
        place = torch.tensor([fewer.index(label) if label in fewer else -1 for label in labels] + [-1])
        known = (patches.labels[rows] < 0) | (place[patches.labels[rows]] >= 0)
        some, part = patches._replace(labels=place[patches.labels]), Words(fewer, background, network.center)
        unknown, own = [each for each in held if each.sound.label not in fewer], rows_of(patches, fold)
        for weight, figures in found.items():
            classify = learnt(network, patches, rows, every, weight)
            other = learnt(network, some, rows[known], part, weight)
            shares = [right_share(network, classify, held, wholes, group) for group in groups]
            new = [right_share(network, other, unknown, wholes, group) for group in groups]
            figures.append([*shares, float(np.nanmean(new)), *agreement(classify, patches, own)])
    lines = [f"{'weight':8}" + "".join(f"{name:>13}" for name in [*groups, "unknown", "names", "same name"])]
    for weight, each in found.items():
        *shares, distance, same = np.mean(each, axis=0)
        lines.append(
            f"{weight:<8g}" + "".join(f"{100 * share:13.1f}" for share in shares) + f"{distance:13.3f}{same:13.3f}"
        )
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m recipes.percept_mini.train_sound_words", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--data", type=Path, required=True, help="folder with audio/ and weights/yamnet.tflite")
    parser.add_argument("--runs", type=Path, default=Path("recipes/runs/sound"), help="folder with the trained network")
    parser.add_argument("--weight", type=float, default=WEIGHT, help="of the words, compared with the teacher's scores")
    parser.add_argument("-o", "--output", type=Path, help="where sound.safetensors is written")
    parser.add_argument("--choose", action="store_true", help="write nothing: print accuracies by cross-validation")
    parser.add_argument("--no-speech", action="store_true", help="learn without speech, if espeak-ng is not installed")
    parser.add_argument("--no-urban", action="store_true", help="learn without UrbanSound8K, which is non-commercial")
    options = parser.parse_args(arguments)
    if not (options.choose or options.output):
        parser.error("-o FOLDER is missing: where sound.safetensors is written; or print accuracies: --choose")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    names, teacher = class_names(options.data), Teacher(options.data / "weights" / "yamnet.tflite")
    network = load_sound(options.runs)
    set_read_out(network, text_vectors([PROMPT.format(name) for name in names]))
    every = recordings(options.data, not options.no_speech, not options.no_urban)
    sounds = [sound for sound in [*every, *applauding(teacher, names)] if not sound.held_out]
    background = [word for word in (BUNDLED / "background.txt").read_text().split("\n") if word]
    patches = kept_patches(options.runs, network, teacher, sounds, names.index("Silence"))
    log.info("%d recordings, %d patches", len(sounds), len(patches.labels))
    if options.choose:
        print(choices(network, patches, whole_of(network, sounds), background))
        return
    words = Words(labels_of(sounds), background, network.center)
    every_row = torch.arange(len(patches.labels))
    network.classify = learnt(network, patches, every_row, words, options.weight)
    save_tower(network, options.output)
    found = agreement(network.classify, patches, every_row)
    log.info("distance from the teacher %.3f, same first name %.3f", *found)


def kept_patches(runs: Path, network: ConceptSound, teacher: Teacher, sounds: list[Recording], silence: int) -> Patches:
    """The patches of this network, made once."""
    facts = hashlib.sha256((runs / "sound.safetensors").read_bytes() + str(len(sounds)).encode()).hexdigest()[:12]
    path = runs / f"patches-{facts}.pt"
    if not path.is_file():
        made = patches_of(network, teacher, sounds, silence)
        torch.save(tuple(made), path.with_suffix(".part"))
        path.with_suffix(".part").replace(path)
    return Patches(*torch.load(path, weights_only=True))


if __name__ == "__main__":
    main()
