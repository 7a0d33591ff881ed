"""Inputs and outputs of the towers of published checkpoints, from their configuration; no weights are loaded."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from engines.engine import Port, Ports
from engines.models.checkpoint_files import OPEN_CLIP_CONFIG


def vision_ports(directory: Path) -> Ports:
    config = _config(directory)
    vision = config.get("vision_config") or {}
    size = vision.get("image_size", 224)
    dim = vision.get("hidden_size", 768) if config.get("model_type") == "siglip" else config.get("projection_dim", 512)
    return (Port("pictures", "float32", f"B 3 {size} {size}"),), (Port("tokens", "float32", f"B {dim}"),)


def text_ports(directory: Path) -> Ports:
    config = _config(directory)
    text = _text(config)
    if config.get("model_type") != "siglip":
        return (Port("ids", "int64", "B L"),), (Port("vectors", "float32", f"B {config.get('projection_dim', 512)}"),)
    dim = text.get("projection_size") or text.get("hidden_size", 768)
    length = text.get("max_position_embeddings", 64)
    return (Port("ids", "int64", f"B {length}"),), (Port("vectors", "float32", f"B {dim}"),)


def align_ports(directory: Path) -> Ports:
    """ALIGN's convolutional network has no fixed size; the ports use the size of its preprocessing."""
    settings = json.loads((directory / "preprocessor_config.json").read_text())
    key = "crop_size" if settings.get("do_center_crop") else "size"
    size = settings.get(key, {"height": 289})["height"]
    dim = _config(directory).get("projection_dim", 640)
    return (Port("pictures", "float32", f"B 3 {size} {size}"),), (Port("tokens", "float32", f"B {dim}"),)


def clap_ports(directory: Path) -> Ports:
    config = _config(directory)
    audio = config.get("audio_config") or {}
    bands, bins = audio.get("num_mel_bins", 64), 4 * 1001 if audio.get("enable_fusion") else 1001
    vectors = config.get("projection_dim", 512)
    return (Port("log_mel", "float32", f"B {bins} {bands}"),), (Port("tokens", "float32", f"B {vectors}"),)


def open_clip_ports(directory: Path) -> Ports:
    model = json.loads((directory / OPEN_CLIP_CONFIG).read_text())["model_cfg"]
    size = (model.get("vision_cfg") or {}).get("image_size", 224)
    tokens = Port("tokens", "float32", f"B {model['embed_dim']}")
    return (Port("pictures", "float32", f"B 3 {size} {size}"),), (tokens,)


def open_clip_text_ports(directory: Path) -> Ports:
    model = json.loads((directory / OPEN_CLIP_CONFIG).read_text())["model_cfg"]
    length = (model.get("text_cfg") or {}).get("context_length", 77)
    return (Port("ids", "int64", f"B {length}"),), (Port("vectors", "float32", f"B {model['embed_dim']}"),)


def masked_text_ports(directory: Path) -> Ports:
    inputs = (Port("ids", "int64", "B L"), Port("mask", "int64", "B L"))
    return inputs, (Port("vectors", "float32", f"B {_config(directory).get('projection_dim', 512)}"),)


def owl_ports(directory: Path) -> Ports:
    """OWL-ViT and OWLv2, whose picture tower says something of each of its patches."""
    config = _config(directory)
    vision, is_v2 = config.get("vision_config") or {}, config.get("model_type") == "owlv2"
    size, patch = vision.get("image_size", 768), vision.get("patch_size", 16 if is_v2 else 32)
    patches = (size // patch) ** 2
    outputs = (
        Port("vectors", "float32", f"B {patches} {_text(config).get('hidden_size', 512)}"),
        Port("shifts", "float32", f"B {patches}"),
        Port("boxes", "float32", f"B {patches} 4"),
    )
    return (Port("pictures", "float32", f"B 3 {size} {size}"),), outputs


def owl_text_ports(directory: Path) -> Ports:
    config = _config(directory)
    ids = Port("ids", "int64", f"B {_text(config).get('max_position_embeddings', 16)}")
    return (ids,), (Port("vectors", "float32", f"B {config.get('projection_dim', 512)}"),)


def patch_grid_of(directory: Path, size: tuple[int, int] | tuple[()]) -> tuple[int, int]:
    """Rows and columns of the patches of a vision transformer, for pictures of `size` or of its own size."""
    vision = _config(directory).get("vision_config") or {}
    side, patch = vision.get("image_size", 224), vision.get("patch_size", 32)
    height, width = size or (side, side)
    return height // patch, width // patch


def width_of(part: str) -> Callable[[Path], int]:
    """The number of values of the pooled output before projection. part: "vision_config" or "audio_config"."""
    return lambda directory: int((_config(directory).get(part) or {}).get("hidden_size", 768))


def _text(config: dict[str, Any]) -> dict[str, Any]:
    return dict(config.get("text_config") or {})


def _config(directory: Path) -> dict[str, Any]:
    return dict(json.loads((directory / "config.json").read_text()))
