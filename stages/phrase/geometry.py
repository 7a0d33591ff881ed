"""How far a relation holds between boxes, in [0, 1]: one half where it just does.

All functions take boxes "N 4" of subjects and "M 4" of other things, x0 y0 x1 y1 in pixels, and give "N M". Pictures
have no depth, so what is behind or in front is a guess: things on the same ground are nearer if they end lower.
"""

from collections.abc import Callable

import numpy as np

from pipeline.arrays import Array
from stages.boxes import areas, shared_area

INTO = 0.25
"""How far the middle of a thing may be over the nearer side of the other one, as a share of its width or height."""
BESIDE = 0.75
"""Largest distance between two things that are beside each other, as a share of the larger one's longer side."""
SOFT = 0.08
"""Length, as a share of both things' mean size, over which a relation goes from one half to three quarters or so."""
TOUCHING = 0.08
"""Largest distance of two things that touch, as a share of the smaller one's longer side."""
GROUND = 0.05
"""By how much, as a share of both heights, a thing must end lower to be in front."""
LEAST_INSIDE = 0.7
"""Share of a thing that must lie in what it is inside of."""

Holds = Callable[[Array, Array], Array]


def _soft(room: Array, scale: Array) -> Array:
    """1 / (1 + exp(-room / scale)), "N M": how clearly a length in pixels is above 0."""
    held: Array = 1 / (1 + np.exp(-np.clip(room / np.maximum(SOFT * scale, 1e-6), -30, 30)))
    return held


def _sides(a: Array, b: Array) -> tuple[Array, ...]:
    """Middles x, y and sizes w, h of both: "N 1" and "1 M"."""
    x, y, w, h = (a[:, :2] + a[:, 2:]).T[0] / 2, (a[:, :2] + a[:, 2:]).T[1] / 2, a[:, 2] - a[:, 0], a[:, 3] - a[:, 1]
    u, v, p, q = (b[:, :2] + b[:, 2:]).T[0] / 2, (b[:, :2] + b[:, 2:]).T[1] / 2, b[:, 2] - b[:, 0], b[:, 3] - b[:, 1]
    return (*(each[:, None] for each in (x, y, w, h)), *(each[None] for each in (u, v, p, q)))


def left(a: Array, b: Array) -> Array:
    x, _, w, _, u, _, p, _ = _sides(a, b)
    return _soft(u - p / 2 + INTO * p - x, (w + p) / 2)


def right(a: Array, b: Array) -> Array:
    x, _, w, _, u, _, p, _ = _sides(a, b)
    return _soft(x - (u + p / 2 - INTO * p), (w + p) / 2)


def above(a: Array, b: Array) -> Array:
    _, y, _, h, _, v, _, q = _sides(a, b)
    return np.minimum(_soft(v - q / 2 + INTO * q - y, (h + q) / 2), _in_column(a, b))


def below(a: Array, b: Array) -> Array:
    _, y, _, h, _, v, _, q = _sides(a, b)
    return np.minimum(_soft(y - (v + q / 2 - INTO * q), (h + q) / 2), _in_column(a, b))


def _in_column(a: Array, b: Array) -> Array:
    """Whether columns are shared."""
    _, _, w, _, _, _, p, _ = _sides(a, b)
    return _soft(_shared_length(a, b, 0), np.minimum(w, p))


def _shared_length(a: Array, b: Array, axis: int) -> Array:
    """Pixels that both share along an axis; below 0 their distance."""
    shared: Array = np.minimum(a[:, None, axis + 2], b[None, :, axis + 2]) - np.maximum(
        a[:, None, axis], b[None, :, axis]
    )
    return shared


def _apart(a: Array, b: Array) -> Array:
    """Pixels between the nearer sides; 0 for boxes that meet."""
    return np.maximum(0, np.maximum(-_shared_length(a, b, 0), -_shared_length(a, b, 1)))


def beside(a: Array, b: Array) -> Array:
    _, _, w, h, _, _, p, q = _sides(a, b)
    longest = np.maximum(np.maximum(w, h), np.maximum(p, q))
    return _soft(BESIDE * longest - _apart(a, b), longest)


def far(a: Array, b: Array) -> Array:
    return 1 - beside(a, b)


