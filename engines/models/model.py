"""A model's specification as plain data: towers, preprocessing, prompts, temperatures, text spaces.

A model directory contains `model.toml` (this structure) and the towers' files. Reading it loads no network.
"""

from typing import Literal

import msgspec


class MelSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Front end of an audio tower: log-mel patches "K B M"."""

    sample_rate_hz: int = 16_000
    n_fft: int = 512
    window_samples: int = 400
    hop_samples: int = 160
    mel_bands: int = 64
    f_min_hz: float = 125.0
    f_max_hz: float = 7_500.0
    log_offset: float = 0.001
    patch_bins: int = 96
    """Time bins of one patch."""
    patch_hop_bins: int = 48
    context_s: float = 0.0
    """Length of sound that the tower reads, counted back from the clip's end; 0 means the clip alone."""
    style: Literal["magnitude", "power", "clap", "clap_fused", "kaldi"] = "magnitude"
    """clap: decibels of ten seconds; clap_fused: all of the sound shrunk in time, then its front, middle and back;
    kaldi: front, middle and back from `torchaudio.compliance.kaldi.fbank`, for log_mel_chunks."""

    @property
    def patch_samples(self) -> int:
        """Number of samples that one patch covers."""
        return self.window_samples + self.hop_samples * (self.patch_bins - 1)

    def patches(self, samples: int) -> int:
        """Number of patches for that many samples, at least one: at most half a hop is added or lost at the end."""
        return 1 + max(0, round((samples - self.patch_samples) / (self.hop_samples * self.patch_hop_bins)))


class TowerSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One encoder: its input, the preprocessing, and how its embedding is compared with words."""

    network: str
    """Key of the loader in `engines.models.network.NETWORKS`, such as "clip_vision" or "clap_audio". With
    "@HEIGHTxWIDTH", as in "clip_vision@112x1036", a vision transformer reads pictures of a different size than it was
    trained on."""
    directory: str = "."
    """Directory of its files, relative to the model directory (made absolute when read)."""
    space: str
    """Id of the text space of its embedding; a key of `ModelSpec.texts`."""
    input: Literal["frames", "flow_picture", "flow_clip", "log_mel", "log_mel_picture", "log_mel_chunks"] = "frames"
    """flow_clip: all chosen flow pictures of a clip together, "1 T 3 S S", for networks that model time.
    log_mel_chunks: front, middle and back of the sound as the three channels of one picture "1 3 M B" (bands, bins)."""
    size_px: int = 224
    resized_px: int = 0
    """Size the picture is resized to before its centre of `size_px` is cropped; 0 for `size_px`. For crop, stretch."""
    fit: Literal["crop", "pad", "stretch", "tiles"] = "crop"
    resample: Literal["bicubic", "bilinear"] = "bicubic"
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Mean of pixels in [0, 1]: the network's input is (pixel - mean) / std."""
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)
    pictures_per_clip: int = 8
    """At most; fewer in a short clip, if `pictures_per_s` says so."""
    pictures_per_s: float = 0.0
    """So many are enough, as frames differ little; 0 for `pictures_per_clip` in clips of any length."""
    surroundings: Literal["shown", "blurred"] = "shown"
    """What is around a box that is read alone: a margin as it is, or blurred. Which of them names things better depends
    on the tower; `benchmarks.crops` measures it."""
    flow_bound: float = 2.0
    """Flow pictures: +-bound short sides per second map to 0..255."""
    mel: MelSpec | None = None
    prompts: tuple[str, ...] = ("{}",)
    prompt_weights: tuple[float, ...] = ()
    """Weight of each prompt, as found by `percept labels weigh`; empty for equal weights."""
    center: str = ""
    """Tensor in the tower's directory that is subtracted from label vectors before they are normalised again:
    "<file>:<tensor>", or "" for none."""
    temperature: float = 0.01
    bias: float = 0.0
    """Logit of a label is cosine / temperature; bias shifts it against the background vocabulary."""
    vocabulary: str = ""
    """File in the tower's directory with the words that it was made to know, one per line, other phrasings after "|";
    "" for a tower that was trained with free text. `percept labels lint` warns of words far from all of them."""
    speaks_of: tuple[float, float] | None = None
    """Text cosine of a label with the nearest word of `vocabulary`, relative to the background's mean, up to which the
    tower says nothing about the label, and from which it is believed; None if it is believed of all labels."""
    silent_on: tuple[str, ...] = ()
    """Words that read like some of `vocabulary` and mean something else, such as "shaking hands" where a shaking camera
    is known: the tower says nothing about labels that are nearer to them than to its own words."""
    learnt: str = ""
    """File with moves of words that were learnt from pictures of them, or sounds: see `stages.words.adapted`."""
    kinds_share: float = 0.0
    """Share that the words known as kinds of a label (`stages/words/kinds.py`), if three or more, have in its vector:
    "animal" lies nearer to "dog" and "bird". Which share helps depends on the tower: `benchmarks.kinds` measures it."""
    knows_stillness: bool = False
    """For motion towers: whether it was trained on still scenes and moving cameras. Others, such as picture towers fed
    with flow, are trusted only if something moves relative to the background."""


class TextSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One text tower; the id of its space is its key in `ModelSpec.texts`."""

    network: str
    """Key of the loader, such as "mini_text", "clip_text" or "clap_text"."""
    directory: str = "."
    dim: int
    max_tokens: int = 64
    pad_to_max: bool = False


class FusionSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A head with cross-attention between the picture and motion or sound, both ways: MOV, Qian et al. 2022."""

    network: str = "mov_fusion"
    directory: str = "."
    base: str = "base-labels.txt"
    """File with the words it was trained on, one per line; all other words are novel."""
    base_share: float = 0.65
    """Weight of the head, against the frozen encoder, in the score of a base label (F-VLM's geometric mean)."""
    novel_share: float = 0.35
    modalities: tuple[str, ...] = ("image", "motion", "audio")
    """The head's modalities whose tower is still the one it was trained with."""


class ModelSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    name: str
    version: int = 1
    directory: str = ""
    """Absolute path of the model directory; filled in when read."""
    texts: dict[str, TextSpec]
    image: TowerSpec | None = None
    motion: TowerSpec | None = None
    audio: TowerSpec | None = None
    fusion: FusionSpec | None = None
    adapted: str = ""
    """File with label vectors learnt from examples (`percept adapt`), relative to the model's directory."""
    open_set: str = ""
    """File with the fitted open-set score (`percept calibrate`), relative to the model's directory."""
    made_from: str = ""
    """The model that this one was derived from, for information only."""
    background: str = "background.txt"
    """File with the fixed background vocabulary, one word or phrase per line; "" uses the bundled model's."""

    @property
    def id(self) -> str:
        return f"{self.name}@{self.version}"

    def towers(self) -> dict[str, TowerSpec]:
        named = {"image": self.image, "motion": self.motion, "audio": self.audio}
        return {name: tower for name, tower in named.items() if tower is not None}
