"""Towers of checkpoints in transformers format, each as a module with one tensor in and one tensor out."""

from pathlib import Path
from typing import Any

from torch import Tensor, nn

from engines.models.checkpoint_files import checkpoint_files
from engines.models.network import Size
from engines.networks.position_embedding import SizedEmbeddings
from engines.networks.torchaudio_import import import_torchaudio
from pipeline.errors import ModelError

COMPUTED = ("position_ids", "relative_position_index", "num_batches_tracked", "logit_bias")
"""Suffixes of tensor names that old checkpoints lack and that are not needed."""


class VisionTower(nn.Module):
    """Pictures "B 3 S S" -> tokens "B D": the model's own image features, not of unit length."""

    def __init__(self, vision: nn.Module, projection: nn.Module) -> None:
        super().__init__()
        self.vision = vision
        self.projection = projection

    def forward(self, pictures: Tensor) -> Tensor:
        projected: Tensor = self.projection(self.vision(pixel_values=pictures).pooler_output)
        return projected


class TextTower(nn.Module):
    """Token ids "B L" -> vectors "B D": the model's own text features, not of unit length.

    No attention mask: CLIP reads the end token, which by causality does not see the padding after it; SigLIP was
    trained on texts padded to 64 tokens without a mask.
    """

    def __init__(self, text: nn.Module, projection: nn.Module) -> None:
        super().__init__()
        self.text = text
        self.projection = projection

    def forward(self, ids: Tensor) -> Tensor:
        projected: Tensor = self.projection(self.text(input_ids=ids).pooler_output)
        return projected


class MaskedTextTower(nn.Module):
    """Token ids and mask "B L" (1 = token, 0 = padding) -> vectors "B D": the model's own text features."""

    def __init__(self, text: nn.Module, projection: nn.Module) -> None:
        super().__init__()
        self.text = text
        self.projection = projection

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        projected: Tensor = self.projection(self.text(input_ids=ids, attention_mask=mask).pooler_output)
        return projected


class FirstTokenTextTower(MaskedTextTower):
    """ALIGN's text features: the state of the first token, without the pooler."""

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        states = self.text(input_ids=ids, attention_mask=mask).last_hidden_state
        projected: Tensor = self.projection(states[:, 0])
        return projected


class AudioTower(nn.Module):
    """Log-mel in dB "B T M" -> tokens "B D": the model's own audio features, not of unit length."""

    def __init__(self, audio: nn.Module, projection: nn.Module) -> None:
        super().__init__()
        self.audio = audio
        self.projection = projection

    def forward(self, log_mel: Tensor) -> Tensor:
        projected: Tensor = self.projection(self.audio(input_features=log_mel.unsqueeze(1)).pooler_output)
        return projected


class FusedAudioTower(nn.Module):
    """Four log-mels in dB, stacked in time, "B 4T M" -> tokens "B D": the model's own audio features.

    The first is the whole sound, shrunk to the length of the others; then front, middle and back. If they are equal,
    the sound is no longer than one of them, and the model uses only the first (`is_longer` in transformers).
    """

    def __init__(self, audio: Any, projection: nn.Module) -> None:
        super().__init__()
        audio.audio_encoder.patch_embed = _FusedPatches(audio.audio_encoder.patch_embed)
        audio.audio_encoder.enable_fusion = False  # `_FusedPatches` detects the longer sounds itself
        self.audio = audio
        self.projection = projection

    def forward(self, log_mel: Tensor) -> Tensor:
        stacked = log_mel.reshape(log_mel.shape[0], 4, -1, log_mel.shape[2])
        projected: Tensor = self.projection(self.audio(input_features=stacked).pooler_output)
        return projected


