"""The fusion head of MOV (Qian et al. 2022, arXiv 2207.07646): exchanges of picture and motion, picture and sound.

Each other modality has two branches with separate weights: the picture attends to it, and it attends to the picture. A
branch's output is added to the frozen encoder's embedding through a gate that starts at zero. So an untrained head
changes nothing, and a missing modality removes only its own branches.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import NamedTuple

import msgspec
import torch
from torch import Tensor, nn
from torch.nn import functional

from engines.networks.fusion_shape import IMAGE, MAX_TOKENS, SHAPE_FILE, WEIGHTS_FILE, FusionShape, read_shape
from pipeline.errors import ModelError

MASKED = -1e4
"""Added to the attention score of padding; low enough, and finite in half precision too."""


class Seen(NamedTuple):
    """One modality of a batch: tokens "B N D", and a mask bool "B N", true for real tokens; None if all are real."""

    tokens: Tensor
    mask: Tensor | None = None


class Attention(nn.Module):
    """Multi-head attention from tokens "B N D" to others "B K E" -> "B N D". The caller normalises both inputs."""

    def __init__(self, dim: int, other_dim: int, shape: FusionShape) -> None:
        super().__init__()
        self.heads = shape.heads
        self.query = nn.Linear(dim, shape.width)
        self.key = nn.Linear(other_dim, shape.width)
        self.value = nn.Linear(other_dim, shape.width)
        self.mix = nn.Linear(shape.width, dim)
        self.dropout = nn.Dropout(shape.dropout)

    def forward(self, x: Tensor, other: Tensor, other_mask: Tensor | None) -> Tensor:
        q, k, v = (
            part.unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for part in (self.query(x), self.key(other), self.value(other))
        )
        # Written as separate operations: as one, it becomes an ONNX node that few engines support.
        scores = q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])
        if other_mask is not None:
            scores = scores + (~other_mask)[:, None, None, :] * MASKED
        found: Tensor = self.dropout(self.mix((scores.softmax(-1) @ v).transpose(1, 2).flatten(2)))
        return found


class TwoLayers(nn.Module):
    """Two-layer perceptron, "... D" -> "... D", on each token separately."""

    def __init__(self, dim: int, shape: FusionShape) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.widen = nn.Linear(dim, shape.hidden)
        self.narrow = nn.Linear(shape.hidden, dim)
        self.dropout = nn.Dropout(shape.dropout)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.dropout(self.narrow(functional.gelu(self.widen(self.norm(x)))))
        return found


class TimeLayer(nn.Module):
    """One layer of the transformer along time: "B N D" -> "B N D"."""

    def __init__(self, dim: int, shape: FusionShape) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.attention = Attention(dim, dim, shape)
        self.two_layers = TwoLayers(dim, shape)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        normalised = self.norm(x)
        x = x + self.attention(normalised, normalised, mask)
        y: Tensor = x + self.two_layers(x)
        return y


class Branch(nn.Module):
    """Attention of one modality to another: tokens "B N D" and "B K E" -> the change of its embedding "B D".

    V1 = V + attention(V, M);  V2 = V1 + two_layers(V1);  change = gate * mean over time of transformer(V2 + position).
    Tokens are brought to a common level first, so the gate has the scale of the unit embedding for every encoder.
    """

    def __init__(self, dim: int, other_dim: int, shape: FusionShape) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.other_norm = nn.LayerNorm(other_dim)
        self.attention = Attention(dim, other_dim, shape)
        self.two_layers = TwoLayers(dim, shape)
        self.position = nn.Parameter(0.02 * torch.randn(MAX_TOKENS, dim))
        self.along_time = nn.ModuleList(TimeLayer(dim, shape) for _ in range(shape.layers))
        self.gate = nn.Parameter(torch.zeros(()))

    def forward(self, own: Seen, other: Seen) -> Tensor:
        x = levelled(own)
        x = x + self.attention(self.norm(x), self.other_norm(levelled(other)), other.mask)
        x = x + self.two_layers(x) + self.position[: x.shape[1]]
        for layer in self.along_time:
            x = layer(x, own.mask)
        return self.gate * mean_token(Seen(x, own.mask)) / math.sqrt(x.shape[-1])


class Exchange(nn.Module):
    """Both branches between the picture and one other modality.

    Image tokens "B T D" and the other's "B M E" -> changes of their embeddings, "B D" and "B E". Engines compute only
    the changes, so the embeddings themselves are never rounded by a network in low precision.
    """

    def __init__(self, dim: int, other_dim: int, shape: FusionShape) -> None:
        super().__init__()
        self.image = Branch(dim, other_dim, shape)
        self.other = Branch(other_dim, dim, shape)

    def forward(self, image: Tensor, other: Tensor) -> tuple[Tensor, Tensor]:
        return self.changes(Seen(image), Seen(other))

    def changes(self, image: Seen, other: Seen) -> tuple[Tensor, Tensor]:
        """The same for tokens with masks. Both changes are zero for clips in which the other has no token."""
        of_image, of_other = self.image(image, other), self.other(other, image)
        if other.mask is None:
            return of_image, of_other
        is_there = other.mask.any(1, keepdim=True)
        return of_image.where(is_there, 0.0), of_other.where(is_there, 0.0)


class MovFusion(nn.Module):
    """Tokens of each modality -> embeddings of unit length, after the exchanges.

    image "B T D", motion "B M E", audio "B A F" (the last two may be None), at most `MAX_TOKENS` each. Returns "image",
    and "motion" and "audio" if they were given: "B D", "B E", "B F". For training, `masks` separates real tokens from
    padding: bool "B N" by modality; a row that is all false is a clip without the modality (whose output is zeros).
    Every clip needs an image token.
    """

    def __init__(self, shape: FusionShape) -> None:
        super().__init__()
        self.shape = shape
        self.exchanges = nn.ModuleDict(
            {name: Exchange(shape.dims[IMAGE], shape.dims[name], shape) for name in shape.others}
        )

    def exchange(self, other: str) -> Exchange:
        found = self.exchanges[other]
        assert isinstance(found, Exchange)
        return found

    def forward(
        self,
        image: Tensor,
        motion: Tensor | None = None,
        audio: Tensor | None = None,
        masks: Mapping[str, Tensor] | None = None,
    ) -> dict[str, Tensor]:
        given = {IMAGE: image, "motion": motion, "audio": audio}
        seen = {name: Seen(tokens, (masks or {}).get(name)) for name, tokens in given.items() if tokens is not None}
        changes: dict[str, list[Tensor]] = {name: [] for name in seen}
        for name in self.shape.others:
            if name in seen:
                of_image, of_other = self.exchange(name).changes(seen[IMAGE], seen[name])
                changes[IMAGE].append(of_image)
                changes[name].append(of_other)
        return {name: changed(pooled(each), changes[name]) for name, each in seen.items()}

    def gates(self) -> dict[str, tuple[float, float]]:
        """Gates of each exchange, for the picture's and the other's embedding: {"motion": (0.4, 0.1)}."""
        both = {name: self.exchange(name) for name in self.shape.others}
        return {name: (float(each.image.gate), float(each.other.gate)) for name, each in both.items()}


def changed(embedding: Tensor, changes: list[Tensor]) -> Tensor:
    """The unit embedding "B D" plus all changes, normalised again; bit-identical to the input if all changes are 0."""
    if not changes:
        return embedding
    moved = embedding + torch.stack(changes).sum(0)
    return embedding + (functional.normalize(moved, dim=-1) - functional.normalize(embedding, dim=-1))


def pooled(seen: Seen) -> Tensor:
    """The frozen encoder's embedding: the mean token at unit length, "B D"."""
    return functional.normalize(mean_token(seen), dim=-1)


