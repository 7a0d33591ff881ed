"""Learn the picture tower's projection from photos with captions, with boxes, and with one name.

    python -m recipes.percept_mini.train_picture --data ../shared/data -o FOLDER     train, or resume
    python -m recipes.percept_mini.train_picture --data ../shared/data --check FILE  figures of a projection

The linear map from the network's features to the text space is learnt, 1,280 x 384 numbers; network and concepts stay
as they are. With `--block-steps`, this map and the last blocks of the network are then trained together, and the result
is mixed with what there was before, weight by weight (WiSE-FT, Wortsman et al. 2022, arXiv 2109.01903), so that what
the network knew is kept. The bundled tower has not been trained so.

Needs what `recipes.percept_mini.picture_data` makes (and makes it). Photos for reporting are not used; choices are made
on those for choices (`recipes.percept_mini.folds`). Writes `concepts.safetensors`, and in `picture_words.txt` the words
that the tower then knows.

Losses: those of `percept train --captions` (`training.captions.losses`), for captions and phrases of them; the logistic
loss of words' odds as the product computes them, and the same for each thing by itself; cross-entropy of the class
names; and divergence from what the tower said of the ImageNet classes before.
"""

from __future__ import annotations

import argparse
import logging
import math
import sys
from collections.abc import Mapping
from pathlib import Path

import torch
from msgspec.structs import replace
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional

from engines.models.checkpoint import read_model
from engines.networks.picture import CONCEPTS_FILE, LEARNT, put_learnt
from recipes.percept_mini import picture_data
from recipes.percept_mini.build_concepts import fitted_projection
from recipes.percept_mini.picture_data import RUNS, VIEWS
from recipes.percept_mini.picture_networks import FASTER, NAMED, LastBlocks, Projection, Tower
from recipes.percept_mini.picture_photos import TEMPERATURE, Photos
from recipes.percept_mini.picture_words import RIGHT, UNKNOWN, WRONG
from recipes.percept_mini.text_data import BUNDLED
from training.captions import losses
from training.captions.losses import caption_losses
from training.train.loop import Training
from training.train.plan import TrainingPlan, usual_plan

log = logging.getLogger("train_picture")
PHRASES = 0.4
"""How often one phrase of a caption takes the place of the whole, so that short labels are understood too."""
UNSAID = 0.3
"""Weight of a word that captions do not say, compared with one that boxes exclude."""
WRONG_WORDS = 10.0
"""Weight of all wrong words together, compared with all right ones, as in calibration."""
KEPT_TEMPERATURE = 0.07
VOCABULARY = "picture_words.txt"
SHARES = {"imagenet": 4.0}
"""How often photos of a collection are drawn, compared with others."""
WRONG_NAMES = 2.5
"""Weight of photos without a thing, compared with those with it, for each name of a box and each word for people."""
WEIGHTS = {**losses.WEIGHTS, "captions": 6.0, "words": 4.0, "names": 16.0, "classes": 0.5, "kept": 1.0}
OF_BLOCKS = {**WEIGHTS, "classes": 1.0, "kept": 5.0}
"""The same for the second training. A network can forget more than a map."""
BEFORE = 0.5
"""Share of the weights before the second training in those that are written."""
MEASURES = ("person", "names", "captions", "classes")
"""Of the photos for choices; see `figures`."""


