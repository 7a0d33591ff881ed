"""Reads a fusion head's sizes and gates from its files, without loading the network."""

from pathlib import Path

import msgspec

from pipeline.errors import ModelError

WEIGHTS_FILE = "fusion.safetensors"
SHAPE_FILE = "fusion.json"
IMAGE = "image"
OTHERS = ("motion", "audio")
MAX_TOKENS = 64
"""Largest number of tokens per modality: the number of learnt positions in time."""


class FusionShape(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Sizes of a head, as stored in `fusion.json`."""

    dims: dict[str, int]
    """Length of each modality's tokens: "image", and "motion" or "audio" or both."""
    width: int = 128
    """Width of all heads of an attention together."""
    heads: int = 4
    hidden: int = 256
    """Width of the two-layer network after each attention."""
    layers: int = 1
    """Layers of the transformer along time."""
    dropout: float = 0.0
    """Dropout in training, on the output of each attention and each two-layer network."""

    @property
    def others(self) -> tuple[str, ...]:
        """The modalities that the picture exchanges with."""
        return tuple(name for name in OTHERS if name in self.dims)

    def __post_init__(self) -> None:
        if IMAGE not in self.dims or not self.others or set(self.dims) - {IMAGE, *OTHERS}:
            raise ValueError(f"dims has {sorted(self.dims)}; expected image, and motion or audio or both")
        if min(*self.dims.values(), self.width, self.heads, self.hidden) < 1 or self.layers < 0:
            raise ValueError("a size is not positive; expected at least 1 each, and 0 layers or more")
        if self.width % self.heads:
            raise ValueError(f"width {self.width} is not a multiple of {self.heads} heads")


def read_shape(directory: Path) -> FusionShape:
    """Raises: ModelError: there is no head, or its sizes are invalid."""
    path = directory / SHAPE_FILE
    try:
        return msgspec.json.decode(path.read_bytes(), type=FusionShape)
    except OSError as error:
        raise ModelError(f"{path}: cannot be read: {error.strerror}; expected the sizes of a fusion head") from error
    except msgspec.DecodeError as error:
        raise ModelError(f"{path}: {error}") from error


def read_gates(directory: Path) -> dict[str, tuple[float, float]]:
    """Gates of each exchange, for the picture's and the other's embedding: {"motion": (0.4, 0.1)}; 0 is closed.

    Raises:
        ModelError: there are no weights, or they are not a fusion head's.
    """
    from safetensors import SafetensorError, safe_open

    path = directory / WEIGHTS_FILE
    try:
        with safe_open(path, framework="np") as file:
            return {
                name: (float(file.get_tensor(f"{name}.image.gate")), float(file.get_tensor(f"{name}.other.gate")))
                for name in read_shape(directory).others
            }
    except (OSError, SafetensorError) as error:
        raise ModelError(f"{path}: {error}; expected the weights of a fusion head") from error