def mean_token(seen: Seen) -> Tensor:
    """The mean of the real tokens, "B D"; zeros if there are none."""
    if seen.mask is None:
        return seen.tokens.mean(1)
    kept = seen.mask.to(seen.tokens.dtype)[..., None]
    return (seen.tokens * kept).sum(1) / kept.sum(1).clamp(min=1.0)


def levelled(seen: Seen) -> Tensor:
    """Tokens "B N D", divided by one number per clip so that the mean square of their values is 1.

    Not per token: a token with weak content is shorter than others and should count less.
    """
    square = mean_token(Seen(seen.tokens.square().mean(-1, keepdim=True), seen.mask))
    return seen.tokens / square.clamp(min=1e-12).sqrt()[:, None]


def save_fusion(network: MovFusion, directory: Path, half: bool = False) -> None:
    """Write `fusion.safetensors` (fp16 with `half`) and `fusion.json`, each atomically."""
    from safetensors.torch import save

    directory.mkdir(parents=True, exist_ok=True)
    dtype = torch.float16 if half else torch.float32
    state = {
        name.removeprefix("exchanges."): tensor.detach().to("cpu", dtype).contiguous()
        for name, tensor in network.state_dict().items()
    }
    shape = msgspec.json.format(msgspec.json.encode(network.shape)) + b"\n"
    for name, content in ((WEIGHTS_FILE, save(state)), (SHAPE_FILE, shape)):
        part = directory / f"{name}.part"
        part.write_bytes(content)
        part.replace(directory / name)


def load_fusion(directory: Path) -> MovFusion:
    """Load the head of a directory in fp32 on the CPU, for inference.

    Raises:
        ModelError: a file is missing, or its weights do not fit its sizes.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    network, path = MovFusion(read_shape(directory)), directory / WEIGHTS_FILE
    try:
        state = {name: tensor.float() for name, tensor in load_file(path).items()}
    except (OSError, SafetensorError) as error:
        raise ModelError(f"{path}: {error}; expected the weights of a fusion head") from error
    _check_fit({name: tuple(tensor.shape) for name, tensor in state.items()}, network, path)
    network.exchanges.load_state_dict(state)
    return network.requires_grad_(False).eval()


def _check_fit(has: Mapping[str, tuple[int, ...]], network: MovFusion, path: Path) -> None:
    """Raises: ModelError: the weights do not fit the head; the message names one that differs."""
    wanted = {name: tuple(tensor.shape) for name, tensor in network.exchanges.state_dict().items()}
    odd = sorted(name for name in {*has, *wanted} if has.get(name) != wanted.get(name))
    if odd:
        found, expected = (sizes.get(odd[0], "nothing") for sizes in (has, wanted))
        raise ModelError(
            f"{path}: does not fit {SHAPE_FILE}: {odd[0]} is {found}; expected {expected}; {len(odd) - 1} more"
        )


def load_exchange(other: str, directory: Path) -> Exchange:
    """The module that an engine runs: the exchange of the picture with one other modality.

    Raises:
        ModelError: as `load_fusion`, or the head has no such exchange.
    """
    network = load_fusion(directory)
    if other not in network.shape.others:
        raise ModelError(f"{directory / SHAPE_FILE}: has {', '.join(network.shape.others)}; expected {other}")
    return network.exchange(other)


load_with_motion: Callable[[Path], Exchange] = partial(load_exchange, "motion")
load_with_audio: Callable[[Path], Exchange] = partial(load_exchange, "audio")
