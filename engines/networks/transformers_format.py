"""What a checkpoint directory in transformers format says of itself, read without transformers."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from engines.model import MelSpec, ModelSpec, TextSpec, TowerSpec
from engines.network import checkpoint_files
from pipeline.errors import ModelError

Resample = Literal["bicubic", "bilinear"]
_RESAMPLE: dict[int, Resample] = {2: "bilinear", 3: "bicubic"}
_OPENAI_MEAN = [0.48145466, 0.4578275, 0.40821073]
_OPENAI_STD = [0.26862954, 0.26130258, 0.27577711]
_LOGIT_SCALE = 2.6592
"""ln(1 / 0.07), what both families start from."""


def read_spec(directory: Path) -> ModelSpec:
    """The model that a CLIP, SigLIP or CLAP directory is: one tower for pictures or sound, and one for text.

    Raises:
        ModelError: `model_type` is none we know, a file is missing, or its preprocessing is none we can do.
    """
    config = read_json(directory / "config.json")
    kind = config.get("model_type", "")
    if kind not in _READERS:
        known = ", ".join(sorted(_READERS))
        raise ModelError(
            f"{directory / 'config.json'}: model_type is {kind!r}; expected one of {known}, or a model.toml"
        )
    checkpoint_files(directory)
    return _READERS[kind](directory, config)


def _read_clip(directory: Path, config: dict[str, Any]) -> ModelSpec:
    preprocessing = _preprocessing(directory)
    resized, size = _side(preprocessing.get("size", 224)), _side(preprocessing.get("crop_size", 224))
    if resized != size:
        raise ModelError(f"{directory}: pictures are resized to {resized} and cropped to {size}; expected one size")
    image = TowerSpec(
        network="clip_vision",
        directory=str(directory),
        space="clip",
        size_px=size,
        fit="crop",
        resample=_resample(directory, preprocessing),
        mean=_triple(preprocessing.get("image_mean", _OPENAI_MEAN)),
        std=_triple(preprocessing.get("image_std", _OPENAI_STD)),
        prompts=("a photo of {}", "a video of {}"),
        temperature=_temperature(directory, config),
    )
    text = TextSpec(
        network="clip_text",
        directory=str(directory),
        dim=config.get("projection_dim", 512),
        max_tokens=_text(config).get("max_position_embeddings", 77),
    )
    return ModelSpec(name=directory.name, directory=str(directory), texts={"clip": text}, image=image, background="")


def _read_siglip(directory: Path, config: dict[str, Any]) -> ModelSpec:
    """SigLIP, and SigLIP 2 of fixed resolution, which is the same class.

    Its own bias is for a yes or no without a background; against a background vocabulary it cancels, so it is left out.
    """
    preprocessing = _preprocessing(directory)
    vision = config.get("vision_config") or {}
    image = TowerSpec(
        network="siglip_vision",
        directory=str(directory),
        space="siglip",
        size_px=_side(preprocessing.get("size", vision.get("image_size", 224))),
        fit="stretch",
        resample=_resample(directory, preprocessing),
        mean=_triple(preprocessing.get("image_mean", [0.5] * 3)),
        std=_triple(preprocessing.get("image_std", [0.5] * 3)),
        prompts=("a photo of {}", "a video of {}"),
        temperature=_temperature(directory, config),
    )
    text_config = _text(config)
    text = TextSpec(
        network="siglip_text",
        directory=str(directory),
        dim=text_config.get("projection_size") or text_config.get("hidden_size", 768),
        max_tokens=text_config.get("max_position_embeddings", 64),
        pad_to_max=True,
    )
    return ModelSpec(name=directory.name, directory=str(directory), texts={"siglip": text}, image=image, background="")


def _read_clap(directory: Path, config: dict[str, Any]) -> ModelSpec:
    """CLAP without feature fusion, as `laion/larger_clap_general`: a sound tower that hears ten seconds at a time."""
    preprocessing = _preprocessing(directory)
    if (config.get("audio_config") or {}).get("enable_fusion") or preprocessing.get("truncation") == "fusion":
        raise ModelError(f"{directory}: a CLAP model with feature fusion; expected one without (truncation rand_trunc)")
    seconds, rate_hz = preprocessing.get("max_length_s", 10), preprocessing.get("sampling_rate", 48_000)
    hop = preprocessing.get("hop_length", 480)
    mel = MelSpec(
        sample_rate_hz=rate_hz,
        n_fft=preprocessing.get("fft_window_size", 1024),
        window_samples=preprocessing.get("fft_window_size", 1024),
        hop_samples=hop,
        mel_bands=preprocessing.get("feature_size", 64),
        f_min_hz=preprocessing.get("frequency_min", 0),
        f_max_hz=preprocessing.get("frequency_max", 14_000),
        patch_bins=seconds * rate_hz // hop + 1,
        patch_hop_bins=seconds * rate_hz // hop,
        context_s=float(seconds),
        style="clap",
    )
    audio = TowerSpec(
        network="clap_audio",
        directory=str(directory),
        space="clap",
        input="log_mel",
        mel=mel,
        prompts=("the sound of {}",),
        temperature=_temperature(directory, config, "logit_scale_a"),
    )
    text = TextSpec(network="clap_text", directory=str(directory), dim=config.get("projection_dim", 512), max_tokens=77)
    return ModelSpec(name=directory.name, directory=str(directory), texts={"clap": text}, audio=audio, background="")


_READERS: dict[str, Callable[[Path, dict[str, Any]], ModelSpec]] = {
    "clap": _read_clap,
    "clip": _read_clip,
    "siglip": _read_siglip,
}


def read_json(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_bytes()))
    except FileNotFoundError:
        raise ModelError(f"{path}: missing; expected a model directory in transformers format") from None
    except (OSError, ValueError) as error:
        raise ModelError(f"{path}: cannot be read: {error}") from error


def read_scalar(directory: Path, name: str) -> float | None:
    """A single number among the weights, or None; reads the header and some bytes, whatever the size of the file."""
    for path in checkpoint_files(directory)[1:]:
        with path.open("rb") as file:
            header_bytes = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(header_bytes))
            if name in header:
                begin, end = header[name]["data_offsets"]
                file.seek(8 + header_bytes + begin)
                return _number(header[name]["dtype"], file.read(end - begin))
    return None


def _number(dtype: str, raw: bytes) -> float:
    import numpy as np

    if dtype == "BF16":
        raw, dtype = b"\0\0" + raw[:2], "F32"
    return float(np.frombuffer(raw, {"F64": "<f8", "F32": "<f4", "F16": "<f2"}[dtype])[0])


def _temperature(directory: Path, config: dict[str, Any], name: str = "logit_scale") -> float:
    scale = read_scalar(directory, name)
    return math.exp(-(config.get("logit_scale_init_value", _LOGIT_SCALE) if scale is None else scale))


def _preprocessing(directory: Path) -> dict[str, Any]:
    path = directory / "preprocessor_config.json"
    if not path.is_file() and (directory / "processor_config.json").is_file():
        return dict(read_json(directory / "processor_config.json").get("image_processor", {}))
    return read_json(path)


def _side(size: Any) -> int:
    """The side of a square, or the short side, however this version of the format writes it."""
    if isinstance(size, dict):
        sides = {size[key] for key in ("shortest_edge", "height", "width") if size.get(key)}
        if len(sides) != 1:
            raise ModelError(f"preprocessing: size is {size}; expected a square or a shortest edge")
        return int(sides.pop())
    return int(size)


def _resample(directory: Path, preprocessing: dict[str, Any]) -> Resample:
    code = preprocessing.get("resample", 3)
    if code not in _RESAMPLE:
        raise ModelError(f"{directory}: resample is {code}; expected 2 (bilinear) or 3 (bicubic)")
    return _RESAMPLE[code]


def _triple(values: list[float]) -> tuple[float, float, float]:
    red, green, blue = values
    return red, green, blue


def _text(config: dict[str, Any]) -> dict[str, Any]:
    return dict(config.get("text_config") or {})