class PictureTrainee:
    """See `training.train.loop.Trainee`. Items are views; they are drawn anew for each batch."""

    branches: Mapping[str, float] = WEIGHTS

    def __init__(self, photos: Photos, projection: Tensor, bias: float) -> None:
        self._photos = photos
        self.network: nn.Module = Projection(NAMED * projection, bias)
        shares = [SHARES.get(photos.of(row).collection, 1.0) for row in photos.train.tolist()]
        self._drawn = torch.tensor(shares)
        self._before = projection

    @property
    def items(self) -> int:
        return len(self._photos.train)

    def frozen(self) -> Mapping[str, Tensor]:
        return {}

    def losses(self, network: nn.Module, rows: Tensor) -> Mapping[str, Tensor]:
        assert isinstance(network, Projection)
        photos = self._photos
        views = photos.train[torch.multinomial(self._drawn, len(rows))]
        vectors = network(*self._read(network, views))
        odds = photos.odds(vectors, network.bias)
        return {
            **self._of_captions(network, vectors, views),
            "words": self._of_words(odds, views),
            "names": self._of_names(odds, views),
            "classes": self._of_classes(vectors, views),
            "kept": self._of_concepts(vectors, views),
        }

    def _read(self, network: nn.Module, views: Tensor) -> tuple[Tensor, Tensor]:
        return self._photos.named[views].float(), self._photos.directions[views].float()

    def _of_captions(self, network: Projection, vectors: Tensor, views: Tensor) -> dict[str, Tensor]:
        photos = self._photos
        numbers = photos.photo[views]
        rows = torch.tensor([row for row, number in enumerate(numbers.tolist()) if number in photos.captions_of])
        if not len(rows):
            return {}
        own = [photos.captions_of[number] for number in numbers[rows].tolist()]
        drawn = [_one_of(texts) for texts in own]
        shorter = (torch.rand(len(drawn)) < PHRASES).tolist()
        drawn = [
            _one_of(photos.phrases_of[text] or [text]) if short else text
            for text, short in zip(drawn, shorter, strict=True)
        ]
        texts = torch.tensor(drawn)
        return caption_losses(vectors[rows], photos.texts[texts], network.sharpness.exp(), numbers[rows], texts)

    def _of_words(self, odds: Tensor, views: Tensor) -> Tensor:
        target = self._photos.targets[views].float()
        unsaid = torch.where(self._photos.said[views], UNSAID, 1.0)[:, None]
        weight = torch.where(target > 0, 1.0, unsaid) * (target != UNKNOWN)
        loss = weight * functional.binary_cross_entropy_with_logits(odds, target.clamp(min=0), reduction="none")
        right = target > 0
        wrong = loss[~right].sum() / weight[~right].sum()
        return (loss[right].sum() / weight[right].sum() + WRONG_WORDS * wrong) * 10 / (1 + WRONG_WORDS)

    def _of_names(self, odds: Tensor, views: Tensor) -> Tensor:
        """Photos with and without a thing weigh the same for a thing, however rare it is."""
        names = self._photos.names
        odds, target = odds[:, names], self._photos.targets[views][:, names].float()
        right, wrong = target == RIGHT, target == WRONG
        yes = (functional.softplus(-odds) * right).sum(0) / right.sum(0).clamp(min=1)
        no = (functional.softplus(odds) * wrong).sum(0) / wrong.sum(0).clamp(min=1)
        weight = right.sum(0).sqrt() * (wrong.sum(0) > 0)
        return (weight * (yes + WRONG_NAMES * no)).sum() / weight.sum().clamp(min=1)

    def _of_classes(self, vectors: Tensor, views: Tensor) -> Tensor:
        classes = self._photos.class_of[views]
        has = classes >= 0
        return functional.cross_entropy(vectors[has] @ self._photos.class_vectors.T / 0.07, classes[has])

    def _of_concepts(self, vectors: Tensor, views: Tensor) -> Tensor:
        """What the tower knew of the ImageNet classes is kept, on all photos (Li & Hoiem 2016, arXiv 1606.09282)."""
        photos = self._photos
        named, directions = photos.named[views].float(), photos.directions[views].float()
        before = functional.normalize(named + directions @ self._before, dim=-1) @ photos.concepts.T / KEPT_TEMPERATURE
        now = (vectors @ photos.concepts.T / KEPT_TEMPERATURE).log_softmax(1)
        return functional.kl_div(now, before.log_softmax(1), log_target=True, reduction="batchmean")

    @torch.inference_mode()
    def accuracy(self, network: nn.Module) -> Mapping[str, float]:
        """The figures of the photos for choices; see `figures`."""
        assert isinstance(network, Projection)
        network.eval()
        photos = self._photos
        parts = [network(*self._read(network, rows)) for rows in photos.check.split(256)]
        return figures(photos, torch.cat(parts), network.bias)


