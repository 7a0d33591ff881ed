"""The text tower of `percept-mini`: all-MiniLM-L6-v2 in 5 bits, fine-tuned to compensate for the quantisation."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

if TYPE_CHECKING:
    from tokenizers import Tokenizer

TEXT_FILE = "text.safetensors"
TOKENIZER_FILE = "tokenizer.json"
MAX_TOKENS = 128

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class TextShape:
    """Sizes of a BERT encoder; the defaults are those of all-MiniLM-L6-v2."""

    vocabulary: int = 30522
    positions: int = MAX_TOKENS
    width: int = 384
    hidden: int = 1536
    heads: int = 12
    layers: int = 6


class Layer(nn.Module):
    """One encoder layer of BERT, normalised after each sum: "B L D", additive mask "B 1 1 L" -> "B L D"."""

    def __init__(self, shape: TextShape) -> None:
        super().__init__()
        self.heads = shape.heads
        self.query = nn.Linear(shape.width, shape.width)
        self.key = nn.Linear(shape.width, shape.width)
        self.value = nn.Linear(shape.width, shape.width)
        self.mix = nn.Linear(shape.width, shape.width)
        self.mix_norm = nn.LayerNorm(shape.width, eps=1e-12)
        self.widen = nn.Linear(shape.width, shape.hidden)
        self.narrow = nn.Linear(shape.hidden, shape.width)
        self.narrow_norm = nn.LayerNorm(shape.width, eps=1e-12)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        q, k, v = (
            part(x).unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in (self.query, self.key, self.value)
        )
        weights = (q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1]) + mask).softmax(-1)
        x = self.mix_norm(x + self.mix((weights @ v).transpose(1, 2).flatten(2)))
        y: Tensor = self.narrow_norm(x + self.narrow(functional.gelu(self.widen(x))))
        return y


class MiniText(nn.Module):
    """Text vectors: int64 ids "B L" and mask "B L" (1 = token, 0 = padding) -> float32 "B 384", unit length.

    The vector is the mean of the last layer over the tokens, as in all-MiniLM-L6-v2. L is at most 128.
    """

    max_tokens = MAX_TOKENS

    def __init__(self, shape: TextShape | None = None) -> None:
        super().__init__()
        shape = shape or TextShape()
        self.words = nn.Embedding(shape.vocabulary, shape.width)
        self.positions = nn.Embedding(shape.positions, shape.width)
        self.norm = nn.LayerNorm(shape.width, eps=1e-12)
        self.layers = nn.ModuleList(Layer(shape) for _ in range(shape.layers))

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        kept = attention_mask.to(self.positions.weight.dtype)
        x = self.norm(self.words(input_ids) + self.positions.weight[: input_ids.shape[1]])
        mask = (1.0 - kept)[:, None, None, :] * -1e4
        for layer in self.layers:
            x = layer(x, mask)
        return functional.normalize((x * kept[..., None]).sum(1), dim=-1)


def load_text(directory: Path) -> tuple[MiniText, "Tokenizer"]:
    """Load the tower and its tokenizer from a model directory, on the CPU, for inference.

    Raises:
        FileNotFoundError: a file is missing; the message names it.
    """
    from safetensors.numpy import load_file

    for name in (TEXT_FILE, TOKENIZER_FILE):
        if not (directory / name).is_file():
            raise FileNotFoundError(
                f"{directory / name}: missing; expected a model directory with {TEXT_FILE} and {TOKENIZER_FILE}"
            )
    tower = MiniText()  # the meta device is ten times slower: torch would import its compiler
    weights = {
        name: torch.from_numpy(value) for name, value in unpack_weights(load_file(directory / TEXT_FILE)).items()
    }
    tower.load_state_dict(weights, assign=True)
    return tower.requires_grad_(False).eval(), load_tokenizer(directory / TOKENIZER_FILE)


def load_tokenizer(file: Path) -> "Tokenizer":
    """A tokenizer that truncates at 128 tokens and pads a batch to its longest text."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(file))
    tokenizer.enable_truncation(MAX_TOKENS)
    tokenizer.enable_padding()
    return tokenizer


