"""Towers with a second output: the vector that a tower has before its projection into text space.

Each class takes a loaded tower. The towers' own files are part of the keys of their engines, so that they do not change
for this: a run that asks for no features uses the same engines as ever.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from engines.networks.motion import ConceptMotion
from engines.networks.picture import PART, STEP, ConceptPicture


class PictureFeatures(nn.Module):
    """Pictures "B 3 224 224" -> tokens "B 384", features "B 1280": those of the quarters at unit length, averaged."""

    def __init__(self, tower: ConceptPicture) -> None:
        super().__init__()
        self.tower = tower

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        network = self.tower.network
        parts = functional.avg_pool2d(network.features(pictures), PART, STEP).flatten(2).transpose(1, 2)
        features = functional.normalize(parts, dim=-1).mean(1)
        named: Tensor = network._fc(parts).softmax(-1).mean(1) @ self.tower.concepts
        return named + features @ self.tower.projection, features


class MotionFeatures(nn.Module):
    """The motion tower of percept-mini: its input -> tokens "B 384", features "B 128", each >= 0.

    Features are the hidden values that tell motions of the camera and of things.
    """

    def __init__(self, tower: ConceptMotion) -> None:
        super().__init__()
        self.tower = tower

    def forward(self, given: Tensor) -> tuple[Tensor, Tensor]:
        each = self.tower.each_picture(given)
        features = self.tower.features(each)
        logits = [self.tower.classify(features)]
        if self.tower.people is not None:
            logits.append(self.tower.people(each))
        return self.tower.read_out(torch.cat(logits, 1).sigmoid()), features


class SoundFeatures(nn.Module):
    """The sound tower of percept-mini: its input -> tokens "B 384", features "B F", each >= 0.

    Features are the hidden values that its classifier reads.
    """

    def __init__(self, tower: Any) -> None:
        """tower: a `ConceptSound`, whose classifier is taken out."""
        super().__init__()
        self.classify, tower.classify = tower.classify, nn.Identity()
        self.tower = tower

    def forward(self, given: Tensor) -> tuple[Tensor, Tensor]:
        features: Tensor = self.tower.logits(given)
        return self.tower.read_out(self.classify(features).sigmoid()), features


class ProjectedFeatures(nn.Module):
    """A tower in transformers format: its input -> tokens "B D", features "B F".

    Features are the pooled output, which the projection reads.
    """

    def __init__(self, tower: Any) -> None:
        """tower: one of `transformers_towers`, whose projection is taken out."""
        super().__init__()
        self.projection, tower.projection = tower.projection, nn.Identity()
        self.tower = tower

    def forward(self, given: Tensor) -> tuple[Tensor, Tensor]:
        features: Tensor = self.tower(given)
        return self.projection(features), features
