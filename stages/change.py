"""Pixels that changed against the frames before and after, once the camera's own motion is undone."""

from collections.abc import Sequence

import cv2
import numpy as np

from pipeline.arrays import Array
from stages.camera import CameraMotion

LEAST_RUN = 6
"""Pictures that are needed to tell the scene from what moves."""


class Change:
    """Three-frame difference over a run of grey pictures uint8 "H W", with the camera motion between each two.

    A pixel counts as changed by the *smaller* of its differences to two neighbouring frames, so the place an object
    left does not count. At the end of the run, and beside a scene cut (motion None), the still
    scene or the frame before the last stands in for the next.
    """

    def __init__(
        self, grey: Sequence[Array], motions: Sequence[CameraMotion | None], times_ns: Array, slip_px: float
    ) -> None:
        self._grey = [cv2.GaussianBlur(picture, (3, 3), 0) for picture in grey]
        self._slip_px = slip_px
        seconds = np.diff(times_ns) / 1e9
        shape = self._grey[0].shape
        self._maps = [
            None if motion is None else pixel_matrix(motion, float(s), shape)
            for motion, s in zip(motions, seconds, strict=True)
        ]
        self._scenes = still_scenes(self._grey, motions)

    def against_scene(self, index: int) -> Array | None:
        """uint8 "H W": grey levels by which picture `index` stands out from the still scene.

        What lingered so long that it became part of the scene leaves a hole when it goes; there the scene has the
        sharper edges, and nothing stands out. None where the scene is not known: under a moving camera, or too near
        a scene cut.
        """
        scene = self._scenes[index]
        if scene is None:
            return None
        here = self._grey[index]
        sharper = cv2.compare(sharpness(here), sharpness(scene), cv2.CMP_GE)
        standing_out: Array = cv2.bitwise_and(cv2.absdiff(here, scene), sharper)
        return standing_out

    def at(self, index: int) -> Array:
        """float32 "H W": grey levels by which picture `index` differs, beyond what misalignment explains; index > 0.

        A misalignment of `slip_px` changes a pixel by its gradient times that.
        """
        here = self._grey[index]
        before = self._maps[index - 1]
        after = self._maps[index] if index < len(self._maps) else None
        earlier = self._maps[index - 2] if index > 1 else None
        if before is None:
            raise ValueError(f"picture {index} follows a scene cut and has nothing to differ from")
        change = self._difference(here, self._grey[index - 1], before, cv2.INTER_LINEAR)
        if after is not None:
            inverse = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
            change = np.minimum(change, self._difference(here, self._grey[index + 1], after, inverse))
        elif (standing_out := self.against_scene(index)) is not None:
            change = np.minimum(change, standing_out)
        elif earlier is not None:
            both = before @ np.vstack([earlier, [0, 0, 1]])
            change = np.minimum(change, self._difference(here, self._grey[index - 2], both, cv2.INTER_LINEAR))
        beyond: Array = change - self._slip_px * gradient(here)
        return beyond

    def _difference(self, here: Array, other: Array, matrix: Array, flags: int) -> Array:
        """float32 "H W": absolute difference; 0 where the other picture does not reach."""
        placed = cv2.warpAffine(other, matrix, here.shape[::-1], here.copy(), flags, cv2.BORDER_TRANSPARENT)
        difference = cv2.subtract(here, placed, dtype=cv2.CV_32F)
        exposure = float(np.median(difference[::8, ::8]))
        absolute: Array = cv2.absdiff(difference, exposure)
        return absolute


def pixel_matrix(motion: CameraMotion, seconds: float, shape: tuple[int, ...]) -> Array:
    """Affine map "2 3" in pixels: where a point of the still scene is after `seconds`."""
    height, width = shape
    shift = motion.matrix * seconds * min(height, width)
    to_unit = np.array([[2 / max(1, width - 1), 0, -1], [0, 2 / max(1, height - 1), -1], [0, 0, 1]])
    matrix: Array = np.eye(3)[:2] + shift @ to_unit
    return matrix


def still_scenes(grey: Sequence[Array], motions: Sequence[CameraMotion | None]) -> list[Array | None]:
    """For every picture the scene without what moves through it, or None: see `Change.against_scene`."""
    scenes: list[Array | None] = []
    while len(scenes) < len(grey):
        start = stop = len(scenes)
        while stop < len(motions) and motions[stop] is not None:
            stop += 1
        run = [m for m in motions[start:stop] if m is not None]
        at_rest = len(run) + 1 >= LEAST_RUN and not any(m.speed for m in run)
        scene = ninther([grey[i] for i in np.linspace(start, stop, 9).round().astype(int)]) if at_rest else None
        scenes += [scene] * (stop + 1 - start)
    return scenes


def sharpness(picture: Array) -> Array:
    """float32 "H W": gradient, averaged over its surroundings."""
    averaged: Array = cv2.boxFilter(gradient(picture), -1, (7, 7))
    return averaged


def gradient(picture: Array) -> Array:
    """float32 "H W": grey levels per pixel."""
    across, down = (cv2.Sobel(picture, cv2.CV_32F, dx, dy, scale=1 / 8) for dx, dy in ((1, 0), (0, 1)))
    steepness: Array = cv2.magnitude(across, down)
    return steepness


def ninther(nine: Sequence[Array]) -> Array:
    """Median of three medians of three interleaved pictures each: nearly the median of nine, at a tenth of the cost."""
    return median_of_3(*(median_of_3(*nine[i::3]) for i in range(3)))


def median_of_3(a: Array, b: Array, c: Array) -> Array:
    median: Array = cv2.max(cv2.min(a, b), cv2.min(cv2.max(a, b), c))
    return median
