"""The files of a published checkpoint, by format; pickled weights are refused because they can run code."""

import json
from pathlib import Path

from pipeline.errors import ModelError

_PICKLED = """{pickled}: pickled weights can run any code when they are loaded; expected {name}. Convert them
once, on a machine where you trust the file:
    python -c "
import torch; from safetensors.torch import save_file
weights = torch.load('{pickled}', weights_only=True)
save_file({{name: tensor.clone() for name, tensor in weights.items()}}, '{safe}', {{'format': 'pt'}})\""""
OPEN_CLIP_CONFIG = "open_clip_config.json"


def checkpoint_files(directory: Path) -> list[Path]:
    """`config.json` and the safetensors of a directory in transformers format, one file or shards.

    Raises:
        ModelError: there are no weights; for a pickled checkpoint the message gives the command that converts it.
    """
    index, config = directory / "model.safetensors.index.json", directory / "config.json"
    if not (directory / "model.safetensors").is_file() and index.is_file():
        shards = sorted(set(json.loads(index.read_text())["weight_map"].values()))
        return [config, *(directory / shard for shard in shards)]
    return [config, _safetensors(directory, "model.safetensors", "pytorch_model.bin", "model.bin")]


def open_clip_files(directory: Path) -> list[Path]:
    """`open_clip_config.json` and the safetensors of a directory in open_clip format.

    Raises:
        ModelError: there are no weights; for a pickled checkpoint the message gives the command that converts it.
    """
    pickled = ("open_clip_pytorch_model.bin", "pytorch_model.bin")
    return [directory / OPEN_CLIP_CONFIG, _safetensors(directory, "open_clip_model.safetensors", *pickled)]


def _safetensors(directory: Path, name: str, *pickled: str) -> Path:
    safe = directory / name
    if safe.is_file():
        return safe
    for each in pickled:
        if (directory / each).is_file():
            raise ModelError(_PICKLED.format(pickled=directory / each, safe=safe, name=name))
    raise ModelError(f"{directory}: no weights; expected {name}")
