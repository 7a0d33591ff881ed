"""Reads the specification of a checkpoint directory in transformers format, without transformers."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from engines.models.checkpoint_files import checkpoint_files
from engines.models.model import MelSpec, ModelSpec, TextSpec, TowerSpec
from engines.networks.checkpoint_facts import (
    OPENAI_MEAN,
    OPENAI_STD,
    preprocessing,
    read_json,
    read_scalar,
    resample,
    side,
    temperature,
    triple,
)
from pipeline.errors import ModelError

_LOGIT_SCALE = 2.6592
"""ln(1 / 0.07), CLIP's initial value."""
_PICTURE_PROMPTS = ("a photo of {}", "a video of {}")


def read_spec(directory: Path) -> ModelSpec:
    """The model in a checkpoint directory: one tower for pictures or sound, and one for text.

    Raises:
        ModelError: `model_type` is unknown, a file is missing, or its preprocessing is not supported.
    """
    config = read_json(directory / "config.json")
    kind = config.get("model_type", "")
    if kind == "siglip2":
        raise ModelError(
            f"{directory / 'config.json'}: model_type is 'siglip2', SigLIP 2 for pictures of any shape (NaFlex); "
            "expected SigLIP 2 with a fixed resolution, such as google/siglip2-base-patch16-224"
        )
    if kind not in READERS:
        known = ", ".join(sorted(READERS))
        raise ModelError(
            f"{directory / 'config.json'}: model_type is {kind!r}; expected one of {known}, or a directory with "
            "open_clip_config.json or model.toml"
        )
    checkpoint_files(directory)
    return READERS[kind](directory, config)


def _model(directory: Path, image: TowerSpec, text: TextSpec) -> ModelSpec:
    texts = {image.space: text}
    return ModelSpec(name=directory.name, directory=str(directory), texts=texts, image=image, background="")


def _read_clip(directory: Path, config: dict[str, Any]) -> ModelSpec:
    """CLIP as published by OpenAI, LAION and MetaCLIP, and MetaCLIP 2, which reads text in many languages.

    They differ in settings that transformers reads from the configuration: quick_gelu or gelu, and the end token. Old
    files have a wrong `eos_token_id` of 2; transformers then uses the largest id.
    """
    settings = preprocessing(directory)
    resized, size = side(settings.get("size", 224)), side(settings.get("crop_size", settings.get("size", 224)))
    kind = config["model_type"]
    image = TowerSpec(
        network=f"{kind}_vision",
        directory=str(directory),
        space=kind,
        size_px=size,
        resized_px=0 if resized == size else resized,
        fit="crop",
        resample=resample(directory, settings),
        mean=triple(settings.get("image_mean", OPENAI_MEAN)),
        std=triple(settings.get("image_std", OPENAI_STD)),
        prompts=_PICTURE_PROMPTS,
        temperature=temperature(_weights(directory), "logit_scale", config.get("logit_scale_init_value", _LOGIT_SCALE)),
    )
    text = TextSpec(
        network=f"{kind}_text",
        directory=str(directory),
        dim=config.get("projection_dim", 512),
        max_tokens=_text(config).get("max_position_embeddings", 77),
    )
    return _model(directory, image, text)


def _read_siglip(directory: Path, config: dict[str, Any]) -> ModelSpec:
    """SigLIP, and SigLIP 2 with a fixed resolution, which has the same class.

    Its `logit_bias` turns a single pair into a probability: sigmoid(cosine / temperature + bias). Our log-odds are
    relative to background words, which have the same bias, so it cancels and is omitted.
    """
    settings = preprocessing(directory)
    vision = config.get("vision_config") or {}
    image = TowerSpec(
        network="siglip_vision",
        directory=str(directory),
        space="siglip",
        size_px=side(settings.get("size", vision.get("image_size", 224))),
        fit="stretch",
        resample=resample(directory, settings),
        mean=triple(settings.get("image_mean", [0.5] * 3)),
        std=triple(settings.get("image_std", [0.5] * 3)),
        prompts=_PICTURE_PROMPTS,
        temperature=temperature(_weights(directory), "logit_scale", config.get("logit_scale_init_value", _LOGIT_SCALE)),
    )
    text_config = _text(config)
    text = TextSpec(
        network="siglip_text",
        directory=str(directory),
        dim=text_config.get("projection_size") or text_config.get("hidden_size", 768),
        max_tokens=text_config.get("max_position_embeddings", 64),
        pad_to_max=True,
    )
    return _model(directory, image, text)


