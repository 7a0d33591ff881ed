"""The sound tower of percept-mini: a small convolutional network, read out in the text space."""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

CLASSES = 521
"""Number of AudioSet classes that the network scores, in the order of `sound_classes.txt`."""


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with a shortcut, "N i H W" -> "N o H/stride W/stride"."""

    def __init__(self, channels_in: int, channels_out: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels_out, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(channels_out)
        self.conv2 = nn.Conv2d(channels_out, channels_out, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(channels_out)
        self.shortcut = nn.Conv2d(channels_in, channels_out, 1, bias=False) if channels_in != channels_out else None
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm2(self.conv2(F.relu(self.norm1(self.conv1(x)))))
        short = F.avg_pool2d(x, self.stride) if self.stride > 1 else x
        return F.relu(y + (self.shortcut(short) if self.shortcut is not None else short))


class ConceptSound(nn.Module):
    """Log-mel patches "K 96 64" (`LogMel` with its defaults) -> tokens "K 384", not of unit length.

    Read out by ConSE (Norouzi et al. 2013, arXiv 1312.5650): the sum of the centred text vectors of all class names,
    each times its score and its surprise, so that "Cello" counts more than "Music". Average the tokens of several
    patches before normalising: a patch with low scores then counts little.

    `center` is the mean text vector of all names, which was subtracted from the concepts: subtract it from the vectors
    of words before comparing. `surprise` is -log of a class's frequency, 0 for names without information (silence).
    """

    center: Tensor
    concepts: Tensor
    surprise: Tensor

    def __init__(self, dimensions: int = 384) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 32, 3, 2, 1, bias=False)
        self.stem_norm = nn.BatchNorm2d(32)
        self.blocks = nn.Sequential(
            ResidualBlock(32, 64, 2), ResidualBlock(64, 128, 2), ResidualBlock(128, 256, 2), ResidualBlock(256, 256, 1)
        )
        self.embed = nn.Linear(256, 1024)
        self.classify = nn.Linear(1024, CLASSES)
        self.register_buffer("center", torch.zeros(dimensions))
        self.register_buffer("concepts", torch.zeros(CLASSES, dimensions))
        self.register_buffer("surprise", torch.ones(CLASSES))

    def features(self, log_mel: Tensor) -> Tensor:
        """Log-mel patches "K 96 64" -> features "K 1024", each >= 0, trained to match the teacher's."""
        x = (log_mel.unsqueeze(1) + 2.4) / 2.6  # about zero mean and unit deviation over everyday sound
        x = self.blocks(F.relu(self.stem_norm(self.stem(x))))
        return F.relu(self.embed(x.mean((2, 3))))

    def logits(self, log_mel: Tensor) -> Tensor:
        """Log-mel patches "K 96 64" -> one logit per AudioSet class "K 521"; several may be true at once."""
        logits: Tensor = self.classify(self.features(log_mel))
        return logits

    def read_out(self, scores: Tensor) -> Tensor:
        """Scores in [0, 1] "K 521" -> tokens "K 384"."""
        return (scores * self.surprise) @ self.concepts

    def forward(self, log_mel: Tensor) -> Tensor:
        return self.read_out(self.logits(log_mel).sigmoid())


def load_sound(directory: Path) -> ConceptSound:
    """Load the trained tower of a model directory in float32, for inference.

    Raises:
        FileNotFoundError: the directory has no `sound.safetensors`.
    """
    from safetensors.torch import load_file

    path = directory / "sound.safetensors"
    if not path.is_file():
        raise FileNotFoundError(
            f"{path}: not found; expected the sound tower of the model. Train it with: "
            "python -m recipes.percept_mini.train_sound --data FOLDER"
        )
    state = load_file(path)
    network = ConceptSound(state["concepts"].shape[1])
    network.load_state_dict({name: t.float() if t.is_floating_point() else t for name, t in state.items()})
    return network.eval()
