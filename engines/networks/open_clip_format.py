"""Reads the specification of a checkpoint directory in open_clip format, without open_clip."""

import math
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from engines.models.checkpoint_files import OPEN_CLIP_CONFIG, open_clip_files
from engines.models.model import ModelSpec, TextSpec, TowerSpec
from engines.networks.checkpoint_facts import OPENAI_MEAN, OPENAI_STD, read_json, temperature, triple
from pipeline.errors import ModelError

_FIT: dict[str, Literal["crop", "stretch"]] = {"shortest": "crop", "squash": "stretch"}


def read_open_clip(directory: Path) -> ModelSpec:
    """The model in a directory with `open_clip_config.json`: a picture tower and a text tower.

    Raises:
        ModelError: open_clip is not installed, a file is missing, or its preprocessing is not supported.
    """
    path = directory / OPEN_CLIP_CONFIG
    config = read_json(path)
    model, prepared = config.get("model_cfg"), config.get("preprocess_cfg") or {}
    if not isinstance(model, dict) or "embed_dim" not in model:
        raise ModelError(f"{path}: has no model_cfg with embed_dim; expected what open_clip writes for the hub")
    if find_spec("open_clip") is None:
        raise ModelError(f"{path}: open_clip_torch is not installed. Run: pip install open_clip_torch")
    open_clip_files(directory)
    text = TextSpec(
        network="open_clip_text",
        directory=str(directory),
        dim=model["embed_dim"],
        max_tokens=(model.get("text_cfg") or {}).get("context_length", 77),
        pad_to_max=True,
    )
    image = _image(directory, model, prepared)
    return ModelSpec(
        name=directory.name, directory=str(directory), texts={image.space: text}, image=image, background=""
    )


def _image(directory: Path, model: dict[str, Any], prepared: dict[str, Any]) -> TowerSpec:
    mode = prepared.get("resize_mode", "shortest")
    size = (model.get("vision_cfg") or {}).get("image_size", prepared.get("size", 224))
    if mode not in _FIT or not isinstance(size, int):
        raise ModelError(
            f"{directory / OPEN_CLIP_CONFIG}: resize_mode {mode!r} to size {size}; expected shortest or squash, and a "
            "square"
        )
    scale = model.get("init_logit_scale") or math.log(1 / 0.07)
    return TowerSpec(
        network="open_clip_vision",
        directory=str(directory),
        space="open_clip",
        size_px=size,
        fit=_FIT[mode],
        resample="bilinear" if prepared.get("interpolation") == "bilinear" else "bicubic",
        mean=triple(prepared.get("mean", OPENAI_MEAN)),
        std=triple(prepared.get("std", OPENAI_STD)),
        prompts=("a photo of {}", "a video of {}"),
        temperature=temperature(open_clip_files(directory)[1:], "logit_scale", scale),
    )