def _read_align(directory: Path, config: dict[str, Any]) -> ModelSpec:
    """ALIGN: pictures are stretched to a square and centre-cropped; it stores the temperature itself, not a scale."""
    settings = preprocessing(directory)
    resized = side(settings.get("size", 346))
    size = side(settings.get("crop_size", 289)) if settings.get("do_center_crop") else resized
    stored = read_scalar(_weights(directory), "temperature")
    mean, std = _efficientnet_levels(settings)
    image = TowerSpec(
        network="align_vision",
        directory=str(directory),
        space="align",
        size_px=size,
        resized_px=0 if resized == size else resized,
        fit="stretch",
        resample=resample(directory, settings),
        mean=mean,
        std=std,
        prompts=_PICTURE_PROMPTS,
        temperature=config.get("temperature_init_value", 1.0) if stored is None else stored,
    )
    dim = config.get("projection_dim", 640)
    return _model(
        directory,
        image,
        TextSpec(network="align_text", directory=str(directory), dim=dim, max_tokens=64, pad_to_max=True),
    )


def _efficientnet_levels(settings: dict[str, Any]) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
    """Mean and deviation of pixels in [0, 1], equivalent to the up to four steps of EfficientNet's processor."""
    scale, offset = 255 * settings.get("rescale_factor", 1 / 255), float(bool(settings.get("rescale_offset")))
    mean, std = [offset / scale] * 3, [1 / scale] * 3  # x * scale - offset
    given_std = settings.get("image_std", [0.229, 0.224, 0.225])
    if settings.get("do_normalize", True):
        given_mean = settings.get("image_mean", [0.485, 0.456, 0.406])
        mean = [a + b * more for a, b, more in zip(mean, std, given_mean, strict=True)]
        std = [a * more for a, more in zip(std, given_std, strict=True)]
    if settings.get("include_top", True):
        std = [a * more for a, more in zip(std, given_std, strict=True)]
    return triple(mean), triple(std)


def _read_clap(directory: Path, config: dict[str, Any]) -> ModelSpec:
    """CLAP: a sound tower that reads ten seconds at a time, or with feature fusion any length at once."""
    settings = preprocessing(directory)
    fused = bool((config.get("audio_config") or {}).get("enable_fusion"))
    wanted, padding = "fusion" if fused else "rand_trunc", settings.get("padding", "repeatpad")
    if settings.get("truncation", wanted) != wanted or padding != "repeatpad":
        raise ModelError(
            f"{directory}: truncation {settings.get('truncation')!r} and padding {padding!r}; expected {wanted!r} and "
            f"'repeatpad' for a CLAP model with enable_fusion = {str(fused).lower()}"
        )
    audio = TowerSpec(
        network="clap_fused_audio" if fused else "clap_audio",
        directory=str(directory),
        space="clap",
        input="log_mel",
        mel=_clap_mel(settings, fused),
        prompts=("the sound of {}",),
        temperature=temperature(
            _weights(directory), "logit_scale_a", math.log(config.get("logit_scale_init_value", 1 / 0.07))
        ),
    )
    text = TextSpec(network="clap_text", directory=str(directory), dim=config.get("projection_dim", 512), max_tokens=77)
    return ModelSpec(name=directory.name, directory=str(directory), texts={"clap": text}, audio=audio, background="")


def _clap_mel(settings: dict[str, Any], fused: bool) -> MelSpec:
    seconds, rate_hz = settings.get("max_length_s", 10), settings.get("sampling_rate", 48_000)
    hop = settings.get("hop_length", 480)
    return MelSpec(
        sample_rate_hz=rate_hz,
        n_fft=settings.get("fft_window_size", 1024),
        window_samples=settings.get("fft_window_size", 1024),
        hop_samples=hop,
        mel_bands=settings.get("feature_size", 64),
        f_min_hz=settings.get("frequency_min", 0),
        f_max_hz=settings.get("frequency_max", 14_000),
        patch_bins=seconds * rate_hz // hop + 1,
        patch_hop_bins=seconds * rate_hz // hop,
        context_s=float(seconds),
        style="clap_fused" if fused else "clap",
    )


READERS: dict[str, Callable[[Path, dict[str, Any]], ModelSpec]] = {
    "align": _read_align,
    "clap": _read_clap,
    "clip": _read_clip,
    "metaclip_2": _read_clip,
    "siglip": _read_siglip,
}


def _weights(directory: Path) -> list[Path]:
    return checkpoint_files(directory)[1:]


def _text(config: dict[str, Any]) -> dict[str, Any]:
    return dict(config.get("text_config") or {})
