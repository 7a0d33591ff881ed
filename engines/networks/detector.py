"""The detector of `percept-mini`: objects of any kind in a picture, each with a vector in the text space.

The network of the picture tower stays as it is; only a head is learnt (F-VLM, Kuo et al. 2023, arXiv 2209.15639). How
sure it is of an object is the geometric mean of objectness and expected overlap, and objectness does not shape the
features (SWORD, Wu et al. 2023, arXiv 2307.08779), so that things without a name in the training data are found, too.
"""

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from engines.networks.detector_facts import STRIDES_PX, TOKEN, WEIGHTS_FILE
from engines.networks.picture import EfficientNetLite0, SameConv, load_picture

FINE, COARSE = 11, 16
"""Blocks after which features are taken: 112 channels at stride 16, 320 at stride 32."""
FINE_CHANNELS, COARSE_CHANNELS = 112, 320
WIDTH = 128
GROUPS = 8


class Separable(nn.Module):
    """A depthwise 5 x 5 convolution and a pointwise one."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(channels, channels, 5, padding=2, groups=channels, bias=False)
        self.pointwise = nn.Conv2d(channels, channels, 1, bias=False)
        self.norm = nn.GroupNorm(GROUPS, channels)

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(self.norm(self.pointwise(self.depthwise(x))))


class DetectorHead(nn.Module):
    """Features of the network -> objects: see `forward`. Both strides share all weights but the first.

    `certainty`: slope and shift of the log-odds of scores, so that a score is the share of such boxes that are right.
    """

    certainty: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.fine, self.coarse = nn.Conv2d(FINE_CHANNELS, WIDTH, 1), nn.Conv2d(COARSE_CHANNELS, WIDTH, 1)
        self.joined = nn.ModuleList([Separable(WIDTH), Separable(WIDTH)])
        self.place = nn.Sequential(Separable(WIDTH), Separable(WIDTH))
        self.sides, self.quality = nn.Conv2d(WIDTH, 4, 1), nn.Conv2d(WIDTH, 1, 1)
        self.kind = nn.Sequential(Separable(WIDTH), Separable(WIDTH))
        self.objectness = nn.Conv2d(WIDTH, 1, 1)
        self.reads = nn.Conv2d(TOKEN, WIDTH, 1)
        self.change = nn.Conv2d(WIDTH, TOKEN, 1)
        nn.init.zeros_(self.change.weight)
        self.register_buffer("certainty", torch.tensor([1.0, 0.0]))
        for layer, start in ((self.objectness, -3.0), (self.sides, 1.0)):
            assert layer.bias is not None
            nn.init.constant_(layer.bias, start)

    def forward(self, fine: Tensor, coarse: Tensor, tokens: Tensor) -> list[tuple[Tensor, Tensor, Tensor, Tensor]]:
        """For strides 16 and 32: logits of objectness and of overlap "B 1 h w", distances to the left, upper, right and
        lower side in pixels "B 4 h w", vectors "B 384 h w".

        tokens: what the picture tower reads in each place, "B 384 h w" at stride 32.
        """
        below = self.coarse(coarse)
        pyramid = (
            self.joined[0](self.fine(fine) + functional.interpolate(below, size=fine.shape[-2:], mode="nearest")),
            self.joined[1](below),
        )
        read = functional.interpolate(tokens, size=fine.shape[-2:], mode="nearest"), tokens
        found = []
        for features, token, stride in zip(pyramid, read, STRIDES_PX, strict=True):
            place = self.place(features)
            kind = self.kind(features + self.reads(token))
            sides = torch.exp(self.sides(place).clamp(max=5.0)) * stride
            vectors = token + self.change(kind)
            found.append((self.objectness(place.detach()), self.quality(place), sides, vectors))
        return found

    def score(self, objectness: Tensor, quality: Tensor) -> Tensor:
        """How sure it is of an object, in [0, 1], from the logits of both."""
        odds = torch.logit((objectness.sigmoid() * quality.sigmoid()).sqrt(), eps=1e-4)
        return torch.sigmoid(self.certainty[0] * odds + self.certainty[1])


class Detector(nn.Module):
    """Of the two read-outs of the picture tower, places have the learnt one: the other costs a quarter of the network.

    float32 "B 3 H W", (x - 127) / 128 with x in [0, 255] -> for strides 16 and 32 `cells` "B 5 h w" (score in
    [0, 1], distances from the cell's centre to the left, upper, right and lower side in pixels) and `vectors`
    "B 384 h w" of unit length.
    """

    projection: Tensor

    def __init__(self, network: EfficientNetLite0, projection: Tensor, head: DetectorHead) -> None:
        super().__init__()
        self.network, self.head = network, head
        self.register_buffer("projection", projection)

    def read(self, pictures: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The head's input: features at both strides, and tokens at stride 32."""
        fine = self.network.first(pictures, FINE)
        coarse = fine
        for block in self.network._blocks[FINE:COARSE]:
            coarse = block(coarse)
        features = functional.relu6(self.network._bn1(self.network._conv_head(coarse)))
        near = functional.avg_pool2d(features, 3, 1, 1, count_include_pad=False).permute(0, 2, 3, 1)
        tokens = functional.normalize(near, dim=-1) @ self.projection
        return fine, coarse, tokens.permute(0, 3, 1, 2)

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        told = []
        for objectness, quality, sides, vectors in self.head(*self.read(pictures)):
            score = self.head.score(objectness, quality)
            told += [torch.cat([score, sides], dim=1), functional.normalize(vectors, dim=1)]
        cells_16, vectors_16, cells_32, vectors_32 = told
        return cells_16, vectors_16, cells_32, vectors_32


def load_detector(directory: Path) -> Detector:
    """Load the detector of a model directory, on the CPU, for inference.

    Raises:
        FileNotFoundError: the directory has no detector.
    """
    return detector_of(directory, load_head(directory)).requires_grad_(False).eval()


def load_head(directory: Path) -> DetectorHead:
    """The head of the detector of a model directory.

    Raises:
        FileNotFoundError: the directory has no detector.
    """
    from safetensors.torch import load_file

    file = directory / WEIGHTS_FILE
    if not file.is_file():
        raise FileNotFoundError(f"{file}: missing; this model has no detector of its own")
    head = DetectorHead()
    head.load_state_dict({name: weight.float() for name, weight in load_file(file).items()})
    return head.requires_grad_(False).eval()


def detector_of(directory: Path, head: DetectorHead) -> Detector:
    """The detector with this head, on the picture tower of a model directory."""
    tower = load_picture(directory)
    for module in tower.network.modules():
        if isinstance(module, SameConv):
            module.forward = _EvenConv(module)  # type: ignore[method-assign]
    return Detector(tower.network, tower.projection, head)


class _EvenConv:
    """`SameConv` for sides that the stride divides. Its padding does not depend on them, so they can stay free."""

    def __init__(self, conv: SameConv) -> None:
        missing = conv.kernel_size[0] - conv.stride[0]
        self._before, self._after = missing // 2, missing - missing // 2
        self._conv = conv

    def __call__(self, x: Tensor) -> Tensor:
        conv, pad = self._conv, (self._before, self._after, self._before, self._after)
        padded = functional.pad(x, pad) if any(pad) else x
        return functional.conv2d(padded, conv.weight, conv.bias, conv.stride, 0, 1, conv.groups)
