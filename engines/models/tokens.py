"""How a text tower's tokenizer splits words: the number of tokens, and how many are unknown."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast

from engines.models.model import TextSpec
from pipeline.errors import ModelError


class Reading(NamedTuple):
    """One text as a tokenizer reads it."""

    length: int
    """Number of tokens including special tokens, not truncated."""
    pieces: int
    """Number of tokens without special tokens."""
    unknown: int
    """Number of pieces that are an unknown token or a single byte."""


def readings(text: TextSpec, prompts: Sequence[str]) -> list[Reading]:
    """Every prompt as the tower's tokenizer reads it, before truncation to the tower's length.

    Raises:
        ModelError: the directory has no usable tokenizer.
    """
    directory = Path(text.directory)
    try:
        return _of_file(directory, prompts) if text.network == "mini_text" else _of_transformers(directory, prompts)
    except Exception as error:  # transformers' errors have no common base class
        raise ModelError(f"{directory}: no usable tokenizer ({error}); expected tokenizer.json in it") from error


def _of_file(directory: Path, prompts: Sequence[str]) -> list[Reading]:
    from engines.networks.text import load_tokenizer

    tokenizer = load_tokenizer(directory / "tokenizer.json")
    tokenizer.no_truncation()
    tokenizer.no_padding()
    found = []
    for one in tokenizer.encode_batch(list(prompts)):
        unknown = one.tokens.count("[UNK]")
        found.append(Reading(len(one.ids), len(one.ids) - sum(one.special_tokens_mask), unknown))
    return found


def _of_transformers(directory: Path, prompts: Sequence[str]) -> list[Reading]:
    from engines.networks.transformers_tokenizer import load_tokenizer

    tokenizer = load_tokenizer(directory)
    name_of = _names(tokenizer, directory)
    whole = tokenizer(list(prompts), truncation=False, padding=False, verbose=False)["input_ids"]
    bare = tokenizer(list(prompts), truncation=False, padding=False, add_special_tokens=False, verbose=False)
    found = []
    for marked, ids in zip(whole, bare["input_ids"], strict=True):
        unknown = sum(bool(_UNKNOWN.fullmatch(name_of(one) or "")) for one in ids)
        found.append(Reading(len(marked), len(ids), unknown))
    return found


_UNKNOWN = re.compile(r"<unk>|\[UNK\]|<0x[0-9A-Fa-f]{2}>")
"""Tokens for an unknown word, or for one byte of a character."""


def _names(tokenizer: Any, directory: Path) -> Callable[[int], str | None]:
    """A function from a token's id to its text."""
    if hasattr(tokenizer, "convert_ids_to_tokens"):
        names: Callable[[int], str | None] = tokenizer.convert_ids_to_tokens
        return names
    from tokenizers import Tokenizer

    return cast(Callable[[int], str | None], Tokenizer.from_file(str(directory / "tokenizer.json")).id_to_token)
