"""Fusion heads with random weights, and models with such heads."""

from pathlib import Path

import torch
from torch import nn

from engines.networks.fusion import MovFusion, save_fusion
from engines.networks.fusion_shape import FusionShape


def make_head(gate: float = 0.0, seed: int = 0, **dims: int) -> MovFusion:
    """A small head with every gate set to `gate`."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        head = MovFusion(FusionShape(dims=dims, width=8, heads=2, hidden=16))
    for name, parameter in head.named_parameters():
        if name.endswith("gate"):
            nn.init.constant_(parameter, gate)
    return head.requires_grad_(False).eval()


def add_head(model: Path, head: MovFusion, base: str = "") -> Path:
    """Add a head to a model directory, replacing an existing one; `base` is the text of its `base-labels.txt`."""
    save_fusion(head, model / "fusion")
    (model / "fusion" / "base-labels.txt").write_text(base)
    before = (model / "model.toml").read_text().partition("\n[fusion]")[0]
    (model / "model.toml").write_text(before + '\n[fusion]\ndirectory = "fusion"\n')
    return model
