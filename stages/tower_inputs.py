"""The kinds of tower input: the array that each is made from, and how, on the host and on the engine's device."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from engines.devices.device import Uploader
from engines.models.model import TowerSpec
from pipeline.arrays import Array
from pipeline.clip import Clip
from stages import device_pictures, pictures
from stages.pictures import evenly

if TYPE_CHECKING:
    from torch import Tensor


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


def tower_input(tower: TowerSpec, clip: Clip) -> Array:
    """The tower's input from a clip: pictures float32 "N 3 S S", or log-mel patches "K B M"."""
    kind = INPUTS[tower.input]
    stream = clip[kind.stream]
    return kind.on_host(stream[evenly(tower.pictures_per_clip, len(stream))] if kind.picks else stream, tower)


def tower_tensor(tower: TowerSpec, stream: Array, uploader: Uploader) -> "Tensor":
    """The same on the uploader's device, from the stream in the slot."""
    kind = INPUTS[tower.input]
    rows = evenly(tower.pictures_per_clip, len(stream)) if kind.picks else None
    return kind.on_device(uploader.upload(stream, rows), tower)
