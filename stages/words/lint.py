"""Finds problems in a list of words for a model, before a run is wasted on them."""

import logging
import unicodedata
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from engines.models.model import ModelSpec
from engines.models.tokens import Reading, readings
from pipeline.arrays import Array
from pipeline.errors import ModelError
from pipeline.stage import RunSettings
from stages.words import scoring
from stages.words.kinds import are_kinds
from stages.words.label_side import LabelSide
from stages.words.label_vectors import SideBuilder
from stages.words.labels import build_label_set
from stages.words.spelling import unusual
from stages.words.templates import templates_of
from stages.words.text_cache import OpenTower, open_text_tower
from stages.words.vocabulary import known_words
from stages.words.word import Word, words_of

Kind = Literal["twice", "cut", "unknown", "no word", "unseen", "alike", "above", "everywhere"]
KINDS: tuple[Kind, ...] = get_args(Kind)

ALIKE = scoring.SAME_MEANING[1]
"""Text cosine, relative to the background's mean, from which scores cannot separate two words."""
UNSEEN = 0.3
"""A word is far from a known one below this text cosine, relative to the background's mean."""
NEAR = 0.35
"""Text cosine, relative to the background's mean, from which one of two labels may be a kind of the other."""
NEIGHBOUR = 0.25
"""The same for a background word that counts as a neighbour of a label."""
INCLUDED, MORE = 0.5, 1.4
"""One label is a kind of another if so large a share of its neighbours are neighbours of the other, which has at least
so many times as many (distributional inclusion, Geffet & Dagan 2005). Chosen on 54 pairs with the bundled text tower:
of 33 kinds ("animal", "cow"), 21 are found, and none of 21 others ("car", "truck")."""
SPREADS = 3.0
"""A word wins everywhere if its mean logit is this many robust spreads above that of background words."""
MOST_CLIPS = 0.5
"""A word also wins everywhere if it is more probable than not in more than this share of the clips."""
MOST_WINS, TIMES_EVEN = 0.1, 5
"""It also does if it is first in more than this share of the clips, and in so many times its even share."""
FEW_CLIPS = 8
"""Fewer clips than this are not examined for words that win everywhere."""
OWN_NAME = 0.9
"""A background word nearer than this is the label itself."""
FEW_NEIGHBOURS = 3
"""A label with fewer neighbours is not compared by them."""
ROWS = 512

log = logging.getLogger("percept.labels")

Report = Callable[[str], None]


@dataclass(frozen=True)
class Finding:
    """One problem with one or two words."""

    kind: Kind
    words: tuple[str, ...]
    modality: str
    """The tower that has the problem; "" for all."""
    size: float
    """How bad it is: larger is worse. Comparable only within a kind."""
    text: str


def lint(
    spec: ModelSpec,
    run: RunSettings,
    report: Report,
    seen: Mapping[str, Array] | None = None,
    open_tower: OpenTower = open_text_tower,
) -> list[Finding]:
    """All problems of the run's labels, the worst of each kind first.

    seen: by modality, embeddings "N D" of clips that are examined for words that win everywhere.
    """
    words = words_of(run.labels)
    label_set = build_label_set(spec, run.labels, run, report, open_tower)
    known_of = {name: known_words(spec, name) for name in label_set.sides}
    found = [*twice(words)]
    known = {one.words for one in found}
    for space in dict.fromkeys(tower.space for tower in spec.towers().values()):
        found += tokenized(spec, space, run, words)
        found += misspelt(
            spec, space, words, {*label_set.background, *(word for of in known_of.values() for word in of)}
        )
    if all(known_of.values()):
        builder = SideBuilder(spec, words, run, report, open_tower)
        vectors = {name: builder.vectors(name, of) for name, of in known_of.items()}
        found += unseen(words, label_set.sides, known_of, vectors)
    again = {one.words[1] for one in found if one.kind == "twice"}
    kinds = [one for modality, side in label_set.sides.items() for one in above(words, modality, side)]
    found += (one for one in kinds if again.isdisjoint(one.words))
    known |= {pair for one in kinds for pair in (one.words, one.words[::-1])}
    for modality, side in label_set.sides.items():
        found += (one for one in alike(words, modality, side) if one.words not in known)
        found += everywhere(words, modality, side)
        if seen and modality in seen:
            found += in_most_clips(words, modality, side, seen[modality])
    return sorted(found, key=lambda one: (KINDS.index(one.kind), one.modality, -one.size))


def twice(words: Sequence[Word]) -> Iterator[Finding]:
    """Names of different labels that differ only in case, punctuation or character width."""
    first: dict[str, str] = {}
    for word in words:
        for name in word.names:
            before = first.setdefault(_bare(name), word.name)
            if before != word.name:
                text = f"{name!r} of {word.name!r} means the same as {before!r}"
                yield Finding("twice", (before, word.name), "", 1.0, text)


