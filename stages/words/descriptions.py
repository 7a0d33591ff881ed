"""Descriptions of labels: sentences of the user about how they look and sound, mixed with their names.

CuPL (Pratt et al. 2023, arXiv 2209.03320) and GIST (Lewis et al. 2023, arXiv 2307.11315) let a language model write
such sentences; some are published, such as CuPL's for Kinetics and UCF101.
"""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipeline.clip import MODALITIES
from pipeline.errors import ConfigError
from stages.words.word import Word, read_lines

Described = dict[str, tuple[str, ...]]
"""Sentences by name, in the form of `plain`."""

EXPECTED = 'a JSON file {"label": ["sentence", ...]}, or lines such as "label: sentence"'


def plain(name: str) -> str:
    """A name in lower case, with single spaces and no underscores."""
    return " ".join(name.replace("_", " ").casefold().split())


def read_descriptions(path: str, words: Sequence[Word]) -> tuple[dict[str, Described], str]:
    """The sentences by modality and name, for names of the words; and a message about those left out, or "".

    A JSON file may hold {"image": {...}, "audio": {...}}; otherwise its sentences are for every tower. Sentences that
    name another label are left out.

    Raises:
        ConfigError: the file cannot be read, or describes none of the labels.
    """
    where = f"--descriptions {path}"
    text = "\n".join(read_lines(Path(path), where, EXPECTED))
    tree = _json(text, where) if Path(path).suffix == ".json" else _lines(text, where)
    if set(tree) <= set(MODALITIES) and all(isinstance(part, dict) for part in tree.values()):
        by_modality = {name: _sentences(part, where) for name, part in tree.items()}
    else:
        by_modality = dict.fromkeys(MODALITIES, _sentences(tree, where))
    asked = {plain(name) for word in words for name in word.names}
    if not any(asked & set(part) for part in by_modality.values()):
        raise ConfigError(f"{where}: describes none of the labels; expected some of them, such as {words[0].name!r}.")
    kept: dict[str, Described] = {}
    dropped: dict[tuple[str, str], str] = {}
    for modality, part in by_modality.items():
        kept[modality], gone = without_others({name: part[name] for name in part if name in asked}, words)
        dropped |= gone
    return kept, f"{where}: {_left_out(dropped)}" if dropped else ""


def without_others(described: Described, words: Sequence[Word]) -> tuple[Described, dict[tuple[str, str], str]]:
    """The sentences that name no other label; and those left out, as (name, sentence), with the label they name.

    A label whose words are all in the described label's own name ("dog" for "dog barking") does not count as another.
    """
    owner = {tuple(_bare(name)): word for word in words for name in word.names}
    longest = max((len(key) for key in owner), default=0)
    kept: Described = {}
    dropped: dict[tuple[str, str], str] = {}
    for name, sentences in described.items():
        own = {word for key, word in owner.items() if set(key) <= set(_bare(name))}
        own |= {word for word in words if name in map(plain, word.names)}
        for sentence in sentences:
            if other := _named(sentence, owner, longest, own):
                dropped[name, sentence] = other.name
        left = tuple(sentence for sentence in sentences if (name, sentence) not in dropped)
        if left:
            kept[name] = left
    return kept, dropped


def _named(sentence: str, owner: dict[tuple[str, ...], Word], longest: int, own: set[Word]) -> Word | None:
    """The first label in a sentence that is not one of `own`; names inside a longer name are ignored."""
    bare = _bare(sentence)
    at = 0
    while at < len(bare):
        for length in range(min(longest, len(bare) - at), 0, -1):
            word = owner.get(tuple(bare[at : at + length]))
            if word is not None:
                if word not in own:
                    return word
                at += length - 1
                break
        at += 1
    return None


def _bare(text: str) -> list[str]:
    """Words in lower case, without punctuation and plural s."""
    found = re.findall(r"\w+", plain(text))
    return [word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word for word in found]


def _json(text: str, where: str) -> dict[str, Any]:
    try:
        tree = json.loads(text)
    except json.JSONDecodeError as error:
        raise ConfigError(f"{where}: is not valid JSON: {error}") from None
    if not isinstance(tree, dict):
        raise ConfigError(f"{where}: is a JSON {type(tree).__name__}; expected {EXPECTED}.")
    return tree


def _lines(text: str, where: str) -> dict[str, Any]:
    tree: dict[str, list[str]] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        label, colon, sentence = line.partition(":")
        if not colon or not label.strip() or not sentence.strip():
            raise ConfigError(f'{where}: line {number} is {line[:60]!r}; expected "label: sentence".')
        tree.setdefault(label.strip(), []).append(sentence.strip())
    return tree


def _sentences(tree: dict[str, Any], where: str) -> Described:
    found: dict[str, list[str]] = {}
    for label, given in tree.items():
        sentences = [given] if isinstance(given, str) else given
        if not isinstance(sentences, list) or not all(isinstance(one, str) for one in sentences):
            raise ConfigError(f"{where}: {label!r} has {json.dumps(given)[:60]}; expected a list of sentences.")
        found.setdefault(plain(label), []).extend(" ".join(one.split()) for one in sentences if one.strip())
    return {name: tuple(dict.fromkeys(sentences)) for name, sentences in found.items() if sentences}


def _left_out(dropped: dict[tuple[str, str], str]) -> str:
    (name, sentence), other = next(iter(dropped.items()))
    count = "1 sentence names" if len(dropped) == 1 else f"{len(dropped)} sentences name"
    which = "is" if len(dropped) == 1 else "are"
    return f"{count} another label and {which} left out; for {name!r}: {sentence[:80]!r} names {other!r}"