def touching(a: Array, b: Array) -> Array:
    _, _, w, h, _, _, p, q = _sides(a, b)
    least = np.minimum(np.maximum(w, h), np.maximum(p, q))
    return _soft(TOUCHING * least - _apart(a, b), least)


def on(a: Array, b: Array) -> Array:
    """It stands there: over the other one's columns, its lower edge not above, its middle not below the other's."""
    _, y, w, h, _, v, p, q = _sides(a, b)
    over = _soft(_shared_length(a, b, 0) - 0.4 * np.minimum(w, p), np.minimum(w, p))
    reaches = _soft(y + h / 2 - (v - q / 2) + TOUCHING * np.minimum(h, q), np.minimum(h, q))
    higher = _soft(v + INTO * q - y, (h + q) / 2)
    return np.minimum(np.minimum(over, reaches), higher)


def riding(a: Array, b: Array) -> Array:
    """On it, with the lower edge in it and the upper one over it."""
    _, y, _, h, _, v, _, q = _sides(a, b)
    above_it = _soft(v - q / 2 - (y - h / 2) + TOUCHING * q, (h + q) / 2)
    return np.minimum(on(a, b), np.minimum(above_it, _soft(v - y + INTO * q / 2, (h + q) / 2)))


def inside(a: Array, b: Array) -> Array:
    share = shared_area(a, b) / np.maximum(areas(a)[:, None], 1e-9)
    smaller = areas(a)[:, None] < areas(b)[None]
    return _soft(share - LEAST_INSIDE, np.ones_like(share)) * np.where(smaller, 1.0, 0.3)


def holding(a: Array, b: Array) -> Array:
    """The other one meets it, its middle within reach, and is no larger."""
    x, y, w, h, u, v, p, q = _sides(a, b)
    reach = _soft(np.minimum(0.75 * w - abs(u - x), 0.6 * h - abs(v - y)), (w + h) / 2)
    smaller = _soft(np.sqrt(w * h) - np.sqrt(p * q), np.sqrt(w * h))
    return np.minimum(np.minimum(touching(a, b), reach), smaller)


def behind(a: Array, b: Array) -> Array:
    return front(b, a).T


def front(a: Array, b: Array) -> Array:
    """It ends lower, and they share columns, or nearly so."""
    _, y, w, h, _, v, p, q = _sides(a, b)
    lower = _soft(y + h / 2 - (v + q / 2) - GROUND * np.minimum(h, q), np.minimum(h, q))
    near = _soft(_shared_length(a, b, 0) + INTO * (w + p) / 2, (w + p) / 2)
    return np.minimum(lower, near)


def nearest(a: Array, b: Array) -> Array:
    """How near it is, in sizes of both; ranks decide among candidates."""
    x, y, w, h, u, v, p, q = _sides(a, b)
    size = (np.sqrt(w * h) + np.sqrt(p * q)) / 2
    near: Array = 1 / (1 + (np.hypot(x - u, y - v) / np.maximum(size, 1e-6)) ** 2)
    return near


def between(a: Array, b: Array, c: Array) -> Array:
    """Between each of `b` and each of `c` "K 4": "N M K". Its middle lies on the way from one to the other."""
    x, y = (((a[:, axis] + a[:, axis + 2]) / 2)[:, None, None] for axis in (0, 1))
    (u, v), (p, q) = (((t[:, 0] + t[:, 2]) / 2, (t[:, 1] + t[:, 3]) / 2) for t in (b, c))
    along_x, along_y = p[None] - u[:, None], q[None] - v[:, None]
    length = np.maximum(np.hypot(along_x, along_y), 1e-6)[None]
    away_x, away_y = x - u[None, :, None], y - v[None, :, None]
    part = (away_x * along_x[None] + away_y * along_y[None]) / length**2
    aside = abs(away_x * along_y[None] - away_y * along_x[None]) / length
    within = _soft(np.minimum(part, 1 - part) - 0.1, np.ones_like(part))
    return np.minimum(within, _soft(0.5 - aside / length, np.ones_like(part)))


HOLDS: dict[str, Holds] = {
    **{each.__name__: each for each in (left, right, above, below, beside, far, touching, on, riding, inside, holding)},
    **{each.__name__: each for each in (behind, front, nearest)},
    "with": touching,
    "worn": touching,
}
"""By the values of `stages.phrase.lexicon`; "between" takes three."""
