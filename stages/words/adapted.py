"""Applies label vectors that were learnt from examples (`percept adapt`) when a label set is built.

ConES (Kan et al. 2023, arXiv 2305.14993): e_c = norm(t_c + delta_c). The file stores the deltas, by label and modality.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from engines.models.model import ModelSpec
from pipeline.arrays import Array
from pipeline.errors import ModelError
from stages.words.descriptions import plain
from stages.words.kinds import bare_name

DELTAS = ".deltas"


def adapted(spec: ModelSpec, modality: str, labels: tuple[str, ...], vectors: Array) -> Array:
    """The label vectors "C D" of one tower, moved for adapted labels; all others are the same to the bit.

    labels: their names, or all their synonyms; case, spaces and underscores are ignored.

    Raises:
        ModelError: the file that the model names cannot be read, or was made for another tower.
    """
    return _moved_by(Path(spec.directory) / spec.adapted, modality, labels, vectors) if spec.adapted else vectors


def learnt(spec: ModelSpec, modality: str, labels: tuple[str, ...], vectors: Array) -> Array:
    """The same for words that were learnt when the tower was made, also with an article in front.

    Raises:
        ModelError: as `adapted`.
    """
    tower = spec.towers()[modality]
    if not tower.learnt:
        return vectors
    return _moved_by(Path(tower.directory) / tower.learnt, modality, tuple(map(bare_name, labels)), vectors)


def _moved_by(path: Path, modality: str, labels: tuple[str, ...], vectors: Array) -> Array:
    deltas = _read_deltas(path).get(modality, {})
    rows = [row for row, label in enumerate(labels) if plain(label) in deltas]
    if not rows:
        return vectors
    learnt = np.stack([deltas[plain(labels[row])] for row in rows])
    if learnt.shape[1] != vectors.shape[1]:
        raise ModelError(
            f"{path}: was learnt for a {modality} tower of {learnt.shape[1]} dimensions; expected {vectors.shape[1]}. "
            "Adapt this model again."
        )
    result = np.array(vectors)
    result[rows] = moved(vectors[rows], learnt)
    return result


def moved(vectors: Array, deltas: Array) -> Array:
    """norm(t + delta) for unit "C D" and deltas "C D"; rows whose delta is 0 stay the same to the bit."""
    summed = np.asarray(vectors, np.float64) + deltas
    unit = summed / np.maximum(np.linalg.norm(summed, axis=1, keepdims=True), 1e-12)
    return np.where(np.any(deltas != 0, axis=1, keepdims=True), unit, vectors).astype(vectors.dtype)


def save_adapted(
    path: Path,
    labels: Sequence[str],
    deltas: Mapping[str, Array],
    about: Mapping[str, Any] | None = None,
    more: Mapping[str, Array] | None = None,
) -> None:
    """Write one file, complete or not at all.

    deltas: float32 "C D" by modality; a row of zeros leaves its label unchanged. about, more: further metadata and
    tensors to store.
    """
    from safetensors.numpy import save

    tensors = {f"{name}{DELTAS}": np.ascontiguousarray(of, np.float32) for name, of in deltas.items()}
    tensors |= {name: np.ascontiguousarray(array) for name, array in (more or {}).items()}
    metadata = {"about": json.dumps({"labels": list(labels), **(about or {})})}
    half = path.with_name(f"{path.name}.part")
    half.write_bytes(save(tensors, metadata=metadata))
    half.replace(path)


def read_adapted(path: Path) -> tuple[dict[str, Any], dict[str, Array]]:
    """The metadata, with "labels", and all tensors by name.

    Raises:
        ModelError: the file cannot be read.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="np") as file:
            about = json.loads(file.metadata()["about"])
            return about, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise ModelError(f"{path}: {error}; expected a file from percept adapt. Adapt the model again.") from error


def _read_deltas(path: Path) -> dict[str, dict[str, Array]]:
    about, tensors = read_adapted(path)
    names = [plain(label) for label in about["labels"]]
    found = {}
    for name, tensor in tensors.items():
        if name.endswith(DELTAS):
            rows = zip(names, np.asarray(tensor, np.float64), strict=True)
            found[name.removesuffix(DELTAS)] = {label: row for label, row in rows if row.any()}
    return found
