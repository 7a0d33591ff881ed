"""Towers of checkpoints in open_clip format, each as a module with one tensor in and one tensor out."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from engines.models.checkpoint_files import open_clip_files
from engines.networks.torchaudio_import import import_torchaudio
from pipeline.errors import ModelError


class OpenClipVision(nn.Module):
    """Pictures "B 3 S S" -> tokens "B D": the model's own image features."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, pictures: Tensor) -> Tensor:
        tokens: Tensor = self.model.encode_image(pictures)
        return tokens


class OpenClipText(nn.Module):
    """Token ids "B L", padded to the model's length as its tokenizer does -> vectors "B D"."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, ids: Tensor) -> Tensor:
        vectors: Tensor = self.model.encode_text(ids)
        return vectors


def load_open_clip_vision(directory: Path) -> OpenClipVision:
    return OpenClipVision(_load(directory))


def load_open_clip_text(directory: Path) -> OpenClipText:
    return OpenClipText(_load(directory))


def load_open_clip_tokenizer(directory: Path) -> Callable[[list[str]], Tensor]:
    """Texts to ids "B L"."""
    tokenizer: Callable[[list[str]], Tensor] = _open_clip().get_tokenizer(f"local-dir:{directory}")
    return tokenizer


def _load(directory: Path) -> Any:
    """Load the model in fp32, for inference; only from safetensors, which `open_clip_files` ensures."""
    open_clip_files(directory)
    model = _open_clip().create_model_from_pretrained(f"local-dir:{directory}", return_transform=False)
    return model.float().requires_grad_(False).eval()


def _open_clip() -> Any:
    import_torchaudio()  # open_clip imports transformers
    try:
        import open_clip
    except ImportError as error:
        raise ModelError(f"open_clip cannot be imported ({error}). Run: pip install open_clip_torch") from error
    return open_clip
