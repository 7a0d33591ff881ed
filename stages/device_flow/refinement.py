"""Variational refinement of optical flow, for many pairs of pictures at once.

Brox et al. 2004, "High accuracy optical flow estimation based on a theory for warping", with the normalised data terms
that Kroeger et al. 2016 use: grey levels and their slopes stay the same, and flow is smooth but for some edges. The
linear system of each round is solved by red-black successive over-relaxation, both components of a pixel together.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from stages.device_flow.grey import slopes, warped

SMOOTHNESS, GREY, SLOPES = 17.0, 5.0, 10.0
"""Weights of the terms. OpenCV's smoothness is 20; with two refinements at the finest scale, less is better."""
ROUNDS, SWEEPS = 4, 5
RELAXATION = 1.9
"""OpenCV's 1.6 smooths over fewer pixels in five sweeps, and errors of patches without structure remain."""
SOFTNESS = 0.001
"""Robust penalty: sqrt(s² + SOFTNESS²)."""
LEAST_SLOPE = 0.1
"""Grey levels per pixel, in the normalisation of the data terms."""


class Terms(NamedTuple):
    """Data terms, linear in a further shift, of the grey level and of its slopes to the right and down: "P 3 H W"."""

    x: Tensor
    """Change per pixel to the right."""
    y: Tensor
    """Change per pixel down."""
    left: Tensor
    """The change that is left."""
    norm: Tensor
    products: Tensor
    """ "P 3 5 H W": xx, xy, yy, x left, y left, each times the norm."""


def refined(before: Tensor, after: Tensor, shifts_px: Tensor) -> Tensor:
    """Shifts "P 2 H W" in pixels between pictures float32 "P H W", improved: the same shape."""
    back = warped(after, shifts_px)
    terms = _terms((before + back) / 2, back - before)
    height, width = before.shape[1:]
    rows, columns = (torch.arange(side, device=before.device) for side in (height, width))
    is_red = (rows[:, None] + columns) % 2 == 0
    relaxed = [RELAXATION * colour.float() for colour in (is_red, ~is_red)]
    found = shifts_px
    for _ in range(ROUNDS):
        right, down = _smoothness(found)
        inverse, known = _system(terms, shifts_px, found - shifts_px, _total(right, down))
        for _ in range(SWEEPS):
            for share in relaxed:
                solved = (inverse * _with_neighbours(known, found, right, down)[:, None]).sum(2)
                found = torch.lerp(found, solved, share)
    return found


def _terms(mean: Tensor, left: Tensor) -> Terms:
    """The terms of pictures "P H W": the mean of both, and what they differ by, after warping."""
    right, down = slopes(mean)
    (right_right, right_down), (_, down_down), (left_right, left_down) = slopes(right), slopes(down), slopes(left)
    x, y = torch.stack([right, right_right, right_down], 1), torch.stack([down, right_down, down_down], 1)
    lefts = torch.stack([left, left_right, left_down], 1)
    norm = 1 / (x * x + y * y + LEAST_SLOPE**2)
    products = torch.stack([x * x, x * y, y * y, x * lefts, y * lefts], 2) * norm[:, :, None]
    return Terms(x, y, lefts, norm, products)


def _smoothness(shifts: Tensor) -> tuple[Tensor, Tensor]:
    """How strongly each pixel is tied to its right and to its lower neighbour: "P 1 H W-1", "P 1 H-1 W"."""
    right = F.pad(shifts[..., 1:] - shifts[..., :-1], (0, 1))
    down = F.pad(shifts[..., 1:, :] - shifts[..., :-1, :], (0, 0, 0, 1))
    tie = SMOOTHNESS / ((right * right + down * down).sum(1, keepdim=True) + SOFTNESS**2).sqrt()
    return tie[..., :-1], tie[..., :-1, :]


def _total(right: Tensor, down: Tensor) -> Tensor:
    """The sum of the ties of each pixel "P H W"."""
    ties = F.pad(right, (1, 0)) + F.pad(right, (0, 1)) + F.pad(down, (0, 0, 1, 0)) + F.pad(down, (0, 0, 0, 1))
    return ties[:, 0]


def _system(terms: Terms, shifts: Tensor, step: Tensor, ties: Tensor) -> tuple[Tensor, Tensor]:
    """Of each pixel's 2 x 2 system the inverse "P 2 2 H W" and the right side "P 2 H W" without its neighbours.

    shifts, step: "P 2 H W", around which the terms are linear, and how far from there the solution is so far.
    """
    left = terms.left + terms.x * step[:, :1] + terms.y * step[:, 1:]
    squares = left * left * terms.norm
    grey = GREY / (squares[:, :1] + SOFTNESS**2).sqrt()
    slope = SLOPES / (squares[:, 1:].sum(1, keepdim=True) + SOFTNESS**2).sqrt()
    weights = torch.cat([grey, slope, slope], 1)
    xx, xy, yy, at_x, at_y = (weights[:, :, None] * terms.products).sum(1).unbind(1)
    known = torch.stack([xx * shifts[:, 0] + xy * shifts[:, 1] - at_x, xy * shifts[:, 0] + yy * shifts[:, 1] - at_y], 1)
    xx, yy = xx + ties, yy + ties
    inverse = torch.stack([yy, -xy, -xy, xx], 1) / (xx * yy - xy * xy)[:, None]
    return inverse.reshape(len(ties), 2, 2, *ties.shape[1:]), known


def _with_neighbours(known: Tensor, shifts: Tensor, right: Tensor, down: Tensor) -> Tensor:
    """The right side of the system with the neighbours' shifts, each by its tie."""
    side = known.clone()
    side[..., 1:].addcmul_(right, shifts[..., :-1])
    side[..., :-1].addcmul_(right, shifts[..., 1:])
    side[..., 1:, :].addcmul_(down, shifts[..., :-1, :])
    side[..., :-1, :].addcmul_(down, shifts[..., 1:, :])
    return side
