"""Writes the result of a training: a model directory for `percept run --model`."""

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
import numpy as np
import torch
from torch import Tensor, nn

from engines.models.model import FusionSpec, ModelSpec, TowerSpec
from engines.models.model_file import write_model
from engines.models.network import network as known_network
from engines.networks.fusion import MovFusion, save_fusion
from engines.networks.picture import CONCEPTS_FILE, load_picture
from pipeline.arrays import Array
from pipeline.errors import ModelError, OutputError
from stages.words.adapted import DELTAS, read_adapted, save_adapted
from stages.words.descriptions import plain

BASE_FILE = "base-labels.txt"
ADAPTED_FILE = "adapted.safetensors"
TOWER_NAMES: tuple[Mapping[str, str], ...] = (
    {"": ""},
    {"vision.": "vision_model.", "projection.": "visual_projection."},
    {"audio.": "audio_model.", "projection.": "audio_projection."},
)
"""Prefixes of the names of a tower's weights: ours, and those in its file."""
CLOSE = 1e-4


def write_head(spec: ModelSpec, head: MovFusion, base: tuple[str, ...], directory: Path) -> None:
    """Write the base model with a fusion head. The open-set score was calibrated without the head and is removed."""
    save_fusion(head.cpu(), directory)
    (directory / BASE_FILE).write_text("\n".join(base) + "\n", encoding="utf-8")
    fusion = FusionSpec(directory=str(directory), base=BASE_FILE)
    write_model(
        msgspec.structs.replace(
            spec, name=directory.name, version=1, made_from=f"{spec.id}, head trained", fusion=fusion, open_set=""
        ),
        directory,
    )


def write_tower(spec: ModelSpec, modality: str, tower: nn.Module, directory: Path) -> None:
    """Write the base model with this tower in place of its own. It may now know other words than the old one.

    The fusion head and the open-set score were fitted to the old tower and are removed.
    """
    folder = directory / modality
    save_tower(spec.towers()[modality], tower, folder)
    _write_with(spec, modality, folder, directory)


def write_projection(spec: ModelSpec, projection: Tensor, directory: Path) -> None:
    """Write the base model with this projection, "1280 384", in its concept_picture tower; otherwise as `write_tower`.

    Raises:
        ModelError: it differs after reading it back.
        OutputError: a file cannot be written.
    """
    from safetensors.torch import load_file

    old = spec.towers()["image"]
    source, folder = Path(old.directory) / CONCEPTS_FILE, directory / "image"
    tensors = load_file(source)
    tensors["projection"] = projection.detach().to("cpu", tensors["projection"].dtype).contiguous()
    _save(tensors, folder / CONCEPTS_FILE)
    _copy_others(old, [source], folder)
    if not torch.equal(load_picture(folder).projection, tensors["projection"].float()):
        raise ModelError(f"{folder}: the projection differs after reading it back")
    _write_with(spec, "image", folder, directory)


def _write_with(spec: ModelSpec, modality: str, folder: Path, directory: Path) -> None:
    new = msgspec.structs.replace(spec.towers()[modality], directory=str(folder), speaks_of=None)
    changed = msgspec.structs.replace(
        spec,
        name=directory.name,
        version=1,
        made_from=f"{spec.id}, {modality} tower trained",
        fusion=None,
        open_set="",
        **{modality: new},
    )
    write_model(changed, directory)


def write_vectors(spec: ModelSpec, labels: Sequence[str], deltas: Mapping[str, Array], directory: Path) -> None:
    """Write the base model with the vectors of these labels moved by "C D" in each modality. Other deltas are kept."""
    names, rows = list(labels), dict(deltas)
    if spec.adapted:
        names, rows = _with_learnt(Path(spec.directory) / spec.adapted, names, rows)
    directory.mkdir(parents=True, exist_ok=True)
    save_adapted(directory / ADAPTED_FILE, names, rows)
    write_model(
        msgspec.structs.replace(
            spec, name=directory.name, version=1, made_from=f"{spec.id}, labels trained", adapted=ADAPTED_FILE
        ),
        directory,
    )


