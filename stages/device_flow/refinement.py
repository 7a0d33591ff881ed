"""Variational refinement of optical flow, for many pairs of pictures at once.

Brox et al. 2004, "High accuracy optical flow estimation based on a theory for warping", with the normalised data terms
that Kroeger et al. 2016 use: grey levels and their slopes stay the same, and flow is smooth but for some edges. The
linear system of each round is solved by red-black successive over-relaxation, both components of a pixel together.
"""

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

Terms = list[tuple[Tensor, Tensor, Tensor, Tensor]]
"""Linearised data terms: what changes per pixel of shift, right and down, the change that is left, and the norm."""


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
    derivatives = ((right, down, left), (right_right, right_down, left_right), (right_down, down_down, left_down))
    return [(x, y, change, 1 / (x * x + y * y + LEAST_SLOPE**2)) for x, y, change in derivatives]


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
    left = [change + x * step[:, 0] + y * step[:, 1] for x, y, change, _ in terms]
    squares = [each * each * norm for each, (*_, norm) in zip(left, terms, strict=True)]
    grey = GREY / (squares[0] + SOFTNESS**2).sqrt()
    slope = SLOPES / (squares[1] + squares[2] + SOFTNESS**2).sqrt()
    xx = xy = yy = at_x = at_y = torch.zeros_like(ties)
    for (x, y, change, norm), weight in zip(terms, (grey, slope, slope), strict=True):
        by_x, by_y = weight * norm * x, weight * norm * y
        xx, xy, yy = xx + by_x * x, xy + by_x * y, yy + by_y * y
        at_x, at_y = at_x - by_x * change, at_y - by_y * change
    known = torch.stack([at_x + xx * shifts[:, 0] + xy * shifts[:, 1], at_y + xy * shifts[:, 0] + yy * shifts[:, 1]], 1)
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