class _FusedPatches(nn.Module):
    """CLAP's patch embedding with feature fusion, computed for every sound and used for the longer ones.

    Transformers selects the longer sounds by index. The resulting shapes depend on values, which no engine supports.
    """

    def __init__(self, theirs: Any) -> None:
        super().__init__()
        self.theirs = theirs

    def forward(self, pictures: Tensor, is_longer: None = None) -> Tensor:
        """ "B 4 H W" -> "B N D"."""
        import torch

        whole = self.theirs.proj(pictures[:, :1])
        parts = self.theirs.mel_conv2d(pictures[:, 1:].flatten(0, 1).unsqueeze(1))
        joined = parts.reshape(-1, 3, *parts.shape[1:]).permute(0, 2, 3, 1, 4).flatten(3)
        joined = nn.functional.pad(joined, (0, whole.shape[-1] - joined.shape[-1]))
        longer = (pictures[:, 0] != pictures[:, 1]).flatten(1).any(1).reshape(-1, 1, 1, 1)
        fused = torch.where(longer, self.theirs.fusion_model(whole, joined), whole)
        embedded: Tensor = self.theirs.norm(fused.flatten(2).transpose(1, 2))
        return embedded


def _sized(vision: Any, size: Size) -> Any:
    """The vision model adapted to pictures of `size`, if one is given."""
    if size:
        vision.embeddings = SizedEmbeddings(vision.embeddings, size)
    return vision


def load_clip_vision(directory: Path, size: Size = ()) -> VisionTower:
    model = load_checkpoint("CLIPModel", directory)
    return VisionTower(_sized(model.vision_model, size), model.visual_projection)


def load_clip_text(directory: Path) -> TextTower:
    model = load_checkpoint("CLIPModel", directory)
    return TextTower(model.text_model, model.text_projection)


def load_metaclip_2_vision(directory: Path, size: Size = ()) -> VisionTower:
    model = load_checkpoint("MetaClip2Model", directory)
    return VisionTower(_sized(model.vision_model, size), model.visual_projection)


def load_metaclip_2_text(directory: Path) -> TextTower:
    model = load_checkpoint("MetaClip2Model", directory)
    return TextTower(model.text_model, model.text_projection)


def load_siglip_vision(directory: Path, size: Size = ()) -> VisionTower:
    return VisionTower(_sized(load_checkpoint("SiglipModel", directory).vision_model, size), nn.Identity())


def load_siglip_text(directory: Path) -> TextTower:
    return TextTower(load_checkpoint("SiglipModel", directory).text_model, nn.Identity())


def load_align_vision(directory: Path) -> VisionTower:
    vision = load_checkpoint("AlignModel", directory).vision_model
    if vision.config.pooling_type == "mean":  # its pooling window is larger than the picture, which engines refuse
        vision.pooler = nn.AdaptiveAvgPool2d(1)
    return VisionTower(vision, nn.Identity())


def load_align_text(directory: Path) -> FirstTokenTextTower:
    model = load_checkpoint("AlignModel", directory)
    return FirstTokenTextTower(model.text_model, model.text_projection)


def load_clap_audio(directory: Path) -> AudioTower:
    model = load_checkpoint("ClapModel", directory)
    return AudioTower(model.audio_model, model.audio_projection)


def load_clap_fused_audio(directory: Path) -> FusedAudioTower:
    model = load_checkpoint("ClapModel", directory)
    return FusedAudioTower(model.audio_model, model.audio_projection)


def load_clap_text(directory: Path) -> MaskedTextTower:
    model = load_checkpoint("ClapModel", directory)
    return MaskedTextTower(model.text_model, model.text_projection)


def load_checkpoint(class_name: str, directory: Path) -> Any:
    """Load the model in fp32, for inference. Pickled weights are refused before transformers opens them.

    Raises:
        ModelError: weights are missing, which transformers would initialise randomly.
    """
    checkpoint_files(directory)
    import_torchaudio()
    import torch
    import transformers

    transformers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()  # it warns about end tokens that no published SigLIP has
    model, info = getattr(transformers, class_name).from_pretrained(
        str(directory), local_files_only=True, use_safetensors=True, dtype=torch.float32, output_loading_info=True
    )
    lost = sorted(name for name in info["missing_keys"] if not name.endswith(COMPUTED))
    if lost:
        raise ModelError(
            f"{directory}: {len(lost)} of the weights of {class_name} are missing, such as {lost[0]}; expected all of "
            "both towers. Download or convert it again"
        )
    return model.requires_grad_(False).eval()
