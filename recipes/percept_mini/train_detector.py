"""Learn the head of percept-mini's detector from photos with boxes. The picture tower stays as it is.

    python -m recipes.percept_mini.train_detector --data ../shared/data -o FOLDER     train, or resume

Needs what `recipes.percept_mini.detector_data` makes (and makes it). Photos for reporting are not used; figures are of
those for choices. Writes `detector.safetensors`.

Cells near the middle of a box compete for it by the overlap of what they say and how sure they are (after TOOD, Feng et
al. 2021, arXiv 2108.07755). Losses: GIoU of the sides; the overlap, foretold; focal loss of objectness; the name of the
box among all names, and what the picture tower reads in its crop (ViLD, Gu et al. 2022, arXiv 2104.13921), so that
vectors also tell things that no box names.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from msgspec.structs import replace
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional

from engines.networks.detector import DetectorHead
from engines.networks.detector_facts import STRIDES_PX, WEIGHTS_FILE
from engines.networks.picture import CONCEPTS_FILE
from pipeline.arrays import Array
from recipes.percept_mini import detector_data
from recipes.percept_mini.build_concepts import PROMPT
from recipes.percept_mini.detector_data import RUNS, SIDE_PX
from recipes.percept_mini.detector_figures import LEAST_IOU, Answer, Truth, average_precision, recall
from recipes.percept_mini.detector_words import word
from recipes.percept_mini.picture_data import read_photos
from recipes.percept_mini.picture_photos import TEMPERATURE
from recipes.percept_mini.text_data import BUNDLED, text_vectors
from stages.boxes import box_iou
from stages.detect.cells import LEAST_SCORE, kept_cells
from training.captions.losses import centred
from training.train.loop import Training
from training.train.plan import TrainingPlan, usual_plan

log = logging.getLogger("train_detector")
MEASURES = ("recall", "person", "names")
WEIGHTS: Mapping[str, float] = {"sides": 2.0, "quality": 0.5, "objects": 1.0, "names": 0.5, "looks": 1.0}
CROWD = " (crowd)"
"""Ends the names of COCO's boxes around many things."""
NEAR_CELLS = 1.5
"""Cells within so many strides of the middle of a box compete for it."""
USUAL_SIDE = 6.0
"""Side of a box in strides that suits a stride best."""
MOST_CELLS = 10
FOCUS, RIGHT_SHARE = 2.0, 0.75
"""Of the focal loss (Lin et al. 2017, arXiv 1708.02002): exponent, and weight of objects against the rest."""
SURE_VECTORS = 400
"""Cells per batch whose vectors are compared, at most."""


class Boxes:
    """All views of a split, as the head reads them."""

    def __init__(self, runs: Path, split: str) -> None:
        self.fine, self.coarse, self.tokens = (
            np.load(runs / f"{split}-{name}.npy", mmap_mode="r") for name in ("fine", "coarse", "tokens")
        )
        known = json.loads((runs / f"{split}.json").read_text())
        self.names = [word(name) for name in known["names"]]
        self.rows, self.boxes = list[list[int]](), list[Array]()
        for numbers, boxes in zip(known["rows"], known["boxes"], strict=True):
            single = [i for i, number in enumerate(numbers) if not self.names[number].endswith(CROWD)]
            self.rows.append([numbers[i] for i in single])
            self.boxes.append(np.array([boxes[i] for i in single], np.float32).reshape(-1, 4))
        self.looks = torch.from_numpy(np.load(runs / f"{split}-looks.npy"))

    def read(self, rows: Array) -> tuple[Tensor, Tensor, Tensor]:
        fine, coarse, tokens = (
            torch.from_numpy(np.stack([file[row] for row in rows])).float()
            for file in (self.fine, self.coarse, self.tokens)
        )
        return fine, coarse, tokens


def cells_of(side_px: int = SIDE_PX) -> tuple[Tensor, Tensor]:
    """Centres "A 2" in pixels and strides "A" of all cells of a square picture."""
    centres, strides = [], []
    for stride in STRIDES_PX:
        count = side_px // stride
        y, x = torch.meshgrid(torch.arange(count), torch.arange(count), indexing="ij")
        centres.append((torch.stack([x, y], -1).reshape(-1, 2) + 0.5) * stride)
        strides.append(torch.full((count * count,), float(stride)))
    return torch.cat(centres), torch.cat(strides)


def flat(found: list[tuple[Tensor, Tensor, Tensor, Tensor]]) -> list[Tensor]:
    """What the head gives, over all cells of both strides: "B A 1", "B A 1", "B A 4", "B A 384"."""
    return [torch.cat([each.flatten(2).transpose(1, 2) for each in kind], dim=1) for kind in zip(*found, strict=True)]


def boxes_of(centres: Tensor, sides: Tensor) -> Tensor:
    """Sides "... A 4" -> x0 y0 x1 y1."""
    return torch.cat([centres - sides[..., :2], centres + sides[..., 2:]], dim=-1)


