"""Towers of checkpoints in transformers format, each as a module with one tensor in and one tensor out."""

from pathlib import Path
from typing import Any

from torch import Tensor, nn

from engines.network import checkpoint_files
from engines.torchaudio_import import import_torchaudio


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

    No attention mask: CLIP reads the end token, which by causality sees nothing of the padding after it; SigLIP was
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


class AudioTower(nn.Module):
    """Log-mel in dB "B T M" -> tokens "B D": the model's own audio features, not of unit length."""

    def __init__(self, audio: nn.Module, projection: nn.Module) -> None:
        super().__init__()
        self.audio = audio
        self.projection = projection

    def forward(self, log_mel: Tensor) -> Tensor:
        projected: Tensor = self.projection(self.audio(input_features=log_mel.unsqueeze(1)).pooler_output)
        return projected


def load_clip_vision(directory: Path) -> VisionTower:
    model = _load("CLIPModel", directory)
    return VisionTower(model.vision_model, model.visual_projection)


def load_clip_text(directory: Path) -> TextTower:
    model = _load("CLIPModel", directory)
    return TextTower(model.text_model, model.text_projection)


def load_siglip_vision(directory: Path) -> VisionTower:
    return VisionTower(_load("SiglipModel", directory).vision_model, nn.Identity())


def load_siglip_text(directory: Path) -> TextTower:
    return TextTower(_load("SiglipModel", directory).text_model, nn.Identity())


def load_clap_audio(directory: Path) -> AudioTower:
    model = _load("ClapModel", directory)
    return AudioTower(model.audio_model, model.audio_projection)


def load_clap_text(directory: Path) -> MaskedTextTower:
    model = _load("ClapModel", directory)
    return MaskedTextTower(model.text_model, model.text_projection)


def load_tokenizer(directory: Path) -> Any:
    """The tokenizer that transformers makes of the directory, called as `tokenizer(texts, ...)`."""
    import_torchaudio()
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(str(directory), local_files_only=True)


def _load(class_name: str, directory: Path) -> Any:
    """The model in fp32, for inference. Safetensors only: pickled weights are refused before transformers sees them."""
    checkpoint_files(directory)
    import_torchaudio()
    import torch
    import transformers

    transformers.utils.logging.disable_progress_bar()
    model = getattr(transformers, class_name).from_pretrained(
        str(directory), local_files_only=True, use_safetensors=True, dtype=torch.float32
    )
    return model.requires_grad_(False).eval()
