"""The linear projection of percept-mini's picture tower, and what it is given. Its recipe uses the same."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from engines.networks.picture import PART, STEP, ConceptPicture

FEATURES_LEFT_OUT = 0.1


class Projection(nn.Module):
    """Parts of pictures, "N P" as of `parts_of`, -> tokens as of the whole tower, "N 384".

    Of parts that are averaged over pictures it makes the average of their tokens.
    """

    def __init__(self, projection: Tensor) -> None:
        super().__init__()
        self.projection = nn.Parameter(projection.clone())
        self.drop = nn.Dropout(FEATURES_LEFT_OUT)

    def forward(self, parts: Tensor) -> Tensor:
        features = len(self.projection)
        named, directions = parts[:, :-features], parts[:, -features:]
        token: Tensor = named + self.drop(directions) @ self.projection
        return token


def parts_of(tower: ConceptPicture, pictures: Tensor) -> tuple[Tensor, Tensor]:
    """The two parts of the tower's tokens before its projection, from its input "N 3 224 224".

    named: "N 384", the concepts, weighted with their probabilities. directions: "N 1280", the features of the quarters,
    each at unit length, averaged. A token is named + directions @ projection.
    """
    return read_parts(tower.network.features(pictures), tower.network._fc, tower.concepts)


def read_parts(features: Tensor, classify: nn.Module, concepts: Tensor) -> tuple[Tensor, Tensor]:
    """The same from the network's features "N 1280 7 7"."""
    parts = functional.avg_pool2d(features, PART, STEP).flatten(2).transpose(1, 2)
    named = classify(parts).softmax(-1).mean(1) @ concepts
    return named, functional.normalize(parts, dim=-1).mean(1)


@torch.inference_mode()
def mean_parts(tower: ConceptPicture, pictures: Tensor) -> Tensor:
    """Both parts, averaged over the pictures: "N 3 224 224" -> "P" with P = 384 + 1280."""
    return torch.cat(parts_of(tower, pictures), dim=1).mean(0)
