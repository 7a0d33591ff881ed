"""The two towers of OWL-ViT (Minderer et al. 2022, arXiv 2205.06230) and OWLv2 (2023, arXiv 2306.09683)."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from engines.networks.transformers_towers import TextTower, load_checkpoint

SMALLEST = 1e-6
"""Added to lengths of vectors, as transformers does."""


class OwlVision(nn.Module):
    """Pictures "B 3 S S" -> what the network says of each of its P patches, whatever the words are:

    vectors "B P D" and shifts "B P": the logit of a word is its unit vector times `vectors`, plus `shifts`.
    boxes "B P 4": centre x, centre y, width and height in shares of the network's picture.
    """

    box_bias: Tensor

    def __init__(self, vision: Any, model: Any) -> None:
        super().__init__()
        self.vision, self.layer_norm = vision, model.layer_norm
        self.class_head, self.box_head = model.class_head, model.box_head
        self.register_buffer("box_bias", model.box_bias)

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        tokens = self.vision.post_layernorm(self.vision(pixel_values=pictures).last_hidden_state)
        patches = self.layer_norm(tokens[:, 1:] * tokens[:, :1])
        head = self.class_head
        vectors = head.dense0(patches)
        scale = functional.elu(head.logit_scale(patches)) + 1
        unit = vectors / (torch.linalg.vector_norm(vectors, dim=-1, keepdim=True) + SMALLEST)
        boxes = torch.sigmoid(self.box_head(patches) + self.box_bias)
        return unit * scale, (head.logit_shift(patches) * scale)[..., 0], boxes


def load_owlvit_vision(directory: Path) -> OwlVision:
    model = load_checkpoint("OwlViTForObjectDetection", directory)
    return OwlVision(model.owlvit.vision_model, model).eval()


def load_owlvit_text(directory: Path) -> TextTower:
    model = load_checkpoint("OwlViTForObjectDetection", directory).owlvit
    return TextTower(model.text_model, model.text_projection)


def load_owlv2_vision(directory: Path) -> OwlVision:
    model = load_checkpoint("Owlv2ForObjectDetection", directory)
    return OwlVision(model.owlv2.vision_model, model).eval()


def load_owlv2_text(directory: Path) -> TextTower:
    model = load_checkpoint("Owlv2ForObjectDetection", directory).owlv2
    return TextTower(model.text_model, model.text_projection)