def tokenize(tokenizer: "Tokenizer", texts: list[str]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """int64 ids and mask, both "B L" with L the longest of `texts` (at most 128 tokens)."""
    encoded = tokenizer.encode_batch(texts)
    ids = np.array([one.ids for one in encoded], np.int64)
    return ids, np.array([one.attention_mask for one in encoded], np.int64)


# Weights on disk. A matrix "R C" is stored as 5-bit integers, packed without gaps, with one scale per row; everything
# else (norms, biases, positions) as float16.

BITS = 5
TOP = 2 ** (BITS - 1) - 1


def is_packed(name: str) -> bool:
    """Whether the weight of this name is stored in 5 bits."""
    return name == "words.weight" or (name.startswith("layers.") and name.endswith("weight") and "norm" not in name)


def best_scale(weight: Tensor) -> Tensor:
    """The scale of each row, "R C" -> float32 "R 1", whose integers approximate `weight` best (least squares)."""
    largest = weight.abs().amax(1, keepdim=True).clamp_min(1e-6)
    best: Tensor = largest / TOP
    best_error = torch.full_like(largest, float("inf"))
    for shrink in torch.linspace(0.4, 1.0, 16):
        scale = (largest * shrink / TOP).half().float()
        error = (whole_numbers(weight, scale) * scale - weight).square().sum(1, keepdim=True)
        best, best_error = torch.where(error < best_error, scale, best), torch.minimum(error, best_error)
    return best


def whole_numbers(weight: Tensor, scale: Tensor) -> Tensor:
    """`weight / scale`, rounded and clamped to the 5-bit integers, as float32."""
    whole: Tensor = (weight / scale).round().clamp(-TOP - 1, TOP)
    return whole


def pack_weights(weights: dict[str, Tensor], scales: dict[str, Tensor] | None = None) -> dict[str, Array]:
    """The arrays of `text.safetensors` for the state of a `MiniText`; missing scales come from `best_scale`."""
    packed: dict[str, Array] = {}
    for name, weight in weights.items():
        if not is_packed(name):
            packed[name] = weight.half().numpy()
            continue
        scale = (scales or {}).get(name, best_scale(weight))
        unsigned = (whole_numbers(weight, scale) + TOP + 1).to(torch.uint8).numpy()
        bits = np.unpackbits(unsigned[..., None], axis=-1)[..., 8 - BITS :]
        packed[f"{name}.packed"] = np.packbits(bits.reshape(len(bits), -1), axis=-1)
        packed[f"{name}.scale"] = scale.half().numpy()
    return packed


def unpack_weights(packed: dict[str, Array]) -> dict[str, npt.NDArray[np.float32]]:
    """The float32 state that `pack_weights` packed. Row lengths must be multiples of 8, as all of BERT's are."""
    weights: dict[str, npt.NDArray[np.float32]] = {}
    for name, array in packed.items():
        if name.endswith(".packed"):
            name = name.removesuffix(".packed")
            whole = unpack_bits(array).astype(np.float32) - (TOP + 1)
            weights[name] = whole * packed[f"{name}.scale"].astype(np.float32)
        elif not name.endswith(".scale"):
            weights[name] = array.astype(np.float32)
    return weights


def unpack_bits(packed: Array) -> npt.NDArray[np.uint8]:
    """The 5-bit integers in rows of bytes, highest bit first: uint8 "R C*5/8" -> uint8 "R C"."""
    fives = np.zeros((len(packed), packed.shape[1] // BITS, BITS + 1), np.uint16)
    fives[..., :BITS] = packed.reshape(len(packed), -1, BITS)
    numbers = np.empty((*fives.shape[:2], 8), np.uint8)
    for i in range(8):
        byte, bit = divmod(BITS * i, 8)
        numbers[..., i] = ((fives[..., byte] << 8 | fives[..., byte + 1]) >> (16 - BITS - bit)) & (2**BITS - 1)
    return numbers.reshape(len(packed), -1)