def _bare(name: str) -> str:
    kept = (letter if letter.isalnum() else " " for letter in unicodedata.normalize("NFKC", name).casefold())
    return " ".join("".join(kept).split())


def tokenized(spec: ModelSpec, space: str, run: RunSettings, words: Sequence[Word]) -> Iterator[Finding]:
    """Words that a text tower's tokenizer cuts off in the longest template, or has no tokens for."""
    names = [name for word in words for name in word.names]
    modality, text = _readers(spec, space), spec.texts[space]
    templates = [one for name in modality.split("+") for one in templates_of(run.templates, spec, name).texts]
    longest = max(templates, key=len)
    try:
        bare = readings(text, names)
        filled = readings(text, [longest.replace("{}", name) for name in names])
    except ModelError as error:  # a text tower without one of the usual tokenizers can still be used
        log.warning("words are not checked against the tokenizer: %s", error)
        return
    for name, alone, whole in zip(names, bare, filled, strict=True):
        if whole.length > text.max_tokens:
            problem = f"{whole.length} tokens in {longest!r}, of which {text.max_tokens} are used"
            yield Finding("cut", (name,), modality, whole.length / text.max_tokens, problem)
        if is_foreign(name, alone):
            problem = f"{alone.unknown} of {alone.pieces} tokens unknown" if alone.unknown else "read letter by letter"
            yield Finding("unknown", (name,), modality, alone.pieces / max(1, len(name)), problem)


def misspelt(spec: ModelSpec, space: str, words: Sequence[Word], known: Collection[str]) -> Iterator[Finding]:
    """Names with a word that may be none, such as "asdfgh" or "giraff"."""
    names = [name for word in words for name in word.names]
    try:
        found = list(unusual(names, spec.texts[space], known))
    except ModelError:  # `tokenized` has warned
        return
    for name, word, pieces, meant in found:
        text = f"{word!r} may be a misspelling of {meant!r}" if meant else f"{word!r} is read in {pieces} pieces"
        yield Finding("no word", (name,), "", pieces / len(word), text)


def unseen(
    words: Sequence[Word],
    sides: Mapping[str, LabelSide],
    known: Mapping[str, Sequence[str]],
    vectors: Mapping[str, Array],
) -> Iterator[Finding]:
    """Labels that are far from all words that any of the towers knows.

    known: by modality, the words that a tower knows; vectors: theirs, "K D".
    """
    best: list[tuple[float, str, str]] = [(-1.0, "", "")] * len(words)
    for modality, side in sides.items():
        owner = np.repeat(np.arange(len(words)), [len(word.names) for word in words])
        near = scoring.relative(side.labels, side.background) @ scoring.relative(vectors[modality], side.background).T
        for row, label in enumerate(owner.tolist()):
            place = int(near[row].argmax())
            best[label] = max(best[label], (float(near[row, place]), modality, known[modality][place]))
    for word, (cosine, modality, nearest) in zip(words, best, strict=True):
        if cosine < UNSEEN:
            text = f"the nearest word that it knows is {nearest!r} ({modality}, {cosine:.2f})"
            yield Finding("unseen", (word.name,), "", 1.0 - cosine, text)


def above(words: Sequence[Word], modality: str, side: LabelSide) -> Iterator[Finding]:
    """Pairs of a label and a kind of it, such as "animal" and "dog": in a clip of the second, both are right.

    The bundled table knows some (`stages/words/kinds.py`). For others, both must be near each other; the first is then
    more general if the second is named after it ("police car"), or if most background words near the second are near
    the first, but not the other way round.
    """
    names = [word.name for word in words]
    first = np.arange(len(words)) if side.starts is None else side.starts
    vectors = scoring.relative(side.labels[first], side.background)
    around = vectors @ scoring.relative(side.background, side.background).T
    neighbours = (around >= NEIGHBOUR) & (around < OWN_NAME)
    counts = neighbours.sum(axis=1)
    for start in range(0, len(vectors), ROWS):
        near = vectors[start : start + ROWS] @ vectors.T
        listed = are_kinds(names[start : start + ROWS], names)
        for row, specific in np.argwhere(listed | (near >= NEAR)):
            general = start + int(row)
            if general == specific:
                continue
            shared = int((neighbours[general] & neighbours[specific]).sum())
            includes = counts[specific] >= FEW_NEIGHBOURS and shared >= INCLUDED * counts[specific]
            is_wider = includes and counts[general] >= MORE * counts[specific]
            if listed[row, specific] or is_wider or _is_named_after(names[specific], names[general]):
                cosine = float(near[row, specific])
                yield Finding("above", (names[general], names[specific]), modality, cosine, f"{cosine:.2f}")


