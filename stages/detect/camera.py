"""Camera motion: the affine flow that most of the picture follows."""

from dataclasses import dataclass
from functools import lru_cache
from itertools import takewhile

import numpy as np

from pipeline.arrays import Array

GRID = 4
"""Flow is smooth, so every fourth pixel in each direction is enough."""
ROUNDS = 8
AT_REST = 0.015
"""Speed below which a camera is at rest, in short sides per second; less than a pixel from frame to frame."""
STILL = 0.02
"""Distance within which a camera motion explains the flow of a pixel, in short sides per second."""


@dataclass(frozen=True)
class CameraMotion:
    """Affine flow field `matrix @ [x, y, 1]`, with x and y in [-1, 1] across the picture."""

    matrix: Array
    """float64 "2 3" in short sides per second."""
    noise: float
    """Robust standard deviation of the flow around it, in short sides per second."""

    @property
    def speed(self) -> float:
        """Root mean square over the picture, in short sides per second; 0 for a camera at rest."""
        tilt, shift = self.matrix[:, :2], self.matrix[:, 2]
        return float(np.sqrt((shift**2).sum() + (tilt**2).sum() / 3))

    def field(self, height: int, width: int) -> Array:
        """float32 "h w 2": the flow of a still scene under this motion."""
        x, y, shift = self.matrix.astype(np.float32).T
        along = np.linspace(-1, 1, width, dtype=np.float32)[:, None] * x + shift
        field: Array = along + np.linspace(-1, 1, height, dtype=np.float32)[:, None, None] * y
        return field


def camera_motions(flow: Array) -> list[CameraMotion | None]:
    """Camera motion of every pair of flow "P h w 2"; None for a scene cut (all zeros).

    A camera that hardly moves between two cuts counts as at rest, with `matrix` all zeros: the small motion that was
    fitted then comes from the objects.
    """
    fitted = [fit_camera(pair) if pair.any() else None for pair in flow]
    motions: list[CameraMotion | None] = []
    while len(motions) < len(fitted):
        if fitted[len(motions)] is None:
            motions.append(None)
            continue
        run = list(takewhile(lambda motion: motion is not None, fitted[len(motions) :]))
        known = [motion for motion in run if motion is not None]
        if np.median([motion.speed for motion in known]) < AT_REST:
            known = [CameraMotion(np.zeros((2, 3)), motion.noise) for motion in known]
        motions += known
    return motions


def fit_camera(flow: Array) -> CameraMotion:
    """Fit camera motion to flow "h w 2" by iteratively reweighted least squares with Tukey's weights.

    The first fit starts at a camera at rest, with a residual scale of at most `STILL`. If it explains less than 60 % of
    the pixels, a second fit starts at the median flow without that limit, and the one that explains more pixels wins.
    So a still scene is found even behind an object that fills most of the picture. Otherwise the majority of the pixels
    counts as the scene.
    """
    points = grid_points(*flow.shape[:2])
    values = flow[::GRID, ::GRID].reshape(-1, 2).astype(np.float64)
    matrix, distance = fit(points, values, np.zeros(2), STILL)
    explained = int((distance < STILL).sum())
    if explained < 0.6 * len(values):
        other, its_distance = fit(points, values, np.median(values, axis=0), np.inf)
        if (its_distance < STILL).sum() > explained:
            matrix, distance = other, its_distance
    scene = distance[distance < max(2 * STILL, 2 * float(np.median(distance)))]
    return CameraMotion(matrix, 1.4826 * float(np.median(scene)) if len(scene) else 0.0)


def fit(points: Array, values: Array, start: Array, most_scale: float) -> tuple[Array, Array]:
    """The matrix "2 3" that maps points "N 3" to most of the values "N 2", and the distance of each value, "N".

    The fit starts at the constant `start` "2". `most_scale` limits the residual scale of its weights.
    """
    matrix: Array = np.zeros((2, 3))
    matrix[:, 2] = start
    for _ in range(ROUNDS):
        distance = distances(points, values, matrix)
        scale = min(1.4826 * float(np.median(distance)) + 1e-6, most_scale)
        weight = np.clip(1 - (distance / (4 * scale)) ** 2, 0, None) ** 2
        weighted = points * weight[:, None]
        update = np.linalg.solve(weighted.T @ points + 1e-9 * np.eye(3), weighted.T @ values).T
        change = np.abs(update - matrix).max()
        matrix = update
        if change < 1e-3:
            break
    return matrix, distances(points, values, matrix)


def distances(points: Array, values: Array, matrix: Array) -> Array:
    """Distance of each value from its point mapped by the matrix: "N"."""
    rest = values - points @ matrix.T
    distance: Array = np.sqrt(rest[:, 0] ** 2 + rest[:, 1] ** 2)
    return distance


@lru_cache(maxsize=4)
def grid_points(height: int, width: int) -> Array:
    """float64 "N 3": x, y in [-1, 1] across the picture, and 1, at every fourth pixel."""
    x, y = np.meshgrid(np.linspace(-1, 1, width)[::GRID], np.linspace(-1, 1, height)[::GRID])
    return np.stack([x, y, np.ones_like(x)], axis=-1).reshape(-1, 3)