class TowerTrainee(PictureTrainee):
    """The same for the last blocks and the projection together."""

    branches: Mapping[str, float] = OF_BLOCKS

    def __init__(self, photos: Photos, projection: Tensor, bias: float, concepts: Tensor) -> None:
        super().__init__(photos, projection, bias)
        self.network = Tower(NAMED * projection, bias, concepts)
        self._initial = {
            name: weight.detach().clone() for name, weight in self.network.named_parameters() if weight.requires_grad
        }

    def frozen(self) -> Mapping[str, Tensor]:
        return self._initial

    def _read(self, network: nn.Module, views: Tensor) -> tuple[Tensor, Tensor]:
        assert isinstance(network, Tower)
        found: tuple[Tensor, Tensor] = network.last(self._photos.maps[views].float())
        return found


def figures(photos: Photos, vectors: Tensor, bias: Tensor | float) -> dict[str, float]:
    """Of the photos for choices, in percent: AUROC of "person" and mean of VOC's names, photo to one of its captions
    among all of them (first ten), and the class name (first five)."""
    rows = photos.check
    odds, target = photos.odds(vectors, bias), photos.targets[rows]
    is_voc = torch.tensor([photos.of(row).collection == "voc2012" for row in rows.tolist()])
    names = sorted({box[0] for row in rows[is_voc].tolist() for box in photos.of(row).boxes})
    places = [photos.words.index(name) for name in names]
    areas = {
        name: auroc(odds[is_voc, place][known], target[is_voc, place][known] == 1)
        for name, place in zip(names, places, strict=True)
        if (known := target[is_voc, place] != UNKNOWN).any()
    }
    captioned = torch.tensor([photos.of(row).collection == "flickr8k" for row in rows.tolist()])
    own = [photos.captions_of[number] for number in photos.photo[rows[captioned]].tolist()]
    texts = torch.tensor([text for each in own for text in each])
    whose = torch.repeat_interleave(torch.arange(len(own)), torch.tensor([len(each) for each in own]))
    near = vectors[captioned] @ photos.captions[texts].T
    best = near.masked_fill(whose != torch.arange(len(own))[:, None], -2).amax(1, keepdim=True)
    has_class = photos.class_of[rows] >= 0
    classes = vectors[has_class] @ photos.class_vectors.T
    right = classes.gather(1, photos.class_of[rows][has_class, None])
    return {
        "person": 100 * areas.get("person", math.nan),
        "names": 100 * sum(found) / len(found) if (found := [a for a in areas.values() if a == a]) else math.nan,
        "captions": 100 * float(((near > best).sum(1) < 10).float().mean()),
        "classes": 100 * float(((classes > right).sum(1) < 5).float().mean()),
    }


def auroc(scores: Tensor, is_right: Tensor) -> float:
    """nan if all are right or all are wrong."""
    right, wrong = scores[is_right], scores[~is_right]
    if not len(right) or not len(wrong):
        return float("nan")
    return float((right[:, None] > wrong).float().mean() + 0.5 * (right[:, None] == wrong).float().mean())


def _one_of(rows: list[int]) -> int:
    return rows[int(torch.randint(len(rows), ()))]


def plan_of(steps: int, batch: int) -> TrainingPlan:
    return replace(
        usual_plan("picture"),
        steps=steps,
        batch=batch,
        learning_rate=3e-3,
        weight_decay=0.05,
        ema=0.98,
        every_steps=50,
        frozen_ratio=0.0,
    )


