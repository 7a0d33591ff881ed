"""The words of a run in every single prompt template, so that templates can be weighted differently for each clip."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np

from engines.models.model import ModelSpec
from pipeline.arrays import Array
from pipeline.errors import ModelError
from stages.words.label_side import LabelSide
from stages.words.label_vectors import SideBuilder, center_of
from stages.words.templates import templates_of

USUAL_FILE = "mean-embeddings.safetensors"
"""Optional file of a model: by modality, the mean embedding "D" of the clips it was trained on."""


@dataclass(frozen=True)
class Stack:
    """The vectors of the words in each template, for one tower.

    labels: "P S D" and background: "P V D", float32. plain: unit "P V D", the background with the centre subtracted.
    center: "D". shift: "S D", by which kinds and `percept adapt` moved the label vectors. usual: "D", mean embedding of
    the clips that the tower was trained on, or empty.
    """

    labels: Array
    background: Array
    plain: Array
    center: Array
    shift: Array
    usual: Array

    def side(self, like: LabelSide, weights: Array) -> LabelSide:
        """The label side with these template weights "P"; which words compete with each other does not change."""
        labels = unit(unit(_mean(self.labels, weights) - self.center) + self.shift)
        background = unit(_mean(self.background, weights) - self.center)
        return replace(like, labels=labels, background=background)


def make_stack(builder: SideBuilder, modality: str) -> Stack:
    """Compute the vectors of all words in all templates that the run chose."""
    spec = builder.spec
    templates = templates_of(builder.run.templates, spec, modality)
    labels, background = builder.label_stack(modality, templates), builder.background_stack(modality, templates)
    given = center_of(spec, modality)
    center = np.zeros(labels.shape[2], np.float32) if given is None else given
    weights = np.array(templates.weights)
    plain, words = (unit(_mean(each, weights) - center) for each in (labels, background))
    shift = builder.moved(modality, plain.astype(np.float32), words) - plain
    return Stack(labels, background, unit(background - center), center, shift, usual_embedding(spec, modality))


def usual_embedding(spec: ModelSpec, modality: str) -> Array:
    """Mean embedding "D" of the clips that a tower was trained on, if the model's directory has it; else empty.

    Raises:
        ModelError: the file cannot be read.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    path = Path(spec.directory) / USUAL_FILE
    if not path.is_file():
        return np.zeros(0, np.float32)
    try:
        usual: Array = load_file(path).get(modality, np.zeros(0, np.float32))
    except (OSError, SafetensorError) as error:
        raise ModelError(f"{path}: {error}; expected a mean embedding by modality") from error
    return usual


def save_stacks(path: Path, stacks: Mapping[str, Stack]) -> None:
    """Write one npz file, complete or not at all."""
    arrays = {f"{name}.{field.name}": getattr(stack, field.name) for name, stack in stacks.items() for field in _FIELDS}
    half = path.with_name(f"{path.name}.{os.getpid()}.part")
    with half.open("wb") as file:
        np.savez(file, **arrays)
    half.replace(path)


def load_stacks(path: Path) -> dict[str, Stack]:
    """The stacks in a file that `save_stacks` wrote, by modality."""
    with np.load(path, allow_pickle=False) as file:
        names = [name.removesuffix(".plain") for name in file.files if name.endswith(".plain")]
        return {name: Stack(*(file[f"{name}.{field.name}"] for field in _FIELDS)) for name in names}


_FIELDS = fields(Stack)


def unit(vectors: Array) -> Array:
    """The last dimension at unit length; zeros stay zeros."""
    result: Array = vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)
    return result


def _mean(stack: Array, weights: Array) -> Array:
    mean: Array = np.tensordot(weights.astype(stack.dtype), stack, axes=1)
    return mean
