"""Texts for training: the bundled text tower as one function, and random texts from WordNet."""

import functools
import random
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch

from engines.networks.text import MiniText, load_text, tokenize
from recipes.percept_mini.wordnet import lemma_counts, read_synsets

if TYPE_CHECKING:
    from tokenizers import Tokenizer

BUNDLED = Path(__file__).parents[2] / "engines" / "bundled" / "percept-mini"
TEMPLATES = (
    "{}",
    "{}",
    "a photo of {}",
    "a photo of a {}",
    "a video of {}",
    "the sound of {}",
    "the sound of a {}",
    "a person {}",
    "people {}",
    "{} outdoors",
)


@functools.cache
def bundled_text() -> tuple[MiniText, "Tokenizer"]:
    """The bundled text tower and its tokenizer, loaded once."""
    return load_text(BUNDLED)


def text_vectors(texts: list[str]) -> npt.NDArray[np.float32]:
    """float32 "N 384", unit length, not centred, in the bundled tower's text space."""
    return embed(*bundled_text(), texts)


def embed(tower: MiniText, tokenizer: "Tokenizer", texts: list[str], batch: int = 64) -> npt.NDArray[np.float32]:
    """Vectors of `texts`, float32 "N 384", in the same order; texts of similar length are computed together."""
    order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
    vectors = np.empty((len(texts), 384), np.float32)
    with torch.inference_mode():
        for begin in range(0, len(texts), batch):
            rows = order[begin : begin + batch]
            ids, mask = tokenize(tokenizer, [texts[i] for i in rows])
            vectors[rows] = tower(torch.from_numpy(ids), torch.from_numpy(mask)).numpy()
    return vectors


class TextSource:
    """Short texts from WordNet: definitions, examples, words, and actions composed of a verb and a noun.

    The phrases in `never` (those of a test set, for example) are never drawn, alone or in a template; case is ignored.
    """

    def __init__(self, never: Iterable[str] = ()) -> None:
        self.never = {phrase.lower().strip() for phrase in never}
        nouns, verbs = read_synsets("n").values(), read_synsets("v").values()
        synsets = [*nouns, *verbs, *read_synsets("a").values()]
        self.definitions = [synset.definition for synset in synsets]
        self.examples = [text for synset in synsets for text in synset.examples]
        self.words = sorted({lemma for synset in nouns for lemma in synset.lemmas})
        noun_counts, verb_counts = lemma_counts("n"), lemma_counts("v")
        self.nouns = [word for word, count in noun_counts.items() if count >= 2 and word.replace(" ", "").isalpha()]
        self.verbs = [word for word, count in verb_counts.items() if count >= 2 and word.isalpha() and word != "be"]
        self.noun_weights = [noun_counts[word] ** 0.5 for word in self.nouns]
        self.verb_weights = [verb_counts[word] ** 0.5 for word in self.verbs]

    def draw(self, count: int, seed: int) -> list[str]:
        """`count` texts; the same seed gives the same texts."""
        chance = random.Random(seed)
        texts: list[str] = []
        while len(texts) < count:
            phrase, is_name = self._phrase(chance)
            if phrase.lower() not in self.never:
                texts.append(chance.choice(TEMPLATES).format(phrase) if is_name else phrase)
        return texts

    def _phrase(self, chance: random.Random) -> tuple[str, bool]:
        """A phrase, and whether it is a name, which fits into a template."""
        kind = chance.random()
        if kind < 0.2:
            return " ".join(chance.choice(self.definitions).split()[:12]), False
        if kind < 0.35:
            return " ".join(chance.choice(self.examples).split()[:12]), False
        if kind < 0.5:
            return chance.choice(self.words), True
        noun = chance.choices(self.nouns, self.noun_weights)[0]
        if kind < 0.65:
            return noun, True
        verb = gerund(chance.choices(self.verbs, self.verb_weights)[0])
        if kind < 0.75:
            return f"{noun} {verb}", True
        return chance.choice(("{} {}", "{} a {}", "{} the {}", "{} with {}")).format(verb, noun), True


def gerund(verb: str) -> str:
    """play -> playing, make -> making, run -> running, die -> dying; good enough for training texts."""
    if verb.endswith("ie"):
        return verb[:-2] + "ying"
    if verb.endswith("e") and not verb.endswith(("ee", "oe", "ye")):
        return verb[:-1] + "ing"
    short = len(verb) in (3, 4) and verb[-1] not in "aeiouwxy" and verb[-2] in "aeiou" and verb[-3] not in "aeiou"
    return verb + verb[-1] + "ing" if short else verb + "ing"