def overlap(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """IoU and GIoU (Rezatofighi et al. 2019, arXiv 1902.09630) of boxes "... 4"."""
    low, high = torch.maximum(a[..., :2], b[..., :2]), torch.minimum(a[..., 2:], b[..., 2:])
    shared = (high - low).clamp(min=0).prod(-1)
    union = (a[..., 2:] - a[..., :2]).prod(-1) + (b[..., 2:] - b[..., :2]).prod(-1) - shared
    hull = (torch.maximum(a[..., 2:], b[..., 2:]) - torch.minimum(a[..., :2], b[..., :2])).prod(-1)
    iou = shared / union.clamp(min=1e-6)
    return iou, iou - (hull - union) / hull.clamp(min=1e-6)


class DetectorTrainee:
    """See `training.train.loop.Trainee`. Items are views."""

    branches: Mapping[str, float] = WEIGHTS

    def __init__(self, train: Boxes, check: Boxes) -> None:
        self._train, self._check = train, check
        self.network: nn.Module = DetectorHead()
        self._centres, self._strides = cells_of()
        self._words = sorted({name.removesuffix(CROWD) for name in (*train.names, *check.names)})
        center = load_file(BUNDLED / CONCEPTS_FILE)["center"].float()
        vectors = torch.from_numpy(text_vectors([PROMPT.format(each) for each in self._words]))
        self._vectors = centred(vectors, center)
        self._word_of = torch.tensor([self._words.index(name.removesuffix(CROWD)) for name in train.names])

    @property
    def items(self) -> int:
        return len(self._train.rows)

    def frozen(self) -> Mapping[str, Tensor]:
        return {}

    def losses(self, network: nn.Module, rows: Tensor) -> Mapping[str, Tensor]:
        assert isinstance(network, DetectorHead)
        views = rows.tolist()
        objectness, quality, sides, vectors = flat(network(*self._train.read(np.array(views))))
        objectness, quality = objectness[..., 0], quality[..., 0]
        boxes = boxes_of(self._centres, sides)
        score = network.score(objectness, quality).detach()
        target, places, owners, numbers = self._assigned(views, boxes.detach(), score)
        weight = (1 - RIGHT_SHARE) + (2 * RIGHT_SHARE - 1) * (target > 0).float()
        sharp = weight * (target - objectness.sigmoid()).abs() ** FOCUS
        objects = functional.binary_cross_entropy_with_logits(objectness, target, sharp.detach(), reduction="sum")
        count = max(1, len(owners))
        found = {"objects": objects / count}
        if not len(owners):
            return found
        mine = boxes[places]
        iou, giou = overlap(mine, owners)
        drawn = torch.randperm(len(owners))[:SURE_VECTORS]
        told = functional.normalize(vectors[places][drawn], dim=-1)
        logits = told @ self._vectors.T / TEMPERATURE
        looks = functional.normalize(self._train.looks[numbers[drawn]].float(), dim=-1)
        return found | {
            "sides": (1 - giou).mean(),
            "quality": functional.binary_cross_entropy_with_logits(quality[places], iou.detach()),
            "names": functional.cross_entropy(logits, self._word_of[numbers[drawn]]),
            "looks": (1 - (told * looks).sum(-1)).mean(),
        }

    @torch.no_grad()
    def _assigned(
        self, views: list[int], boxes: Tensor, score: Tensor
    ) -> tuple[Tensor, tuple[Tensor, Tensor], Tensor, Tensor]:
        """Target of objectness "B A"; and of the cells that have an object their place, its box "P 4" and number."""
        target = torch.zeros_like(score)
        at, which, owners, numbers = list[Tensor](), list[Tensor](), list[Tensor](), list[Tensor]()
        for row, view in enumerate(views):
            true = torch.from_numpy(self._train.boxes[view])
            if not len(true):
                continue
            iou, _ = overlap(boxes[row][None], true[:, None])
            middle, size = (true[:, :2] + true[:, 2:]) / 2, (true[:, 2:] - true[:, :2]).prod(-1).sqrt()
            distance = ((self._centres - middle[:, None]).abs() / self._strides[:, None]).amax(-1)
            inside = torch.cat([self._centres - true[:, None, :2], true[:, None, 2:] - self._centres], -1).amin(-1) > 0
            nearest = torch.zeros_like(inside).scatter_(1, (distance * self._strides).argmin(1, keepdim=True), True)
            suits = torch.exp(-((size[:, None] / self._strides / USUAL_SIDE).log2() ** 2) / 2)
            worth = (iou + 0.05) ** 3 * (score[row] + 0.05) ** 0.5 * (suits + 0.05)
            worth = worth * ((distance < NEAR_CELLS) & inside | nearest)
            best, cells = worth.topk(MOST_CELLS, dim=1)
            count = iou.gather(1, cells).sum(1).clamp(1, MOST_CELLS).round()
            chosen = (torch.arange(MOST_CELLS) < count[:, None]) & (best > 0)
            claims = torch.zeros_like(worth).scatter_(1, cells, best * chosen)
            highest, owner = claims.max(0)
            mine = highest.nonzero()[:, 0]
            target[row, mine] = iou[owner[mine], mine].clamp(min=0.2)
            at.append(torch.full_like(mine, row))
            which.append(mine)
            owners.append(true[owner[mine]])
            numbers.append(torch.tensor(self._train.rows[view])[owner[mine]])
        if not at:
            none = torch.zeros(0, dtype=torch.long)
            return target, (none, none), torch.zeros(0, 4), none
        return target, (torch.cat(at), torch.cat(which)), torch.cat(owners), torch.cat(numbers)

    def accuracy(self, network: nn.Module) -> Mapping[str, float]:
        truths, answers, names = self.checked(network)
        by_name = average_precision(truths, answers, names)
        found = {"recall": recall(truths, answers)}
        if by_name:
            found["names"] = sum(by_name.values()) / len(by_name)
        return found | ({"person": by_name["person"]} if "person" in by_name else {})

    @torch.inference_mode()
    def checked(self, network: nn.Module) -> tuple[list[Truth], list[Answer], list[str]]:
        """The photos for choices: their boxes, what the network finds, and the names that it chooses from."""
        assert isinstance(network, DetectorHead)
        check = self._check
        truths, answers = list[Truth](), list[Answer]()
        names = sorted({check.names[number] for numbers in check.rows for number in numbers})
        columns = torch.stack([self._vectors[self._words.index(name)] for name in names])
        for row, (boxes, numbers) in enumerate(zip(check.boxes, check.rows, strict=True)):
            objectness, quality, sides, vectors = (each[0] for each in flat(network(*check.read(np.array([row])))))
            score = network.score(objectness, quality)[:, 0].numpy()
            mine = boxes_of(self._centres, sides).numpy()
            kept = kept_cells(mine, score, LEAST_SCORE)
            shares = (functional.normalize(vectors[kept], dim=-1) @ columns.T / TEMPERATURE).softmax(-1)
            truths.append(Truth(boxes, [check.names[number] for number in numbers]))
            answers.append(Answer(mine[kept], score[kept], shares.numpy()))
        return truths, answers, names


def certainty_of(truths: list[Truth], answers: list[Answer], names: list[str], known: set[str]) -> Tensor:
    """Slope and shift of the log-odds of scores, so that they are the share of right boxes: by logistic regression on
    boxes that look like something whose boxes are all known."""
    odds, right = list[Array](), list[Array]()
    for truth, answer in zip(truths, answers, strict=True):
        if len(answer.scores):
            counted = np.array([names[index] in known for index in answer.shares.argmax(axis=1)])
            iou = box_iou(answer.boxes, truth.boxes.reshape(-1, 4)).max(axis=1, initial=0.0)
            odds.append(np.log(answer.scores / (1 - answer.scores))[counted])
            right.append((iou >= LEAST_IOU)[counted])
    x, y = torch.from_numpy(np.concatenate(odds)), torch.from_numpy(np.concatenate(right)).to(torch.float32)
    fitted = torch.tensor([1.0, 0.0], requires_grad=True)
    optimiser = torch.optim.LBFGS([fitted], max_iter=100, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimiser.zero_grad()
        found = functional.binary_cross_entropy_with_logits(fitted[0] * x + fitted[1], y)
        found.backward()
        return found

    optimiser.step(loss)
    return fitted.detach()


def plan_of(steps: int, batch: int) -> TrainingPlan:
    return replace(
        usual_plan("picture"),
        steps=steps,
        batch=batch,
        learning_rate=2e-3,
        weight_decay=0.02,
        ema=0.99,
        every_steps=100,
        frozen_ratio=0.0,
    )


def told(row: Mapping[str, float]) -> None:
    if "person" in row or row["step"] % 20 == 0:
        log.info("  ".join(f"{name} {value:.4g}" for name, value in row.items()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with boxes/")
    parser.add_argument("--runs", type=Path, default=RUNS)
    parser.add_argument("-o", "--output", type=Path, default=BUNDLED, help="where detector.safetensors is written")
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    for split in ("check", "train"):
        detector_data.make(options.data, split, options.runs, options.threads)
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    trainee = DetectorTrainee(Boxes(options.runs, "train"), Boxes(options.runs, "check"))
    trained = Training(trainee, plan_of(options.steps, options.batch), options.runs, "cpu", MEASURES).run(told)
    assert isinstance(trained, DetectorHead)
    known = {word(name) for photo in read_photos(options.data, "voc2012") for name in photo.names_known}
    trained.certainty.copy_(certainty_of(*trainee.checked(trained), known))
    log.info("certainty %s", [round(value, 3) for value in trained.certainty.tolist()])
    options.output.mkdir(parents=True, exist_ok=True)
    weights = {name: weight.detach().half().contiguous() for name, weight in trained.state_dict().items()}
    save_file(weights, options.output / WEIGHTS_FILE)
    log.info("wrote %s", options.output / WEIGHTS_FILE)


if __name__ == "__main__":
    main()
