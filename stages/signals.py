"""Signal quality of each stream, measured on the stream itself. `classify` weights the modalities by it."""

import numpy as np

from pipeline.arrays import RECORD, Array, Spec
from pipeline.clip import Clip
from pipeline.stage import Outputs, Stage
from stages.loudness import gain_of_clip, loudness_dbfs

LUMA = np.array([0.299, 0.587, 0.114], np.float32)
PIXEL_STEP = 4
"""Every fourth pixel in each direction is enough."""
FLOW_STEP = 8
"""Flow is smoother than pictures."""


class SignalsStage(Stage):
    """Gives `signals`: contrast, corruption, motion energy, loudness. Without it, no weight depends on the signals."""

    optional = ("frames", "flow", "audio", "audio_start_ns", "audio_mask")

    def gives(self) -> dict[str, Spec]:
        return {"signals": RECORD}

    def process(self, clip: Clip) -> Outputs:
        return {"signals": signals_of(clip)}


def signals_of(clip: Clip) -> dict[str, dict[str, float]]:
    """The measurements of every stream that is present, by modality.

    `loudness_dbfs` is that of the sound as it is, `normalised_dbfs` that of the same stretch as the tower hears it.
    """
    signals: dict[str, dict[str, float]] = {}
    frames, flow, audio = clip.get("frames"), clip.get("flow"), clip.get("audio")
    if frames is not None:
        corrupt_share = min(1.0, clip.info.corrupt_frames / len(frames))
        signals["image"] = {"contrast": contrast(frames), "corrupt_share": corrupt_share}
    if flow is not None:
        signals["motion"] = {"energy": motion_energy(flow)}
    if audio is not None:
        loudness = loudness_dbfs(_own_stretch(clip, audio))
        signals["audio"] = {"loudness_dbfs": loudness, "normalised_dbfs": loudness + gain_of_clip(clip)}
    return signals


def contrast(frames: Array) -> float:
    """Spread of brightness within a frame, 5th to 95th percentile, in [0, 1]; the median over frames "T H W 3".

    0 for black or evenly coloured frames.
    """
    few = frames[:, ::PIXEL_STEP, ::PIXEL_STEP].astype(np.float32)
    luma = (few @ LUMA).reshape(len(frames), -1)
    rank = luma.shape[1] * np.array([0.05, 0.95])
    dark, bright = (int(value) for value in np.minimum(rank, luma.shape[1] - 1))
    luma.partition((dark, bright), axis=1)
    return float(np.median(luma[:, bright] - luma[:, dark]) / 255)


def motion_energy(flow: Array) -> float:
    """Mean speed relative to each pair's median motion (the camera's), in short sides per second, from "P h w 2"."""
    if not flow.size:
        return 0.0
    few = flow[:, ::FLOW_STEP, ::FLOW_STEP].astype(np.float32).reshape(len(flow), -1, 2)
    own = few - np.median(few, axis=1, keepdims=True)
    return float(np.hypot(own[..., 0], own[..., 1]).mean())


def _own_stretch(clip: Clip, audio: Array) -> Array:
    """The samples of [start, end), without the context before it and without gaps."""
    begin_ns = int(clip["audio_start_ns"][0])
    whole_ns = max(1, clip.info.end_ns - begin_ns)
    first = round(len(audio) * max(0, clip.info.start_ns - begin_ns) / whole_ns)
    own, mask = audio[first:], clip.get("audio_mask")
    return own if mask is None else own[mask[first:] != 0]
