"""The kinds of tower input: the array that each is made from, and how, on the host and on the engine's device."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from engines.devices.device import Uploader
from engines.models.model import TowerSpec
from pipeline.arrays import Array
from pipeline.clip import Clip
from stages import device_pictures, pictures
from stages.pictures import evenly, without_repeats

if TYPE_CHECKING:
    from torch import Tensor


SLACK = 0.1
"""A clip that is longer by less than a frame gets no picture for it."""


@dataclass(frozen=True)
class InputKind:
    """One kind of tower input.

    stream: the array it is made from. per: the unit that one input covers. picks: whether `pictures_per_clip` rows of
    the stream are picked first. about: a description in words.
    """

    stream: str
    about: str
    per: Literal["picture", "patch", "clip"]
    picks: bool
    on_host: Callable[[Array, TowerSpec], Array]
    on_device: Callable[["Tensor", TowerSpec], "Tensor"]


def _unchanged(log_mel: Array, tower: TowerSpec) -> Array:
    return np.asarray(log_mel)


def _unchanged_on_device(log_mel: "Tensor", tower: TowerSpec) -> "Tensor":
    return log_mel


HOST, DEVICE = pictures, device_pictures
INPUTS = {
    "frames": InputKind("frames", "frames", "picture", True, HOST.frame_pictures, DEVICE.frame_pictures),
    "flow_picture": InputKind(
        "flow", "optical flow as pictures", "picture", True, HOST.flow_pictures, DEVICE.flow_pictures
    ),
    "flow_clip": InputKind("flow", "optical flow of a clip", "clip", True, HOST.flow_clips, DEVICE.flow_clips),
    "log_mel": InputKind("log_mel", "sound", "patch", False, _unchanged, _unchanged_on_device),
    "log_mel_picture": InputKind(
        "log_mel", "sound as a picture", "patch", False, HOST.log_mel_pictures, DEVICE.log_mel_pictures
    ),
    "log_mel_chunks": InputKind(
        "log_mel",
        "sound as a picture: start, middle and end",
        "clip",
        False,
        HOST.log_mel_chunks,
        DEVICE.log_mel_chunks,
    ),
}


def stream_of(tower: TowerSpec) -> str:
    """The array that the tower's input is made from."""
    return INPUTS[tower.input].stream


def tower_rows(tower: TowerSpec, stream: Array, seconds: float = math.inf) -> Array | None:
    """The rows of the stream of a clip of this length that the tower sees; None: all of it."""
    if not INPUTS[tower.input].picks:
        return None
    enough = math.ceil(tower.pictures_per_s * seconds - SLACK) if tower.pictures_per_s else math.inf
    return evenly(max(1, int(min(enough, tower.pictures_per_clip))), len(stream))


def seconds_of(clip: Clip) -> float:
    return (clip.info.end_ns - clip.info.start_ns) / 1e9


def distinct_rows(tower: TowerSpec, clip: Clip) -> tuple[Array | None, Array | None]:
    """The same without pictures that look like another one; and for each picture the number of the row that stands for
    it, None if all look different."""
    stream = clip[stream_of(tower)]
    rows = tower_rows(tower, stream, seconds_of(clip))
    if rows is None or tower.input != "frames" or tower.fit == "tiles":
        return rows, None
    distinct, which = without_repeats([stream[row] for row in rows.tolist()])
    return (rows, None) if len(distinct) == len(rows) else (rows[distinct], which)


def tower_input(tower: TowerSpec, clip: Clip, rows: Array | None = None) -> Array:
    """The tower's input from a clip: pictures float32 "N 3 S S", or log-mel patches "K B M".

    rows: of its stream, if not all that the tower sees.
    """
    stream = clip[stream_of(tower)]
    rows = tower_rows(tower, stream, seconds_of(clip)) if rows is None else rows
    return INPUTS[tower.input].on_host(stream if rows is None else stream[rows], tower)


def tower_tensor(tower: TowerSpec, stream: Array, uploader: Uploader, rows: Array | None = None) -> "Tensor":
    """The same on the uploader's device, from the stream in the slot."""
    rows = tower_rows(tower, stream) if rows is None else rows
    return INPUTS[tower.input].on_device(uploader.upload(stream, rows), tower)
