"""Computes text vectors with a model's text tower and tokenizer."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from engines.backends.table import AUTO, EngineSettings, Settings
from engines.building.building import open_network
from engines.engine import Port
from engines.models.model import TextSpec
from engines.models.network import with_words
from pipeline.arrays import Array
from pipeline.errors import ModelError

TEXT_BATCH = 64


class WordTower:
    """A text tower that says what it makes of each word.

    Raises:
        ModelError: it cannot; the message names the towers that do.
    """

    def __init__(self, text: TextSpec, run: EngineSettings) -> None:
        key = with_words(text.network)
        settings = Settings("torch", threads=run.threads, cache_directory=run.cache_directory)
        self._encode, self._spoken = _tokenizer(text), _spoken(text)
        self._engine = open_network(key, text.directory, settings, build=True)

    def words(self, prompts: Sequence[str]) -> list[Array]:
        """For each prompt its tokens, without those that mark its ends, and without padding: float32 "m D"."""
        feeds = self._encode(list(prompts), self._engine.inputs)
        states = self._engine.run(feeds)["words"]
        return [states[row, : len(is_said)][is_said] for row, is_said in enumerate(map(self._spoken, prompts))]

    def close(self) -> None:
        self._engine.close()


def _spoken(text: TextSpec) -> Callable[[str], Array]:
    """Which tokens of a prompt are part of its text, bool "L"."""
    directory = Path(text.directory)
    if text.network == "mini_text":
        from engines.networks.text import load_tokenizer

        mini = load_tokenizer(directory / "tokenizer.json")
        return lambda prompt: ~np.array(mini.encode(prompt).special_tokens_mask, bool)
    from engines.networks.transformers_tokenizer import load_tokenizer as load

    theirs = _or_none_usable(load, directory)

    def spoken(prompt: str) -> Array:
        ids = theirs(prompt, truncation=True, max_length=text.max_tokens)["input_ids"]
        return ~np.isin(ids, [each for each in theirs.all_special_ids if each is not None])

    return spoken


class TextTower:
    """A text tower with its tokenizer: prompts in, unit vectors out."""

    def __init__(self, text: TextSpec, run: EngineSettings) -> None:
        # In fp32, because vectors are computed once and kept for all runs. With the reference, unless another CPU
        # engine is requested by name: building one would cost more than it saves.
        engine = run.engine if run.engine in AUTO["cpu"] else "torch"
        settings = Settings(engine, threads=run.threads, cache_directory=run.cache_directory)
        self._text = text
        self._encode = _tokenizer(text)
        self._engine = open_network(text.network, text.directory, settings, build=True)

    def vectors(self, prompts: Sequence[str]) -> Array:
        """float32 "N D", unit length, not centred, in the order of the prompts."""
        result = np.zeros((len(prompts), self._text.dim), np.float32)
        order = sorted(range(len(prompts)), key=lambda index: len(prompts[index]))
        for begin in range(0, len(order), TEXT_BATCH):
            chosen = order[begin : begin + TEXT_BATCH]
            feeds = self._encode([prompts[index] for index in chosen], self._engine.inputs)
            vectors = self._engine.run(feeds)["vectors"]
            result[chosen] = vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)
        return result

    def close(self) -> None:
        self._engine.close()


Encode = Callable[[list[str], tuple[Port, ...]], dict[str, Array]]


def _tokenizer(text: TextSpec) -> Encode:
    """A function from prompts to the feeds of the text tower."""
    directory = Path(text.directory)
    if text.network == "mini_text":
        from engines.networks.text import load_tokenizer, tokenize

        mini = load_tokenizer(directory / "tokenizer.json")
        return lambda prompts, ports: dict(zip([port.name for port in ports], tokenize(mini, prompts), strict=True))
    if text.network == "open_clip_text":
        from engines.networks.open_clip_towers import load_open_clip_tokenizer

        ids = _or_none_usable(load_open_clip_tokenizer, directory)
        return lambda prompts, ports: {ports[0].name: np.asarray(ids(prompts), np.int64)}

    from engines.networks.transformers_tokenizer import load_tokenizer as load

    theirs = _or_none_usable(load, directory)
    padding = "max_length" if text.pad_to_max else True

    def encode(prompts: list[str], ports: tuple[Port, ...]) -> dict[str, Array]:
        batch = theirs(
            prompts,
            padding=padding,
            truncation=True,
            max_length=text.max_tokens,
            return_tensors="np",
            return_attention_mask=True,
        )
        columns = (batch["input_ids"], batch["attention_mask"])
        return {port.name: np.asarray(column, np.int64) for port, column in zip(ports, columns, strict=False)}

    return encode


def _or_none_usable(load: Callable[[Path], Any], directory: Path) -> Any:
    try:
        return load(directory)
    except Exception as error:  # the libraries' errors have no common base class
        raise ModelError(f"{directory}: no usable tokenizer ({error}); expected tokenizer.json in it") from error
