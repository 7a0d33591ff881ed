"""RAFT-small: dense optical flow by a recurrent network.

Teed & Deng 2020, "RAFT: Recurrent all-pairs field transforms for optical flow", arXiv 2003.12039. Implemented from the
paper, with the names and shapes of the published weights `raft-small.pth`.
"""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pipeline.errors import ModelError

ITERATIONS = 12
"""Updates per pair."""
LEVELS = 4
RADIUS = 3
STRIDE = 8
"""Features and flow have 1/8 of the picture's size. Sides must be multiples of 8 and at least 64 px; otherwise the
coarsest level of the correlation pyramid would be empty."""
FEATURES, HIDDEN, CONTEXT = 128, 96, 64
MOST_SHOWN = 4
ORIGIN = "Use a file from the models of github.com/princeton-vl/RAFT"


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolutions with a shortcut, "B i H W" -> "B o H/stride W/stride"."""

    def __init__(self, channels_in: int, channels_out: int, stride: int, norm: bool) -> None:
        super().__init__()
        inner = channels_out // 4
        self.conv1 = nn.Conv2d(channels_in, inner, 1)
        self.conv2 = nn.Conv2d(inner, inner, 3, stride, 1)
        self.conv3 = nn.Conv2d(inner, channels_out, 1)
        self.norm = F.instance_norm if norm else nn.Identity()
        self.downsample = nn.Sequential(nn.Conv2d(channels_in, channels_out, 1, stride)) if stride > 1 else None

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.norm(self.conv1(x)))
        y = F.relu(self.norm(self.conv2(y)))
        y = F.relu(self.norm(self.conv3(y)))
        return F.relu(y + (x if self.downsample is None else self.norm(self.downsample(x))))


class Encoder(nn.Module):
    """Pictures "B 3 H W" -> features "B o H/8 W/8"."""

    def __init__(self, channels_out: int, norm: bool) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 32, 7, 2, 3)
        self.norm = F.instance_norm if norm else nn.Identity()
        self.layer1 = nn.Sequential(Bottleneck(32, 32, 1, norm), Bottleneck(32, 32, 1, norm))
        self.layer2 = nn.Sequential(Bottleneck(32, 64, 2, norm), Bottleneck(64, 64, 1, norm))
        self.layer3 = nn.Sequential(Bottleneck(64, 96, 2, norm), Bottleneck(96, 96, 1, norm))
        self.conv2 = nn.Conv2d(96, channels_out, 1)

    def forward(self, pictures: Tensor) -> Tensor:
        x = F.relu(self.norm(self.conv1(pictures)))
        features: Tensor = self.conv2(self.layer3(self.layer2(self.layer1(x))))
        return features


class MotionEncoder(nn.Module):
    """Correlations "B 196 h w" and the current flow "B 2 h w" -> "B 82 h w", of which the last two are the flow."""

    def __init__(self) -> None:
        super().__init__()
        self.convc1 = nn.Conv2d(LEVELS * (2 * RADIUS + 1) ** 2, 96, 1)
        self.convf1 = nn.Conv2d(2, 64, 7, 1, 3)
        self.convf2 = nn.Conv2d(64, 32, 3, 1, 1)
        self.conv = nn.Conv2d(128, 80, 3, 1, 1)

    def forward(self, found: Tensor, flow: Tensor) -> Tensor:
        like = F.relu(self.convc1(found))
        moved = F.relu(self.convf2(F.relu(self.convf1(flow))))
        return torch.cat([F.relu(self.conv(torch.cat([like, moved], 1))), flow], 1)


class ConvGRU(nn.Module):
    """Hidden state "B 96 h w" and input "B 146 h w" -> the next hidden state."""

    def __init__(self) -> None:
        super().__init__()
        channels = HIDDEN + CONTEXT + 82
        self.convz = nn.Conv2d(channels, HIDDEN, 3, 1, 1)
        self.convr = nn.Conv2d(channels, HIDDEN, 3, 1, 1)
        self.convq = nn.Conv2d(channels, HIDDEN, 3, 1, 1)

    def forward(self, hidden: Tensor, x: Tensor) -> Tensor:
        both = torch.cat([hidden, x], 1)
        update, reset = torch.sigmoid(self.convz(both)), torch.sigmoid(self.convr(both))
        proposed = torch.tanh(self.convq(torch.cat([reset * hidden, x], 1)))
        return (1 - update) * hidden + update * proposed


class FlowHead(nn.Module):
    """Hidden state "B 96 h w" -> change of the flow "B 2 h w"."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(HIDDEN, 128, 3, 1, 1)
        self.conv2 = nn.Conv2d(128, 2, 3, 1, 1)

    def forward(self, hidden: Tensor) -> Tensor:
        change: Tensor = self.conv2(F.relu(self.conv1(hidden)))
        return change


