"""Batches: numpy arrays of unequal length as one padded tensor with its mask."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from pipeline.arrays import Array


def padded(parts: Sequence[Array | None], dim: int) -> tuple[Tensor, Tensor]:
    """Tokens "N_i D" (None for no tokens) -> float32 "B N D" and bool "B N", true for real tokens."""
    longest = max(1, *(len(part) for part in parts if part is not None)) if any(p is not None for p in parts) else 1
    tokens = np.zeros((len(parts), longest, dim), np.float32)
    mask = np.zeros((len(parts), longest), bool)
    for row, part in enumerate(parts):
        if part is not None:
            tokens[row, : len(part)] = part
            mask[row, : len(part)] = True
    return torch.from_numpy(tokens), torch.from_numpy(mask)


def grouped_means(vectors: Tensor, groups: Tensor, count: int) -> Tensor:
    """The mean row of each group, at unit length: "R D", int64 "R" -> "G D"."""
    sums = torch.zeros(count, vectors.shape[1], dtype=vectors.dtype, device=vectors.device)
    sums = sums.index_add(0, groups, vectors)
    counts = torch.bincount(groups, minlength=count).clamp(min=1).to(vectors)
    return torch.nn.functional.normalize(sums / counts[:, None], dim=-1)


def embeddings_of(network: nn.Module, inputs: Sequence[Array]) -> Tensor:
    """The mean of each item's tokens, at unit length: inputs "K_i ..." of the network -> float32 "B D"."""
    device = next(network.parameters()).device
    tokens = network(torch.from_numpy(np.concatenate(inputs)).to(device)).float()
    owners = np.repeat(np.arange(len(inputs)), [len(part) for part in inputs])
    return grouped_means(tokens, torch.from_numpy(owners).to(device), len(inputs))
