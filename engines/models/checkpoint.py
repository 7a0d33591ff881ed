"""Finds models on disk and reads their specification."""

import logging
import re
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from engines.models.checkpoint_files import OPEN_CLIP_CONFIG
from engines.models.hub import from_hub
from engines.models.model import ModelSpec, TowerSpec
from engines.models.model_file import HUB, MODEL_FILE
from engines.models.network import network
from engines.networks.checkpoint_facts import read_json
from engines.networks.open_clip_format import read_open_clip
from engines.networks.transformers_format import READERS, read_spec
from pipeline.arrays import Array
from pipeline.errors import ModelError

log = logging.getLogger("percept.engines")

BUNDLED = Path(__file__).resolve().parents[1] / "bundled"

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


def find_model(name: str, asked: str = "--model") -> Path:
    """The directory of a model: bundled, with or without its version (percept-mini@3), a path, or a hub id.

    asked: the option that named the model, for error messages.

    Raises:
        ModelError: there is no such model, or the hub's copy is not cached and cannot be fetched.
    """
    if (BUNDLED / name / MODEL_FILE).is_file() and "/" not in name:
        return BUNDLED / name
    bundled, _, version = name.partition("@")
    if version.isdigit() and "/" not in bundled and (BUNDLED / bundled / MODEL_FILE).is_file():
        return _of_version(BUNDLED / bundled, int(version), asked)
    path = Path(name).expanduser()
    if path.is_dir():
        return path.resolve()
    if path.exists():
        raise ModelError(f"{asked} {name}: is a file; expected the directory that contains it")
    if not _HUB_ID.fullmatch(name):
        ours = ", ".join(sorted(entry.name for entry in BUNDLED.iterdir() if (entry / MODEL_FILE).is_file()))
        raise ModelError(f"{asked} {name}: no such directory; expected a directory, a hub id, or one of: {ours}")
    return from_hub(name, asked)


def _of_version(directory: Path, version: int, asked: str) -> Path:
    """Raises: ModelError: the bundled model has another version."""
    there = msgspec.toml.decode((directory / MODEL_FILE).read_bytes(), type=ModelSpec).version
    if there != version:
        raise ModelError(
            f"{asked} {directory.name}@{version}: is not part of this release, which has version {there}. Copy the "
            f"folder engines/bundled/{directory.name} of a release that has it, and give its path"
        )
    return directory


def read_model(name: str, audio_model: str = "", asked: str = "--model") -> ModelSpec:
    """The model's specification, with absolute directories. Cheap: imports neither torch nor transformers.

    `audio_model` names a second model whose audio tower replaces the first model's. A fusion head then does not use
    sound, because it was trained with the first model's tower.

    Raises:
        ModelError: a model cannot be found or read, or the second one has no audio tower.
    """
    spec = _read_directory(find_model(name, asked), name)
    if not audio_model:
        return spec
    second = _read_directory(find_model(audio_model, "--audio-model"), audio_model)
    if second.audio is None:
        raise ModelError(f"--audio-model {audio_model}: has no audio tower; expected a model that has one")
    space = f"{second.audio.space}, {second.id}"
    audio = msgspec.structs.replace(second.audio, space=space)
    texts = {**spec.texts, space: second.texts[second.audio.space]}
    seen = tuple(name for name in spec.fusion.modalities if name != "audio") if spec.fusion else ()
    fusion = spec.fusion and msgspec.structs.replace(spec.fusion, modalities=seen)
    return msgspec.structs.replace(spec, name=f"{spec.name}+{second.name}", audio=audio, texts=texts, fusion=fusion)


def _read_directory(directory: Path, name: str) -> ModelSpec:
    path = directory / MODEL_FILE
    if not path.is_file():
        spec = read_open_clip(directory) if _is_open_clip(directory) else read_spec(directory)
        return msgspec.structs.replace(spec, name=name) if _HUB_ID.fullmatch(name) and not Path(name).is_dir() else spec
    try:
        spec = msgspec.toml.decode(path.read_bytes(), type=ModelSpec)
    except (OSError, msgspec.DecodeError) as error:
        raise ModelError(f"{path}: {error}") from error
    spec = _absolute(spec, directory)
    for modality, tower in spec.towers().items():
        network(tower.network)
        if tower.space not in spec.texts:
            raise ModelError(
                f"{path}: {modality} reads text space {tower.space!r}; expected one of {sorted(spec.texts)}"
            )
    return spec


def _is_open_clip(directory: Path) -> bool:
    """Whether a directory can only be read in open_clip's format; many on the hub also have transformers' format."""
    if not (directory / OPEN_CLIP_CONFIG).is_file():
        return False
    config = directory / "config.json"
    known = config.is_file() and read_json(config).get("model_type") in READERS
    return not (known and any(directory.glob("model*.safetensors")))


def _absolute(spec: ModelSpec, directory: Path) -> ModelSpec:
    """The model with its parts' directories as absolute paths."""

    def place(part: Any) -> Any:
        return part and msgspec.structs.replace(part, directory=_place(part.directory, directory))

    return msgspec.structs.replace(
        spec,
        directory=str(directory),
        texts={space: place(text) for space, text in spec.texts.items()},
        image=place(spec.image),
        motion=place(spec.motion),
        audio=place(spec.audio),
        fusion=place(spec.fusion),
    )


def _place(part: str, directory: Path) -> str:
    """The directory of a part's files: in the hub's cache, or a path relative to the model's directory."""
    if part.startswith(HUB):
        return str(from_hub(part.removeprefix(HUB), "directory"))
    return str((directory / part).resolve())


def center_of(spec: ModelSpec, tower: TowerSpec) -> Array | None:
    """The vector subtracted from label vectors before they are compared with this tower: float32 "D", or None.

    Raises:
        ModelError: the file or the tensor does not exist.
    """
    if not tower.center:
        return None
    from safetensors import SafetensorError, safe_open

    name, _, tensor = tower.center.partition(":")
    path = Path(tower.directory) / name
    try:
        with safe_open(path, framework="np") as file:
            return np.asarray(file.get_tensor(tensor), np.float32).reshape(-1)
    except (OSError, SafetensorError) as error:
        raise ModelError(f"{path}: has no tensor {tensor!r} to center {spec.id} on: {error}") from error
