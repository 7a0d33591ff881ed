"""Assembles a model from towers of several models, each with the text tower it was trained with."""

import logging
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from engines.models.checkpoint import read_model
from engines.models.model import MelSpec, ModelSpec, TextSpec, TowerSpec
from engines.models.network import network
from pipeline.errors import ModelError

log = logging.getLogger("percept.engines")

CHUNKS = MelSpec(
    mel_bands=112,
    f_min_hz=20.0,
    f_max_hz=8_000.0,
    patch_bins=1036,
    patch_hop_bins=1036,
    context_s=10.375,
    style="kaldi",
)
"""Sound as input of an image tower, prepared as in LanguageBind (Zhu et al. 2023): ten seconds are 1036 windows."""
CHUNKS_MEAN, CHUNKS_STD = -4.2677393, 2 * 4.5689974
SMALL_BYTES = 64 << 20
"""Largest size of the other files that are copied with the weights: configuration, tokenizers, text vectors."""


def assemble(name: str, wanted: dict[str, str]) -> ModelSpec:
    """Combine towers of several models; `wanted` names a model for each of image, motion, audio, sound_as_picture.

    For motion, a model without a motion tower provides its image tower, which then reads flow pictures. The text spaces
    are named after the models; towers with the same text tower share one.

    Raises:
        ModelError: a model cannot be read, or lacks the tower.
    """
    texts: dict[str, TextSpec] = {}
    towers: dict[str, TowerSpec] = {}
    for part, source in wanted.items():
        spec = read_model(source, asked=f"--{part.replace('_', '-')}")
        if spec.fusion or spec.adapted or spec.open_set:
            log.warning(
                "%s: its fusion head, learnt labels and open-set score are not used; only its towers are", source
            )
        modality = "audio" if part == "sound_as_picture" else part
        tower = _tower(spec, part, source)
        text = spec.texts[tower.space]
        towers[modality] = replace(tower, space=_space(texts, text, _short(source)))
        texts[towers[modality].space] = text
    return ModelSpec(name=name, texts=texts, background="", **towers)  # type: ignore[arg-type]


def _tower(spec: ModelSpec, part: str, source: str) -> TowerSpec:
    if part == "motion" and spec.motion is not None:
        return spec.motion
    tower = spec.audio if part == "audio" else spec.image
    if tower is None:
        kind, other = ("audio", "--sound-as-picture") if part == "audio" else ("image", "--audio")
        raise ModelError(
            f"--{part.replace('_', '-')} {source}: has no {kind} tower (it has: {', '.join(spec.towers())}). It may be "
            f"meant for {other}"
        )
    if part == "motion":
        return replace(tower, input="flow_picture")
    return _listening(tower) if part == "sound_as_picture" else tower


def _listening(tower: TowerSpec) -> TowerSpec:
    """An image tower that reads sound: front, middle and back as its three channels."""
    size = f"{CHUNKS.mel_bands}x{CHUNKS.patch_bins}"
    key = f"{tower.network}@{size}"
    network(key)
    mean, std = (CHUNKS_MEAN,) * 3, (CHUNKS_STD,) * 3
    return replace(
        tower, network=key, input="log_mel_chunks", mel=CHUNKS, mean=mean, std=std, prompts=("the sound of {}",)
    )


def _space(texts: dict[str, TextSpec], text: TextSpec, short: str) -> str:
    """The name of this text tower's space: the one it already has, or a new one named after the model."""
    for space, known in texts.items():
        if (known.network, known.directory) == (text.network, text.directory):
            return space
    names = [short, *(f"{short} {number}" for number in range(2, len(texts) + 2))]
    return next(name for name in names if name not in texts)


def _short(source: str) -> str:
    """`openai/clip-vit-base-patch16@main` -> `clip-vit-base-patch16`; for a directory, its name."""
    return Path(source).expanduser().resolve().name if Path(source).is_dir() else source.split("@")[0].split("/")[-1]


def copied(spec: ModelSpec, directory: Path) -> ModelSpec:
    """Copy the files of the model's parts into folders of `directory`; return the model with the new paths.

    Raises:
        OSError: a file cannot be read or written.
        ModelError: a part has no files.
    """
    places: dict[str, str] = {}

    def moved(part: Any) -> Any:
        source = Path(part.directory)
        if part.directory not in places:
            folder = _short(_repository(source))
            taken = set(places.values())
            names = [folder, *(f"{folder}-{number}" for number in range(2, len(taken) + 2))]
            places[part.directory] = next(str(directory / name) for name in names if str(directory / name) not in taken)
        target = Path(places[part.directory])
        target.mkdir(parents=True, exist_ok=True)
        for file in _files(part, source):
            if not (target / file.name).exists() or not (target / file.name).samefile(file):
                shutil.copyfile(file, target / file.name)
        return replace(part, directory=str(target))

    texts = {space: moved(text) for space, text in spec.texts.items()}
    return replace(spec, texts=texts, **{name: moved(tower) for name, tower in spec.towers().items()})


def _repository(snapshot: Path) -> str:
    """The repository's name if the directory is a snapshot in the hub's cache, else the directory's name."""
    cached = next((part for part in snapshot.parts if part.startswith("models--")), "")
    return cached.rpartition("--")[2] or snapshot.name


def _files(part: TextSpec | TowerSpec, source: Path) -> Iterator[Path]:
    """The weights of a part, and the small files next to them."""
    weights = [file for file in network(part.network).files(source) if file.parent == source]
    yield from weights
    for file in sorted(source.iterdir()):
        small = file.suffix in (".json", ".txt", ".model", ".npz") and file.stat().st_size <= SMALL_BYTES
        if file.is_file() and small and file not in weights:
            yield file