def _is_named_after(specific: str, general: str) -> bool:
    """police car, car"""
    return _bare(specific).endswith(f" {_bare(general)}")


def _readers(spec: ModelSpec, space: str) -> str:
    return "+".join(name for name, tower in spec.towers().items() if tower.space == space)


def is_foreign(name: str, reading: Reading) -> bool:
    """Whether a tokenizer has only unknown tokens, single letters or bytes for a name.

    Scripts that write a syllable or a word with one sign may need one token per sign.
    """
    if 2 * reading.unknown >= max(1, reading.pieces):
        return True
    letters = [letter for letter in name if letter.isalpha()]
    if not letters or sum(letter.isascii() for letter in letters) * 2 > len(letters):
        return False
    signs = sum(
        unicodedata.name(letter, "").startswith(("CJK", "HANGUL", "HIRAGANA", "KATAKANA")) for letter in letters
    )
    most = signs + (len(letters) - signs) / 1.5
    return reading.pieces > max(1.0, most)


def alike(words: Sequence[Word], modality: str, side: LabelSide) -> Iterator[Finding]:
    """Pairs of labels whose text vectors are as close as those of synonyms, relative to the background."""
    mean = np.asarray(side.background, np.float64).mean(axis=0)
    vectors = np.asarray(side.labels, np.float64) - mean
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    owner = np.repeat(np.arange(len(words)), [len(word.names) for word in words])
    worst: dict[tuple[int, int], float] = {}
    for start in range(0, len(vectors), ROWS):
        near = vectors[start : start + ROWS] @ vectors.T
        for row, column in np.argwhere(near >= ALIKE):
            pair = int(owner[start + row]), int(owner[column])
            if pair[0] < pair[1]:
                worst[pair] = max(worst.get(pair, 0.0), float(near[row, column]))
    for (one, other), cosine in worst.items():
        yield Finding("alike", (words[one].name, words[other].name), modality, cosine, f"{cosine:.2f}")


def everywhere(words: Sequence[Word], modality: str, side: LabelSide) -> Iterator[Finding]:
    """Labels that score high for texts of every kind; background words are used in place of clips."""
    background = np.asarray(side.background, np.float64)
    theirs = _mean_logit(background, background, scoring.competing(background, background), side.temperature)
    own = _mean_logit(np.asarray(side.labels, np.float64), background, _for_synonyms(side), side.temperature)
    if side.starts is not None:
        own = np.maximum.reduceat(own, side.starts)
    middle = float(np.median(theirs))
    spread = max(1.4826 * float(np.median(np.abs(theirs - middle))), 1e-9)
    for word, mean in zip(words, own, strict=True):
        if mean > middle + SPREADS * spread:
            far = float(mean - middle) / spread
            yield Finding("everywhere", (word.name,), modality, far, f"{far:.1f} spreads above a typical word")


def _for_synonyms(side: LabelSide) -> Array:
    """`kept` for every synonym, "S V"."""
    if side.starts is None:
        return side.kept
    counts = np.diff([*side.starts.tolist(), len(side.labels)])
    repeated: Array = np.repeat(side.kept, counts, axis=0)
    return repeated


def _mean_logit(labels: Array, background: Array, kept: Array, temperature: float) -> Array:
    """Mean logit of labels "S D" for background words "V D" with another meaning (`kept` "S V"): "S"."""
    logits = labels @ background.T / temperature
    mean: Array = (logits * kept).sum(axis=1) / np.maximum(kept.sum(axis=1), 1e-12)
    return mean


def in_most_clips(words: Sequence[Word], modality: str, side: LabelSide, seen: Array) -> Iterator[Finding]:
    """Labels that are more probable than not in most of the clips, or first among all labels in many of them."""
    if len(seen) < FEW_CLIPS:
        return
    odds = side.compare(seen)[2]
    hits = (odds > 0).mean(axis=0)
    wins = np.bincount(odds.argmax(axis=1), minlength=len(words)) / len(seen)
    many_wins = max(MOST_WINS, TIMES_EVEN / len(words))
    for word, hit, won in zip(words, hits.tolist(), wins.tolist(), strict=True):
        if hit > MOST_CLIPS:
            text = f"more probable than not in {hit:.0%} of {len(seen)} clips"
            yield Finding("everywhere", (word.name,), modality, hit, text)
        elif won > many_wins:
            text = f"first of {len(words)} labels in {won:.0%} of {len(seen)} clips"
            yield Finding("everywhere", (word.name,), modality, won, text)