class UpdateBlock(nn.Module):
    """One update: returns the next hidden state and the change of the flow."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = MotionEncoder()
        self.gru = ConvGRU()
        self.flow_head = FlowHead()

    def forward(self, hidden: Tensor, context: Tensor, found: Tensor, flow: Tensor) -> tuple[Tensor, Tensor]:
        hidden = self.gru(hidden, torch.cat([context, self.encoder(found, flow)], 1))
        return hidden, self.flow_head(hidden)


class RaftSmall(nn.Module):
    """Two pictures RGB in [-1, 1], "B 3 H W" with H and W multiples of 8 -> flow "B 2 H W" in pixels.

    Channel 0 is the motion of the content of `before` to the right, channel 1 its motion down. Correlations and the
    flow stay in float32 for weights of any precision: coordinates need more digits than half precision has.
    """

    def __init__(self, iterations: int = ITERATIONS) -> None:
        super().__init__()
        self.iterations = iterations
        self.fnet = Encoder(FEATURES, norm=True)
        self.cnet = Encoder(HIDDEN + CONTEXT, norm=False)
        self.update_block = UpdateBlock()

    def forward(self, before: Tensor, after: Tensor) -> Tensor:
        pyramid = correlation_pyramid(self.fnet(before), self.fnet(after))
        state = self.cnet(before)
        hidden, context = torch.tanh(state[:, :HIDDEN]), F.relu(state[:, HIDDEN:])
        start = positions(state)
        flow = torch.zeros_like(state[:, :2], dtype=torch.float32)
        for _ in range(self.iterations):
            found = look_up(pyramid, start + flow).to(state.dtype)
            hidden, change = self.update_block(hidden, context, found, flow.to(state.dtype))
            flow = flow + change.float()
        return STRIDE * F.interpolate(flow, scale_factor=float(STRIDE), mode="bilinear", align_corners=True)


def positions(features: Tensor) -> Tensor:
    """Coordinates of each feature of "B C h w": float32 "2 h w", x and y."""
    height, width = features.shape[2:]
    x = torch.arange(width, device=features.device, dtype=torch.float32)
    y = torch.arange(height, device=features.device, dtype=torch.float32)
    return torch.stack([x.expand(height, width), y[:, None].expand(height, width)])


def correlation_pyramid(before: Tensor, after: Tensor) -> list[Tensor]:
    """Dot products of all features "B C h w" of both pictures over sqrt(C), and their averages at 1/2, 1/4 and 1/8.

    Level l is float32 "B h*w h/2^l w/2^l" (paper, 3.2).
    """
    left, right = before.float().flatten(2), after.float().flatten(2)
    products = left.transpose(1, 2) @ right / left.shape[1] ** 0.5
    levels = [products.reshape(*products.shape[:2], *after.shape[2:])]
    for _ in range(LEVELS - 1):
        levels.append(F.avg_pool2d(levels[-1], 2))
    return levels


def look_up(pyramid: list[Tensor], at: Tensor) -> Tensor:
    """The 7 x 7 correlations around positions "B 2 h w" in each level: "B 196 h w", zero outside the picture.

    Bilinear sampling is separable: it is two matrix products with linearly decreasing weights, which need no gather
    operation and are the same in every backend. Offsets run down first, then to the right.
    """
    x, y = at.flatten(2).unsqueeze(3).unsqueeze(4).unbind(1)
    found = []
    for level, correlation in enumerate(pyramid):
        rows, columns = correlation.shape[2:]
        to_right, down = tents(x * 0.5**level, columns), tents(y * 0.5**level, rows)
        found.append((to_right @ correlation.transpose(2, 3) @ down.transpose(2, 3)).flatten(2))
    batch, _, height, width = at.shape
    return torch.cat(found, 2).transpose(1, 2).reshape(batch, -1, height, width)


def tents(centre: Tensor, size: int) -> Tensor:
    """Weights of the cells 0 ... size-1 for sampling at centre - 3 ... centre + 3: "B N 1 1" -> "B N 7 size"."""
    offsets = torch.arange(-RADIUS, RADIUS + 1, device=centre.device, dtype=torch.float32)
    cells = torch.arange(size, device=centre.device, dtype=torch.float32)
    return F.relu(1 - (centre + (offsets[:, None] - cells)).abs())


def load_raft(path: Path) -> RaftSmall:
    """Load the network with published weights: `raft-small.pth` or safetensors; names may start with "module.".

    Raises:
        ModelError: the file cannot be read, or its tensors are not those of RAFT-small.
    """
    network = RaftSmall()
    given = {name.removeprefix("module."): tensor for name, tensor in _read(path).items()}
    wanted = network.state_dict()
    wrong = [f"{name} is missing" for name in wanted if name not in given]
    wrong += [f"{name} is unknown" for name in given if name not in wanted]
    wrong += [
        f"{name} is {tuple(given[name].shape)}; expected {tuple(tensor.shape)}"
        for name, tensor in wanted.items()
        if name in given and given[name].shape != tensor.shape
    ]
    if wrong:
        more = f" and {len(wrong) - MOST_SHOWN} more" if len(wrong) > MOST_SHOWN else ""
        raise ModelError(f"{path}: not the weights of RAFT-small: {', '.join(wrong[:MOST_SHOWN])}{more}. {ORIGIN}")
    network.load_state_dict({name: tensor.float() for name, tensor in given.items()})
    return network.requires_grad_(False).eval()


def _read(path: Path) -> dict[str, Tensor]:
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return dict(load_file(path))
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # the readers' errors have no common base class
        raise ModelError(f"{path}: cannot be read: {error}; expected raft-small.pth. {ORIGIN}") from error
    if not isinstance(state, dict) or not all(isinstance(tensor, Tensor) for tensor in state.values()):
        raise ModelError(f"{path}: contains a {type(state).__name__}; expected tensors by name. {ORIGIN}")
    return dict(state)
