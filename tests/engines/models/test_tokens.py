"""Token counts of texts, for all kinds of tokenizers."""

from pathlib import Path

import pytest

from engines.models.checkpoint import read_model
from engines.models.model import TextSpec
from engines.models.tokens import readings
from pipeline.errors import ModelError
from tests.tiny_models import make_tiny_clip, make_tiny_siglip


def test_tokens_are_counted_with_and_without_special_and_unknown_ones() -> None:
    dog, long, emoji = readings(read_model("percept-mini").texts["minilm"], ["dog barking", "a " * 300, "🐶"])
    assert (dog.length, dog.pieces, dog.unknown) == (4, 2, 0)
    assert (long.length, long.pieces) == (302, 300)
    assert (emoji.pieces, emoji.unknown) == (1, 1)


def test_words_without_a_token_are_unknown(tmp_path: Path) -> None:
    text = TextSpec(network="siglip_text", directory=str(make_tiny_siglip(tmp_path / "s")), dim=32)
    known, half = readings(text, ["rain on a roof", "rain on a piano"])
    assert (known.pieces, known.unknown) == (4, 0)
    assert (half.pieces, half.unknown) == (4, 1)


def test_a_byte_level_tokenizer_has_no_unknown_tokens(tmp_path: Path) -> None:
    text = TextSpec(network="clip_text", directory=str(make_tiny_clip(tmp_path / "c")), dim=16)
    ascii, cyrillic = readings(text, ["dog", "собака"])
    assert (ascii.pieces, ascii.unknown) == (1, 0)
    assert (cyrillic.pieces, cyrillic.unknown) == (12, 0)


def test_a_directory_without_a_tokenizer_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no usable tokenizer"):
        readings(TextSpec(network="clip_text", directory=str(tmp_path), dim=16), ["dog"])
