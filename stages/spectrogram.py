"""The audio tower's input: log-mel patches of the sound."""

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

import numpy as np

from engines.models.checkpoint import read_model
from engines.models.model import MelSpec, TowerSpec
from pipeline.arrays import Array, Spec
from pipeline.clip import Absent, Clip
from pipeline.stage import Demand, Resources, Stage
from stages.log_mel import LogMel
from stages.loudness import amplified, gain_of_clip

REPEATING = ("clap", "clap_fused", "kaldi")
"""Styles of `MelSpec` that repeat a sound that is too short."""
TOGETHER = ("clap_fused", "kaldi")
"""Styles whose patches are one input for the whole sound."""
BY_NUMPY = ("magnitude", "power")
SHORTEST_S = 0.2
"""A patch with less real sound than this is dropped."""


class Spectrogram(Stage):
    """Log-mel patches of a clip's sound, with the context before it that the model needs.

    All of it gets the gain of `stages.loudness` first, in every style: the published front ends of CLAP, LanguageBind
    and AudioSet models take the logarithm, but do not normalise levels. Patches with hardly any real sound (before the
    stream began, in a gap) are dropped.
    """

    required = ("audio", "audio_mask")

    @property
    def preload(self) -> tuple[str, ...]:
        mel = self._mel
        is_by_torch = mel is not None and mel.style not in BY_NUMPY
        return ("torch", "engines.networks.torchaudio_import:import_torchaudio") if is_by_torch else ()

    @cached_property
    def _tower(self) -> TowerSpec | None:
        return read_model(self.run.model, self.run.audio_model).audio if "audio" in self.run.modalities else None

    @property
    def _mel(self) -> MelSpec | None:
        return (self._tower.mel or MelSpec()) if self._tower else None

    def demand(self) -> Demand:
        mel = self._mel
        return Demand(audio_rate_hz=mel.sample_rate_hz, audio_context_s=mel.context_s) if mel else Demand()

    def gives(self) -> dict[str, Spec]:
        mel = self._mel
        if mel is None:
            return {"log_mel": Spec("float32", "K B M", max_bytes=0)}
        return {
            "log_mel": Spec(
                "float32", "K B M", max_bytes=most_patches(mel, self.budget.audio_samples) * patch_bytes(mel)
            )
        }

    def open(self, resources: Resources) -> None:
        if self._mel:
            self._log_mel = _front_end(self._mel, self.run.threads)

    def process(self, clip: Clip) -> Mapping[str, Any]:
        mel = self._mel
        if mel is None:
            return {"log_mel": Absent("no_tower" if "audio" in self.run.modalities else "not_asked")}
        heard = clip["audio_mask"] != 0
        own = round((clip.info.end_ns - clip.info.start_ns) * mel.sample_rate_hz / 1_000_000_000)
        if not heard[-own:].any():
            return {"log_mel": Absent("gap")}
        # sound that is too short is repeated, without the silence before the stream began
        begin = int(heard.argmax()) if mel.style in REPEATING else 0
        patches = self._log_mel(amplified(clip["audio"][begin:], gain_of_clip(clip)))
        kept = heard_seconds(heard[begin:], mel, len(patches)) >= SHORTEST_S
        if not kept.any():
            return {"log_mel": Absent("too_short")}
        return {"log_mel": np.ascontiguousarray(patches[kept])}


def _front_end(mel: MelSpec, threads: int) -> Callable[[Array], Array]:
    """Samples float32 "S" -> patches float32 "K B M"."""
    if mel.style in BY_NUMPY:
        return LogMel(mel)
    import torch

    from engines.networks.clap_mel import ClapMel
    from engines.networks.kaldi_mel import KaldiMel

    torch.set_num_threads(threads)
    module = KaldiMel(mel) if mel.style == "kaldi" else ClapMel(mel)

    def patches(samples: Array) -> Array:
        with torch.inference_mode():
            made: Array = module(torch.from_numpy(samples)).numpy()
        return made

    return patches


def most_patches(mel: MelSpec, samples: int) -> int:
    """An upper bound on the patches that this many samples yield."""
    if mel.style in TOGETHER:
        return 3 if mel.style == "kaldi" else 1
    return 2 + samples // (mel.hop_samples * mel.patch_hop_bins)


def patch_bytes(mel: MelSpec) -> int:
    return 4 * mel.patch_bins * mel.mel_bands * (4 if mel.style == "clap_fused" else 1)


def heard_seconds(heard: Array, mel: MelSpec, patches: int) -> Array:
    """Seconds of real sound in each patch, from the mask bool "S": float64 "K"."""
    if mel.style in TOGETHER:
        return np.full(patches, heard.sum() / mel.sample_rate_hz)
    hop = mel.hop_samples * mel.patch_hop_bins
    length = mel.patch_samples
    total = np.concatenate([[0], np.cumsum(heard)])
    begins = np.minimum(np.arange(patches) * hop, len(heard))
    if mel.style == "clap":  # evenly spaced, so that the last one ends with the sound
        begins = np.linspace(0, max(0, len(heard) - hop), patches).astype(np.int64)
    ends = np.minimum(begins + length, len(heard))
    seconds: Array = (total[ends] - total[begins]) / mel.sample_rate_hz
    return seconds
