"""The motion tower's read-out: concept vectors, the weights file, and the tower's scores."""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from engines.networks.motion import ConceptMotion, load_motion
from pipeline.arrays import Array
from recipes.percept_mini.motion_words import BUNDLED, MOTION_WORDS, word_lines
from recipes.percept_mini.text_data import text_vectors

PROMPT = "motion: {}"
SHARED = 0.5
"""How much of the words' common part stays in the concepts: a large value keeps all of it, 0 none."""


def vectors(texts: list[str]) -> Tensor:
    return torch.from_numpy(text_vectors([PROMPT.format(text) for text in texts]))


def concept_vectors(lines: list[list[str]], background: list[str], shared: float = SHARED) -> tuple[Tensor, Tensor]:
    """Concepts "W 384" of unit length, and the centre "384": the mean of the background words.

    A concept is the mean of the word's own direction and that of its other phrasings. The concepts are then made less
    similar by the inverse of their similarity matrix + `shared` (ridge regression of words on text vectors). Without
    this, the cosine of left and right is about 0.9.
    """
    center = vectors(background).mean(0)
    own = F.normalize(vectors([names[0] for names in lines]) - center, dim=-1)
    others = torch.stack([F.normalize(vectors(names[1:]) - center, dim=-1).mean(0) for names in lines])
    plain = F.normalize(own + F.normalize(others, dim=-1), dim=-1)
    apart = torch.linalg.solve(plain @ plain.T + shared * torch.eye(len(plain)), plain)
    return F.normalize(apart, dim=-1), center


def tower_concepts(words: int) -> tuple[Tensor, Tensor]:
    """Concepts of the first words, and the centre. Those of motions do not depend on whether actions follow."""
    lines, motions = word_lines(), len(MOTION_WORDS)
    concepts, center = concept_vectors(lines[:motions], background_words())
    if words > motions:
        concepts = torch.cat([concepts, concept_vectors(lines[:words], background_words())[0][motions:]])
    return concepts, center


def background_words() -> list[str]:
    return [word for word in (BUNDLED / "background.txt").read_text(encoding="utf-8").splitlines() if word]


def write_read_out(trained: Path, directory: Path = BUNDLED) -> None:
    """Write the network in `trained` to `directory`, with concept vectors from the current text tower."""
    network = load_motion(trained)
    network.concepts, network.center = tower_concepts(len(network.concepts))
    save_tower(network, directory)


def save_tower(network: ConceptMotion, directory: Path) -> None:
    """Write `motion.safetensors`: convolutions and matrices in float16, the rest unchanged."""
    from safetensors.torch import save_file

    halves = {name: tensor.half() if tensor.dim() > 1 else tensor for name, tensor in network.state_dict().items()}
    directory.mkdir(parents=True, exist_ok=True)
    new = directory / "motion.safetensors.new"
    save_file({name: tensor.contiguous() for name, tensor in halves.items()}, new)
    new.chmod(0o644)  # safetensors writes files that only the owner can read
    new.replace(directory / "motion.safetensors")


def as_input(pictures: Array) -> Tensor:
    """Cached pictures uint8 "N T 3 S S" -> the tower's input, float32 in [-1, 1]."""
    return torch.from_numpy(pictures).float().div_(127.5).sub_(1)


@torch.inference_mode()
def scores(network: ConceptMotion, pictures: Array) -> Tensor:
    """Probabilities of all words for clips uint8 "N T 3 S S": "N W"."""
    parts = [pictures[first : first + 64] for first in range(0, len(pictures), 64)]
    return torch.cat([network.logits(as_input(part)).sigmoid() for part in parts])
