"""Train the fusion head of percept-mini on composed clips.

    python -m recipes.percept_mini.train_fusion --data ../shared/data               train, or resume
    python -m recipes.percept_mini.train_fusion --data ../shared/data --evaluate    the bundled head's figures

Needs the motion clips of `recipes.percept_mini.train_motion`. The photos of `benchmarks.accuracy` and fold 3 of ESC-10
are not used. Checkpoint, curves and tokens are kept in `recipes/runs/fusion`.
"""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

import numpy as np
import torch
from torch import nn

from engines.models.checkpoint import BUNDLED, read_model
from engines.networks.fusion import MovFusion, load_fusion, save_fusion
from engines.networks.fusion_shape import FusionShape
from engines.networks.sound import load_sound
from pipeline.stage import RunSettings
from recipes.percept_mini import composed_tokens
from recipes.percept_mini.composed import ClipParts, ComposedTrainee, all_words
from recipes.percept_mini.motion_data import RUNS as MOTION_RUNS
from recipes.percept_mini.photo_words import PHOTO_WORDS
from recipes.percept_mini.wordnet import above, read_synsets
from stages.words.labels import build_label_set
from training.train.loop import Training
from training.train.plan import TrainingPlan, usual_plan

log = logging.getLogger("train_fusion")
RUNS = Path("recipes/runs/fusion")
MINI = BUNDLED / "percept-mini"
SHAPE = FusionShape(dims={"image": 384, "motion": 384, "audio": 384}, width=64, heads=4, hidden=128, dropout=0.1)
SHARES = (0.0, 0.35, 0.65, 1.0)
RATIOS = (0.0, 0.25, 0.5)
"""Ratios of the frozen encoder that are tried at the end: the gates are closed by this share."""


def plan_of(steps: int) -> TrainingPlan:
    from msgspec.structs import replace

    return replace(
        usual_plan("head"), steps=steps, batch=128, learning_rate=1e-3, weight_decay=0.05, ema=0.99, every_steps=100
    )


def parts(data: Path, runs: Path) -> ClipParts:
    spec = read_model("percept-mini")
    assert spec.audio is not None
    photos = composed_tokens.photos(data, spec, runs, PHOTO_WORDS)
    sounds = composed_tokens.sounds(data, spec, runs)
    motions = composed_tokens.motions(spec, MOTION_RUNS, "train")
    names = tuple(name.lower() for name in (MINI / "sound_classes.txt").read_text().splitlines())
    run = RunSettings(cache_directory=str(runs / "cache"))
    label_set = build_label_set(spec, all_words(photos, sounds, names, PHOTO_WORDS), run, log.info)
    tower = load_sound(Path(spec.audio.directory))
    concepts = (tower.concepts * tower.surprise[:, None]).numpy().astype(np.float32)
    return ClipParts(photos, sounds, motions, label_set, concepts, names, kinds_of(photos), PHOTO_WORDS)


def kinds_of(photos: composed_tokens.Photos) -> dict[str, tuple[str, ...]]:
    """The words of each photo's synset and of all kinds above it."""
    nouns = read_synsets("n")
    found = {}
    for word, synset in zip(photos.words, photos.synsets, strict=True):
        own = int(synset[1:])
        lemmas = (lemma.lower() for offset in (own, *above(own, nouns)) for lemma in nouns[offset].lemmas)
        found[word] = tuple(sorted(lemmas))
    return found


def choices(trainee: ComposedTrainee, trained: nn.Module) -> str:
    """A table: clips with both words right, in percent, for each share of the head and ratio of the frozen encoder.

    The last line is the mean probability of right and of wrong words, which a head should not change.
    """
    lines = [f"{'frozen ratio':14}" + "".join(f"{f'{c}, share {s:g}':>18}" for c in ("base", "novel") for s in SHARES)]
    levels = [trainee.level(trained, check, share) for check in ("base", "novel") for share in SHARES]
    level_columns = "".join(f"{f'{100 * right:.0f} / {100 * wrong:.1f}':>18}" for right, wrong in levels)
    gates = {name: weight.clone() for name, weight in trained.named_parameters() if name.endswith(".gate")}
    for ratio in RATIOS:
        _set_gates(trained, {name: (1 - ratio) * gate for name, gate in gates.items()})
        found = [trainee.both_right(trained, check, share) for check in ("base", "novel") for share in SHARES]
        lines.append(f"{ratio:<14g}" + "".join(f"{100 * value:18.1f}" for value in found))
    _set_gates(trained, gates)
    return "\n".join([*lines, f"{'right / wrong':14}{level_columns}"])


@torch.no_grad()
def _set_gates(network: nn.Module, gates: dict[str, torch.Tensor]) -> None:
    for name, weight in network.named_parameters():
        if name in gates:
            weight.copy_(gates[name])


def log_row(row: dict[str, float]) -> None:
    if "base" in row:
        log.info("  ".join(f"{name} {value:.4g}" for name, value in row.items()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with images/ and audio/")
    parser.add_argument("--runs", type=Path, default=RUNS)
    parser.add_argument("--steps", type=int, default=1_000)
    parser.add_argument("--ratio", type=float, default=0.0, help="ratio of the frozen encoder (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--evaluate", action="store_true", help="train nothing")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    torch.set_num_threads(options.threads)
    trainee = ComposedTrainee(parts(options.data, options.runs), SHAPE, seed=0)
    if options.evaluate:
        print(choices(trainee, load_fusion(MINI)))
        return
    trained = Training(trainee, plan_of(options.steps), options.runs, "cpu").run(log_row)
    assert isinstance(trained, MovFusion)
    print(choices(trainee, trained))
    _set_gates(trained, {n: (1 - options.ratio) * w.clone() for n, w in trained.named_parameters() if ".gate" in n})
    save_fusion(trained, MINI, half=True)
    (MINI / "base-labels.txt").write_text("".join(f"{word}\n" for word in trainee.base_words), encoding="utf-8")


if __name__ == "__main__":
    main()