def _with_learnt(path: Path, labels: list[str], deltas: dict[str, Array]) -> tuple[list[str], dict[str, Array]]:
    """The new labels and deltas, followed by those in the base model's file for other labels."""
    about, tensors = read_adapted(path)
    new = {plain(label) for label in labels}
    kept = [row for row, label in enumerate(about["labels"]) if plain(label) not in new]
    merged = {}
    for name in dict.fromkeys([*deltas, *(key.removesuffix(DELTAS) for key in tensors if key.endswith(DELTAS))]):
        before = tensors.get(f"{name}{DELTAS}")
        now = deltas.get(name)
        dim = (now if now is not None else before).shape[1]  # type: ignore[union-attr]
        upper = np.zeros((len(labels), dim), np.float32) if now is None else now
        lower = np.zeros((len(kept), dim), np.float32) if before is None else before[kept]
        merged[name] = np.concatenate([upper, lower])
    return [*labels, *(about["labels"][row] for row in kept)], merged


def save_tower(spec: TowerSpec, tower: nn.Module, folder: Path) -> None:
    """Write the tower's files with its new weights, and copy its other files.

    Raises:
        ModelError: its weights are not from a safetensors file, or differ after reading them back.
        OutputError: a file cannot be written.
    """
    tensors, names = stored(spec, tower)
    state = tower.state_dict()
    for name, place in names.items():
        tensors[place] = state[name].detach().to("cpu", torch.float32).contiguous()
    weights = _weights_files(spec)
    target = weights[0].name if len(weights) == 1 else "model.safetensors"
    _save(tensors, folder / target)
    _copy_others(spec, weights, folder)
    _check_read_back(spec, tower, folder)


def _save(tensors: dict[str, Tensor], path: Path) -> None:
    """Raises: OutputError: it cannot be written."""
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file(tensors, part, {"format": "pt"})
        part.replace(path)
    except (OSError, SafetensorError) as error:
        part.unlink(missing_ok=True)
        raise _unwritten(path, error) from error


def _unwritten(path: Path, error: Exception) -> OutputError:
    return OutputError(f"{path}: cannot be written: {error}. Free some space and run again.")


def stored(spec: TowerSpec, tower: nn.Module) -> tuple[dict[str, Tensor], dict[str, str]]:
    """All tensors of the tower's files, and the name of each trained weight in them.

    Raises:
        ModelError: the files do not contain all weights under known names.
    """
    from safetensors.torch import load_file

    tensors: dict[str, Tensor] = {}
    for path in _weights_files(spec):
        tensors |= load_file(path)
    wanted = [name for name, _ in tower.named_parameters()]
    for beginnings in TOWER_NAMES:
        names = {name: _renamed(name, beginnings) for name in wanted}
        if all(place in tensors for place in names.values()):
            return tensors, names
    raise ModelError(
        f"network {spec.network!r}: not all of its weights are in a safetensors file of {spec.directory}; expected a "
        "tower that can be saved. Train another tower, or the head."
    )


def _renamed(name: str, beginnings: Mapping[str, str]) -> str:
    for ours, theirs in beginnings.items():
        if name.startswith(ours):
            return theirs + name.removeprefix(ours)
    return name


def _weights_files(spec: TowerSpec) -> list[Path]:
    files = known_network(spec.network).files(Path(spec.directory))
    return [path for path in files if path.suffix == ".safetensors"]


def _copy_others(spec: TowerSpec, weights: list[Path], folder: Path) -> None:
    """Copy the settings next to the weights, the file of the centre, and the words that the tower knows.

    Raises: OutputError: one cannot be copied.
    """
    source = Path(spec.directory)
    named = [path.name for path in known_network(spec.network).files(source) if path.parent == source]
    named += [spec.center.partition(":")[0]] if spec.center else []
    named += [spec.vocabulary] if spec.vocabulary else []
    named += [path.name for path in source.glob("*config.json")]
    for name in dict.fromkeys(named):
        if source / name not in weights and (source / name).is_file():
            try:
                shutil.copyfile(source / name, folder / name)
            except OSError as error:
                raise _unwritten(folder / name, error) from error


@torch.inference_mode()
def _check_read_back(spec: TowerSpec, tower: nn.Module, folder: Path) -> None:
    """Raises: ModelError: the tower, loaded as by the pipeline, has other weights."""
    again = dict(known_network(spec.network).load(folder).named_parameters())
    for name, weight in tower.named_parameters():
        if name not in again or float((again[name] - weight.cpu()).abs().max()) > CLOSE:
            raise ModelError(f"{folder}: the weight {name} differs after reading it back")
