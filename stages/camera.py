"""Motion of the camera, as the affine flow that most of the picture follows."""

from dataclasses import dataclass

import numpy as np

from pipeline.arrays import Array

GRID = 4
"""Flow is smooth: every fourth pixel in each direction decides as well as all."""
ROUNDS = 12


@dataclass(frozen=True)
class CameraMotion:
    """Affine flow field `A [x, y, 1]`, with x and y in [-1, 1] across the picture."""

    matrix: Array
    """float64 "2 3" in short sides per second."""
    noise: float
    """Robust standard deviation of the flow around it, in short sides per second."""

    def field(self, height: int, width: int) -> Array:
        """float32 "h w 2": the flow that a still scene would show."""
        return (positions(height, width) @ self.matrix.T).astype(np.float32)


def fit_camera(flow: Array) -> CameraMotion:
    """Fit camera motion to flow "h w 2" by iteratively reweighted least squares with Tukey's weights.

    The majority of the picture counts as still scene; an object that fills more than half of it is taken for the
    camera (and the scene behind it for the object). The start is the median, the scale falls with the residuals.
    """
    height, width = flow.shape[:2]
    points = positions(height, width)[::GRID, ::GRID].reshape(-1, 3)
    values = flow[::GRID, ::GRID].reshape(-1, 2).astype(np.float64)
    matrix = np.zeros((2, 3))
    matrix[:, 2] = np.median(values, axis=0)
    scale = 0.0
    for _ in range(ROUNDS):
        distance = np.linalg.norm(values - points @ matrix.T, axis=1)
        scale = 1.4826 * float(np.median(distance)) + 1e-6
        weight = np.clip(1 - (distance / (4 * scale)) ** 2, 0, None) ** 2
        weighted = points * weight[:, None]
        normal = weighted.T @ points + 1e-9 * np.eye(3)
        update = np.linalg.solve(normal, weighted.T @ values).T
        if np.abs(update - matrix).max() < 1e-5:
            break
        matrix = update
    return CameraMotion(matrix, scale)


def positions(height: int, width: int) -> Array:
    """float64 "h w 3": x, y in [-1, 1] across the picture, and 1."""
    x, y = np.meshgrid(np.linspace(-1, 1, width), np.linspace(-1, 1, height))
    return np.stack([x, y, np.ones_like(x)], axis=-1)
