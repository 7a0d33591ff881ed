"""The motion tower of percept-mini: a small network over a clip's flow pictures, read out in the text space."""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

PICTURES = 8
"""Number of flow pictures per clip."""
SIDE_PX = 56
FINE = 8.0
"""Slow motion uses little of a picture's value range: a second copy is scaled to end at 1/8 of the bound."""
WORDS, ACTIONS = 18, 1
"""Numbers of words that the network scores, in the order of `motion_words.txt`: motions of the camera and of things,
then what people do."""


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with a shortcut, "N i H W" -> "N o H/2 W/2"."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels_out, 3, 2, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(channels_out)
        self.conv2 = nn.Conv2d(channels_out, channels_out, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(channels_out)
        self.shortcut = nn.Conv2d(channels_in, channels_out, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm2(self.conv2(F.relu(self.norm1(self.conv1(x)))))
        return F.relu(y + self.shortcut(F.avg_pool2d(x, 2, ceil_mode=True)))


class AlongTime(nn.Module):
    """Numbers of each picture "B T W" -> one logit per word: convolutions over time, then mean, maximum and spread."""

    def __init__(self, width: int, words: int) -> None:
        super().__init__()
        self.along1 = nn.Conv1d(width, width, 3, 1, 1)
        self.along2 = nn.Conv1d(width, width, 3, 1, 1)
        self.embed = nn.Linear(3 * width, width)
        self.classify = nn.Linear(width, words)

    def features(self, each: Tensor) -> Tensor:
        """What the words are told by: "B W"."""
        each = each.transpose(1, 2)
        each = F.relu(each + self.along1(each))
        each = F.relu(each + self.along2(each))
        mean = each.mean(2)
        spread = (each - mean.unsqueeze(2)).abs().mean(2)
        return F.relu(self.embed(torch.cat([mean, each.amax(2), spread], 1)))

    def forward(self, each: Tensor) -> Tensor:
        logits: Tensor = self.classify(self.features(each))
        return logits


class ConceptMotion(AlongTime):
    """Flow pictures of clips "B 8 3 56 56" in [-1, 1] (`stages.pictures.flow_pictures`) -> tokens "B 384".

    Red and green are motion to the right and down, with -1 and 1 as the bound; blue is speed. The same convolutions run
    on each picture, then convolutions over time, which separate a shaking camera from a panning one. What people do is
    told by other convolutions over time on the same numbers of each picture.

    Read out like the sound tower by ConSE (Norouzi et al. 2013, arXiv 1312.5650): the sum of the words' concept
    vectors, each times its score. All words have equal weight, because their frequency in synthetic clips is arbitrary.
    The text vectors of "panning left" and "panning right" are nearly the same, so the concepts are text vectors with
    their common part reduced (recipes/percept_mini/motion_read_out.py). `center` is subtracted from the vectors of
    labels before they are compared.
    """

    center: Tensor
    concepts: Tensor
    columns: Tensor

    def __init__(self, words: int = WORDS, actions: int = ACTIONS, dimensions: int = 384, width: int = 128) -> None:
        super().__init__(width, words)
        self.stem = nn.Conv2d(7, 32, 5, 4, 2, bias=False)
        self.stem_norm = nn.BatchNorm2d(32)
        self.blocks = nn.Sequential(ResidualBlock(32, 64), ResidualBlock(64, 128))
        self.flatten = nn.Linear(128 * 4 * 4, width)
        self.people = AlongTime(width, actions) if actions else None
        self.register_buffer("columns", torch.linspace(-1, 1, SIDE_PX).expand(1, 1, SIDE_PX, SIDE_PX).clone())
        self.register_buffer("center", torch.zeros(dimensions))
        self.register_buffer("concepts", torch.zeros(words + actions, dimensions))

    def planes(self, pictures: Tensor) -> Tensor:
        """Pictures "N 3 S S" -> "N 7 S S": motion, motion clipped at 1/8 of the bound, speed, and pixel coordinates."""
        motion, speed = pictures[:, :2], pictures[:, 2:]
        place = self.columns.expand(pictures.shape[0], -1, -1, -1)
        return torch.cat([motion, (FINE * motion).clamp(-1, 1), speed, place, place.transpose(2, 3)], 1)

    def each_picture(self, pictures: Tensor) -> Tensor:
        """Flow pictures of clips "B T 3 S S" -> numbers "B T W"."""
        x = self.blocks(F.relu(self.stem_norm(self.stem(self.planes(pictures.flatten(0, 1))))))
        each = F.relu(self.flatten(x.flatten(1)))
        return each.reshape(-1, pictures.shape[1], each.shape[-1])

    def logits(self, pictures: Tensor) -> Tensor:
        """Flow pictures "B T 3 S S" -> one logit per word "B W"; several words may be true at once."""
        each = self.each_picture(pictures)
        motions: Tensor = super().forward(each)
        return motions if self.people is None else torch.cat([motions, self.people(each)], 1)

    def read_out(self, scores: Tensor) -> Tensor:
        """Scores in [0, 1] "B W" -> tokens "B 384"."""
        return scores @ self.concepts

    def forward(self, pictures: Tensor) -> Tensor:
        return self.read_out(self.logits(pictures).sigmoid())


def load_motion(directory: Path) -> ConceptMotion:
    """Load the trained tower of a model directory in float32, for inference.

    Raises:
        FileNotFoundError: the directory has no `motion.safetensors`.
    """
    from safetensors.torch import load_file

    path = directory / "motion.safetensors"
    if not path.is_file():
        raise FileNotFoundError(
            f"{path}: not found; expected the motion tower of the model. Train it with: "
            "python -m recipes.percept_mini.train_motion --data FOLDER"
        )
    state = load_file(path)
    words, (concepts, dimensions) = len(state["classify.weight"]), state["concepts"].shape
    network = ConceptMotion(words, concepts - words, dimensions)
    network.load_state_dict({name: t.float() if t.is_floating_point() else t for name, t in state.items()})
    return network.eval()
