"""A video as a hand-held camera would show it: a window that pans back and forth over the pictures, and its truth."""

from pathlib import Path

import av
import numpy as np

from pipeline.arrays import Array
from pipeline.media import open_media

WINDOW = (480, 360)
ACROSS_PX, DOWN_PX = 75, 30
SHAKE_PX = 2.0
"""Deviation of a random step from picture to picture."""
LEAST_VISIBLE = 0.3


def pan(video: Path, truth: Path, folder: Path, period_s: float, rate_hz: float) -> tuple[Path, Path]:
    """The video and its truth in MOT format, with pans that take `period_s` there and back.

    Objects of which less than `LEAST_VISIBLE` is in the window are no part of the truth.
    """
    made, told = folder / "panned.mp4", folder / "panned.txt"
    with open_media(str(video), (10.0, 10.0)) as source:
        pictures = [frame.to_ndarray(format="rgb24") for frame in source.decode(video=0)]
    corners = _corners(len(pictures), pictures[0].shape, period_s, rate_hz)
    width, height = WINDOW
    with av.open(str(made), "w") as out:
        stream = out.add_stream("libx264", rate=round(rate_hz), options={"crf": "16"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for picture, (x, y) in zip(pictures, corners.tolist(), strict=True):
            window = np.ascontiguousarray(picture[y : y + height, x : x + width])
            out.mux(stream.encode(av.VideoFrame.from_ndarray(window, format="rgb24")))
        out.mux(stream.encode())
    rows = np.loadtxt(truth, delimiter=",", ndmin=2)
    upper = rows[:, 2:4] - corners[rows[:, 0].astype(int) - 1]
    lower = upper + rows[:, 4:6]
    inside = np.clip(upper, 0, WINDOW), np.clip(lower, 0, WINDOW)
    sizes = inside[1] - inside[0]
    rows[:, 2:4], visible = inside[0], sizes.prod(axis=1) >= LEAST_VISIBLE * rows[:, 4:6].prod(axis=1)
    rows[:, 4:6] = sizes
    np.savetxt(told, rows[visible], "%g", ",")
    return made, told


def _corners(count: int, shape: tuple[int, ...], period_s: float, rate_hz: float) -> Array:
    """int64 "N 2": the upper left corner of the window in each picture."""
    time_s = np.arange(count) / rate_hz
    walk = np.random.default_rng(0).normal(0, SHAKE_PX, (count, 2)).cumsum(axis=0)
    box = np.ones(round(rate_hz)) / round(rate_hz)
    walk -= np.stack([np.convolve(axis, box, "same") for axis in walk.T], axis=1)
    pans = np.stack(
        [
            ACROSS_PX * np.sin(2 * np.pi * time_s / period_s),
            DOWN_PX * np.sin(2 * np.pi * time_s / (0.7 * period_s)),
        ],
        axis=1,
    )
    room = np.array([shape[1], shape[0]]) - WINDOW
    corners: Array = np.clip(room / 2 + pans + walk, 0, room).round().astype(int)
    return corners
