"""`stages.words.scoring.capped` for tensors, differentiable: for archives and for training."""

import torch
from torch import Tensor
from torch.nn import functional


def capped(odds: Tensor, known: Tensor | None) -> Tensor:
    """Log-odds of known * p, for log-odds "B C" of p and `known` in (0, 1], "C"; None leaves them as they are."""
    if known is None:
        return odds
    log_yes = known.log() + functional.logsigmoid(odds)
    partly = log_yes - torch.log1p(-log_yes.clamp(max=-1e-7).exp())
    return torch.where(known < 1, partly, odds)