def plan_of_blocks(steps: int, batch: int) -> TrainingPlan:
    return replace(plan_of(steps, batch), learning_rate=1.5e-4, weight_decay=0.0, every_steps=25, frozen_ratio=BEFORE)


def told(row: Mapping[str, float]) -> None:
    if "person" in row:
        log.info("  ".join(f"{name} {value:.4g}" for name, value in row.items()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with images/, captions/ and boxes/")
    parser.add_argument("--runs", type=Path, default=RUNS)
    parser.add_argument("-o", "--output", type=Path, default=BUNDLED, help="where concepts.safetensors is written")
    parser.add_argument("--steps", type=int, default=300, help="of the projection alone")
    parser.add_argument("--batch", type=int, default=1024)
    parser.add_argument("--block-steps", type=int, default=0, help="of the last blocks, too, such as 240")
    parser.add_argument("--block-batch", type=int, default=320)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--check", type=Path, help="train nothing: print the figures of this concepts.safetensors")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    reader = picture_data.Reader(options.threads)
    for collection in VIEWS:
        picture_data.make(options.data, collection, options.runs, reader)
    torch.set_num_threads(options.threads)
    stored = load_file(options.check or BUNDLED / CONCEPTS_FILE)
    spec, photos = read_model("percept-mini").image, Photos(options.runs, with_maps=True)
    assert spec is not None
    if options.check:
        print(checked(photos, stored, spec.bias))
        return
    concepts = stored["concepts"].float()
    for folder in ("projection", "blocks"):
        (options.runs / folder).mkdir(parents=True, exist_ok=True)
    trainee = PictureTrainee(photos, torch.from_numpy(fitted_projection(concepts.numpy())), spec.bias)
    plan = plan_of(options.steps, options.batch)
    trained = Training(trainee, plan, options.runs / "projection", "cpu", MEASURES).run(told)
    assert isinstance(trained, Projection)
    projection, bias, blocks = trained.projection.detach() / NAMED, float(trained.bias), dict[str, Tensor]()
    if options.block_steps:
        of_both = TowerTrainee(photos, projection, bias, concepts)
        plan = plan_of_blocks(options.block_steps, options.block_batch)
        tower = Training(of_both, plan, options.runs / "blocks", "cpu", MEASURES).run(told)
        assert isinstance(tower, Tower)
        projection, bias = FASTER * tower.projection.detach() / NAMED, float(tower.bias)
        blocks = {name: weight.detach().half().contiguous() for name, weight in tower.last.learnt().items()}
    kept = {name: tensor for name, tensor in stored.items() if not name.startswith(LEARNT)}
    options.output.mkdir(parents=True, exist_ok=True)
    made = {**kept, "projection": projection.half().contiguous(), **blocks}
    save_file(made, options.output / CONCEPTS_FILE)
    log.info("mixed: %s", checked(photos, made, bias))
    names = (BUNDLED / "concepts.txt").read_text().splitlines()
    known = dict.fromkeys([*names, *photos.known()])
    (options.output / VOCABULARY).write_text("".join(f"{word}\n" for word in known))
    log.info("bias %.2f at temperature %g", bias, TEMPERATURE)


def checked(photos: Photos, stored: Mapping[str, Tensor], bias: float) -> str:
    """The figures of a tower: its projection, and its blocks if it has any of its own."""
    read_checked(photos, stored)
    rows = photos.check
    tokens = photos.named[rows].float() + photos.directions[rows].float() @ stored["projection"].float()
    found = figures(photos, functional.normalize(tokens, dim=-1), bias)
    return "  ".join(f"{name} {value:.1f}" for name, value in found.items())


def read_checked(photos: Photos, stored: Mapping[str, Tensor]) -> None:
    """Let the photos for choices be read by the blocks of `concepts.safetensors`."""
    last = LastBlocks(stored["concepts"]).eval()
    put_learnt(last.network, stored)
    photos.read_with(last, photos.check)


if __name__ == "__main__":
    main()
