"""Casts a module to a lower precision and keeps fp32 inputs and outputs."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import nn

TORCH_NAMES = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}


def cast(module: "nn.Module", precision: str) -> "nn.Module":
    """A copy of the module with weights and arithmetic in that precision; float inputs and outputs stay fp32.

    Exported, it is a strongly typed graph with a cast at each end. Integers, such as token ids, are not cast.
    """
    import copy

    import torch
    from torch import nn

    kind = getattr(torch, TORCH_NAMES[precision])

    class Cast(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = copy.deepcopy(module).to(kind)

        def forward(self, *feeds: torch.Tensor) -> Any:
            results = self.inner(*(feed.to(kind) if feed.is_floating_point() else feed for feed in feeds))
            if isinstance(results, tuple):
                return tuple(result.float() for result in results)
            return results.float()

    return Cast().eval()
