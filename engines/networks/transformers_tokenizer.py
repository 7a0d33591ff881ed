"""The tokenizer of a checkpoint in transformers format, with the text prepared as in training."""

import json
import string
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from engines.networks.torchaudio_import import import_torchaudio

_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)


def load_tokenizer(directory: Path) -> Callable[..., Any]:
    """The tokenizer that transformers loads from the directory, called as `tokenizer(texts, ...)`.

    For SigLIP, transformers needs sentencepiece; if it is not installed, `tokenizer.json` is used.
    """
    import_torchaudio()
    from transformers import AutoTokenizer, PreTrainedTokenizerFast
    from transformers.utils import logging

    logging.set_verbosity_error()
    kind, named = _read(directory, "config.json").get("model_type"), _read(directory, "tokenizer_config.json")
    if named.get("tokenizer_class") == "SiglipTokenizer" and find_spec("sentencepiece") is None:
        path = directory / "tokenizer.json"
        if not path.is_file():
            raise ImportError(
                "spiece.model needs sentencepiece, which is not installed. Run: pip install sentencepiece"
            )
        special = {
            key: named[key] for key in ("pad_token", "eos_token", "unk_token") if isinstance(named.get(key), str)
        }
        theirs: Any = PreTrainedTokenizerFast(tokenizer_file=str(path), **({"pad_token": "</s>"} | special))
    else:
        theirs = AutoTokenizer.from_pretrained(str(directory), local_files_only=True)
    if kind != "siglip":
        return theirs  # type: ignore[no-any-return]
    prepare = siglip_text if named.get("tokenizer_class") == "SiglipTokenizer" else str.lower
    return lambda texts, **more: theirs([prepare(text) for text in texts], **more)


def siglip_text(text: str) -> str:
    """Prepare text as SigLIP's own tokenizer does: lower case, no punctuation, single spaces."""
    return " ".join(text.lower().translate(_NO_PUNCTUATION).split())


def _read(directory: Path, name: str) -> dict[str, Any]:
    path = directory / name
    return dict(json.loads(path.read_bytes())) if path.is_file() else {}
