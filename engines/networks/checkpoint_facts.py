"""Reads facts from the files of a published checkpoint without the library that wrote them."""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pipeline.errors import ModelError

Resample = Literal["bicubic", "bilinear"]
_RESAMPLE: dict[int, Resample] = {2: "bilinear", 3: "bicubic"}
OPENAI_MEAN = [0.48145466, 0.4578275, 0.40821073]
OPENAI_STD = [0.26862954, 0.26130258, 0.27577711]


def read_json(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_bytes()))
    except FileNotFoundError:
        raise ModelError(f"{path}: missing; expected a model directory in transformers or open_clip format") from None
    except (OSError, ValueError, TypeError) as error:
        raise ModelError(f"{path}: cannot be read: {error}; expected a JSON object") from error


def read_scalar(weights: Sequence[Path], name: str) -> float | None:
    """A single number from safetensors files, or None; reads only the header and a few bytes.

    Raises:
        ModelError: a file is incomplete.
    """
    for path in weights:
        try:
            found = _scalar(path, name)
        except (OSError, ValueError, KeyError) as error:
            raise ModelError(f"{path}: cannot be read ({error}); expected safetensors. Download it again.") from error
        if found is not None:
            return found
    return None


def _scalar(path: Path, name: str) -> float | None:
    with path.open("rb") as file:
        header_bytes = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(header_bytes))
        if name not in header:
            return None
        begin, end = header[name]["data_offsets"]
        file.seek(8 + header_bytes + begin)
        return _number(header[name]["dtype"], file.read(end - begin))


def _number(dtype: str, raw: bytes) -> float:
    import numpy as np

    if dtype == "BF16":
        raw, dtype = b"\0\0" + raw[:2], "F32"
    return float(np.frombuffer(raw, {"F64": "<f8", "F32": "<f4", "F16": "<f2"}[dtype])[0])


def temperature(weights: Sequence[Path], name: str, otherwise: float) -> float:
    """exp(-scale), with the logarithmic scale from the weights; `otherwise` is the scale if the weights have none."""
    scale = read_scalar(weights, name)
    return math.exp(-(otherwise if scale is None else scale))


def preprocessing(directory: Path) -> dict[str, Any]:
    """Preprocessing of pictures or sound: `preprocessor_config.json`, or its part in `processor_config.json`."""
    path = directory / "preprocessor_config.json"
    if not path.is_file() and (directory / "processor_config.json").is_file():
        both = read_json(directory / "processor_config.json")
        return dict(both.get("image_processor") or both.get("feature_extractor") or {})
    return read_json(path)


def side(size: Any) -> int:
    """The side of a square, or the short side, in any version of the format."""
    if isinstance(size, dict):
        sides = {size[key] for key in ("shortest_edge", "height", "width") if size.get(key)}
        if len(sides) != 1:
            raise ModelError(f"preprocessing: size is {size}; expected a square or a shortest edge")
        return int(sides.pop())
    return int(size)


def resample(directory: Path, settings: dict[str, Any]) -> Resample:
    code = settings.get("resample", 3)
    if code not in _RESAMPLE:
        raise ModelError(f"{directory}: resample is {code}; expected 2 (bilinear) or 3 (bicubic)")
    return _RESAMPLE[code]


def triple(values: list[float] | tuple[float, ...]) -> tuple[float, float, float]:
    red, green, blue = values
    return red, green, blue
