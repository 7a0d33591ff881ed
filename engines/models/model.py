"""What a model is, as plain data: which tower is which, preprocessing, prompts, temperatures, text spaces.

A model directory holds `model.toml` (this structure) beside the towers' files. Reading it loads no network.
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
    """Length of sound the tower wants to hear, counted back from the clip's end; 0 means the clip alone."""
    style: Literal["magnitude", "power", "clap", "clap_fused", "kaldi"] = "magnitude"
    """clap: decibels of ten seconds; clap_fused: all of the sound made short, then its front, middle and back;
    kaldi: front, middle and back as `torchaudio.compliance.kaldi.fbank` makes them, for log_mel_chunks."""


class TowerSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One encoder: what it takes, how that is prepared, and how its embedding is read against words."""

    network: str
    """Key of the loader in `engines.models.network.NETWORKS`, such as "clip_vision" or "clap_audio". With
    "@HEIGHTxWIDTH", as "clip_vision@112x1036", a vision transformer reads pictures of another size than it was trained
    on."""
    directory: str = "."
    """Where its files are, relative to the model directory (made absolute when read)."""
    space: str
    """Id of the text space its embedding lives in; a key of `ModelSpec.texts`."""
    input: Literal["frames", "flow_picture", "flow_clip", "log_mel", "log_mel_picture", "log_mel_chunks"] = "frames"
    """flow_clip: all chosen flow pictures of a clip together, "1 T 3 S S", for networks that look along time.
    log_mel_chunks: front, middle and back of the sound as the three channels of one picture "1 3 M B" (bands, bins)."""
    size_px: int = 224
    resized_px: int = 0
    """What the picture is resized to before its middle of `size_px` is cut out; 0 for `size_px`. For crop, stretch."""
    fit: Literal["crop", "pad", "stretch", "tiles"] = "crop"
    resample: Literal["bicubic", "bilinear"] = "bicubic"
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Of pixels in [0, 1]: network input is (pixel - mean) / std."""
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)
    pictures_per_clip: int = 8
    flow_bound: float = 2.0
    """Flow pictures: +-bound short sides per second map to 0..255."""
    mel: MelSpec | None = None
    prompts: tuple[str, ...] = ("{}",)
    prompt_weights: tuple[float, ...] = ()
    """How much each prompt counts, as `percept labels weigh` found; empty: all alike."""
    center: str = ""
    """Tensor of the text tower's file set that is taken off label vectors before they are normalised again:
    "<file>:<tensor>", or "" for none."""
    temperature: float = 0.01
    bias: float = 0.0
    """Logit of a label is cosine / temperature; bias shifts it against the background vocabulary."""
    knows_stillness: bool = False
    """Of motion towers: it was taught what a still scene and a moving camera are. Others, such as picture towers that
    are shown flow, are believed only where something moves against the background."""


class TextSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One text tower; the id of its space is its key in `ModelSpec.texts`."""

    network: str
    """"mini_text", "clip_text", "siglip_text", "clap_text"."""
    directory: str = "."
    dim: int
    max_tokens: int = 64
    pad_to_max: bool = False


class FusionSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A head in which the picture looks at motion and sound, and they at it: MOV, Qian et al. 2022."""

    network: str = "mov_fusion"
    directory: str = "."
    base: str = "base-labels.txt"
    """Words it was trained on, one a line; all others are novel."""
    base_share: float = 0.65
    """Of the head, against the frozen encoder, in the score of a base label (F-VLM's geometric mix)."""
    novel_share: float = 0.35
    modalities: tuple[str, ...] = ("image", "motion", "audio")
    """Of those the head knows, the ones that still have the tower it was trained with."""


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
    """File with label vectors that were learnt from examples (`percept adapt`), relative to the model's directory."""
    open_set: str = ""
    """File with what the open-set score was fitted to (`percept calibrate`), relative to the model's directory."""
    made_from: str = ""
    """The model that this one was derived from, for people."""
    background: str = "background.txt"
    """Fixed background vocabulary, one word or phrase a line; "" takes the bundled model's."""

    @property
    def id(self) -> str:
        return f"{self.name}@{self.version}"

    def towers(self) -> dict[str, TowerSpec]:
        named = {"image": self.image, "motion": self.motion, "audio": self.audio}
        return {name: tower for name, tower in named.items() if tower is not None}
