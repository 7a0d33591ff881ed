"""Relevance of places of the last feature map, handed back to the pixels of a picture, layer by layer.

Layer-wise relevance propagation (Bach et al. 2015, doi 10.1371/journal.pone.0130140) with the rule z+ (Montavon et al.
2017, arXiv 1512.02479, equation 13): each input of a layer gets its share of what raises an output. Biases get nothing,
so nothing is lost. The rule alone tells words apart badly (Sixt et al. 2020, arXiv 1912.09818): which word it is about
is decided by the places that it starts from.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from engines.networks.picture import Block, EfficientNetLite0

TINY = 1e-12


def pixel_relevance(network: EfficientNetLite0, pictures: Tensor, places: Tensor) -> Tensor:
    """What each pixel has of the relevance of places: "B 3 224 224", "B 7 7" >= 0 -> "B 224 224" >= 0, with its sum."""
    with torch.enable_grad():
        inputs = [functional.relu6(network._bn0(network._conv_stem(pictures)))]
        for block in network._blocks:
            inputs.append(block(inputs[-1]))
        features = functional.relu6(network._bn1(network._conv_head(inputs[-1])))
        relevance = places[:, None] * features / features.sum(1, keepdim=True).clamp(min=TINY)
        relevance = handed_back(network._conv_head, inputs.pop(), relevance)
        for block in reversed(network._blocks):
            assert isinstance(block, Block)
            relevance = _through_block(block, inputs.pop(), relevance)
        return handed_back(network._conv_stem, pictures, relevance).sum(1).detach()


def _through_block(block: Block, x: Tensor, relevance: Tensor) -> Tensor:
    expanded = functional.relu6(block._bn0(block._expand_conv(x))) if block.expands else x
    deep = functional.relu6(block._bn1(block._depthwise_conv(expanded)))
    kept = torch.zeros_like(x)
    if block.adds:  # each side of the sum gets its share of the two sizes
        y = block._bn2(block._project_conv(deep))
        kept = relevance * x.abs() / (x.abs() + y.abs()).clamp(min=TINY)
        relevance = relevance - kept
    relevance = handed_back(block._project_conv, deep, relevance)
    relevance = handed_back(block._depthwise_conv, expanded, relevance)
    if block.expands:
        relevance = handed_back(block._expand_conv, x, relevance)
    return kept + relevance


def handed_back(layer: nn.Module, x: Tensor, relevance: Tensor) -> Tensor:
    """Relevance of a convolution's outputs as that of its inputs `x`: the rule z+, for inputs of both signs.

    Where nothing raises an output, its relevance goes to all inputs of the picture in their proportion.
    """
    up, down = x.detach().clamp(min=0).requires_grad_(True), x.detach().clamp(max=0).requires_grad_(True)
    raised = _with_weights(layer, up, lambda w: w.clamp(min=0)) + _with_weights(layer, down, lambda w: w.clamp(max=0))
    slopes = torch.autograd.grad(raised, (up, down), relevance / raised.detach().clamp(min=TINY))
    shared: Tensor = (up * slopes[0] + down * slopes[1]).detach()
    wanted, got = (each.flatten(1).sum(1).reshape(-1, 1, 1, 1) for each in (relevance, shared))
    return shared * (wanted / got.clamp(min=TINY))


def _with_weights(layer: nn.Module, x: Tensor, part: Callable[[Tensor], Tensor]) -> Tensor:
    """The layer's output with a part of its weights and without bias."""
    weights: dict[str, Tensor] = {"weight": part(layer.weight.detach())}  # type: ignore[operator]
    if layer.bias is not None:
        weights["bias"] = torch.zeros_like(layer.bias)  # type: ignore[arg-type]
    result: Tensor = torch.func.functional_call(layer, weights, (x,))
    return result
