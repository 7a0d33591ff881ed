"""The parts of the picture tower that its recipe trains."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from engines.networks.picture import LEARNT, load_network
from recipes.percept_mini.picture_data import LEARNT_FROM
from training.captions import losses
from training.captions.projection import FEATURES_LEFT_OUT, read_parts

NAMED = 2.0
"""The concepts are so much longer while the projection is learnt: larger numbers are learnt in larger steps."""
FASTER = 7.0
"""How much larger the steps of the projection are than those of the blocks."""


class Projection(nn.Module):
    """Tokens of views at unit length: named "N 384" and directions "N 1280" -> "N 384"; and odds of words."""

    def __init__(self, projection: Tensor, bias: float) -> None:
        super().__init__()
        self.projection = nn.Parameter(projection.clone())
        self.bias = nn.Parameter(torch.tensor(bias))
        self.sharpness = nn.Parameter(torch.tensor(1 / losses.TEMPERATURE).log())
        self.drop = nn.Dropout(FEATURES_LEFT_OUT)

    def forward(self, named: Tensor, directions: Tensor) -> Tensor:
        return functional.normalize(NAMED * named + self.drop(directions) @ self.projection, dim=-1)


class LastBlocks(nn.Module):
    """The network from block `LEARNT_FROM` on: maps "N 192 7 7" -> named "N 384" and directions "N 1280".

    Only these blocks and the head's convolution have gradients.
    """

    concepts: Tensor

    def __init__(self, concepts: Tensor) -> None:
        super().__init__()
        self.network = load_network().requires_grad_(False)
        for weight in self.learnt().values():
            weight.requires_grad_()
        self.register_buffer("concepts", concepts.float())

    def forward(self, maps: Tensor) -> tuple[Tensor, Tensor]:
        features = self.network.last(maps.contiguous(memory_format=torch.channels_last), LEARNT_FROM)
        return read_parts(features, self.network._fc, self.concepts)

    def learnt(self) -> dict[str, nn.Parameter]:
        """The weights that are trained, as `concepts.safetensors` names them."""
        trained = tuple(f"_blocks.{number}." for number in range(LEARNT_FROM, len(self.network._blocks)))
        return {
            LEARNT + name: weight
            for name, weight in self.network.named_parameters()
            if name.startswith((*trained, "_conv_head."))
        }


class Tower(Projection):
    """The last blocks and the projection together."""

    def __init__(self, projection: Tensor, bias: float, concepts: Tensor) -> None:
        super().__init__(projection / FASTER, bias)
        self.last = LastBlocks(concepts).to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, named: Tensor, directions: Tensor) -> Tensor:
        return functional.normalize(NAMED * named + self.drop(directions) @ (FASTER * self.projection), dim=-1)
