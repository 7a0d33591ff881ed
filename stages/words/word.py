"""The words a run is asked about, as people write them: lists, files, synonyms, hierarchies."""

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from engines.models.model import ModelSpec
from pipeline.errors import ConfigError
from stages.words.tree import flattened

BUNDLED_MODEL = Path(__file__).resolve().parents[2] / "engines" / "bundled" / "percept-mini"
LONGEST_LABEL = 500
"""Characters; text towers read some 60 tokens and would cut the rest silently."""
SYNONYM, BELOW = "|", " > "
"""What stands between synonyms, and between a parent and what is below it: "vehicle > car|automobile"."""


@dataclass(frozen=True)
class Word:
    """One label: what it is called, and what it belongs to."""

    names: tuple[str, ...]
    """Synonyms; the first is the one that is shown."""
    above: tuple[str, ...] = ()
    """Parents, the topmost first."""

    @property
    def name(self) -> str:
        return self.names[0]

    def __str__(self) -> str:
        return BELOW.join([*self.above, SYNONYM.join(self.names)])


def parse_word(text: str) -> Word | None:
    """ "vehicle > car|automobile" as a word; None when nothing is left without spaces.

    A ">" between letters is no parent's sign: spaces must stand around it.
    """
    *above, own = (" ".join(part.split()) for part in f" {unicodedata.normalize('NFC', text)} ".split(BELOW))
    names = tuple(dict.fromkeys(filter(None, (" ".join(name.split()) for name in own.split(SYNONYM)))))
    return Word(names, tuple(parent.partition(SYNONYM)[0].strip() for parent in above if parent)) if names else None


def words_of(labels: Iterable[str]) -> tuple[Word, ...]:
    """Every label of a run as a word. Labels were cleaned before, so none is empty."""
    return tuple(parse_word(label) or Word((label,)) for label in labels)


def parse_labels(given: str | Sequence[str]) -> tuple[str, ...]:
    """The labels in "dog barking, rain", in a list, or in the file of "@words.txt": in the given order, each once.

    A file holds one label a line in UTF-8; blank lines and lines that begin with # are skipped. What is indented
    belongs to the line above that is indented less: "vehicle" with "car|automobile" under it gives the label
    "vehicle > car|automobile".

    Raises:
        ConfigError: no label at all, a label that is too long or that stands in two places, or a file that cannot be
            read.
    """
    if not isinstance(given, str):
        return clean_labels(given)
    if not given.startswith("@"):
        return clean_labels(given.split(","), "--labels")
    where = f"--labels {given}"
    return clean_labels(flattened(read_lines(Path(given[1:]), where), where), where)


def read_lines(path: Path, where: str, expected: str = "a text file with one label per line") -> list[str]:
    """The lines of a text file in UTF-8.

    Raises:
        ConfigError: it cannot be read; `where` begins the message.
    """
    try:
        return path.expanduser().read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise ConfigError(f"{where}: not UTF-8 text (byte {error.start}). Save the file as UTF-8.") from None
    except OSError as error:
        reason = error.strerror or str(error)
        raise ConfigError(f"{where}: {reason}; expected {expected}.") from None


def clean_labels(labels: Iterable[str], where: str = "labels") -> tuple[str, ...]:
    """Without surrounding or doubled spaces, without empty ones, each once, in the given order.

    Labels that are called the same are one, with the synonyms of both.

    Raises:
        ConfigError: nothing is left, or labels are too long, hold control characters or stand in two places of a
            hierarchy; `where` begins the message.
    """
    kept: dict[str, Word] = {}
    wrong: list[str] = []
    for label in labels:
        word = parse_word(label)
        if word is None:
            continue
        before = kept.get(word.name, Word(word.names, word.above))
        if problem := _problem(word) or _two_places(before, word):
            wrong.append(problem)
            continue
        kept[word.name] = Word(tuple(dict.fromkeys(before.names + word.names)), word.above)
    wrong += _parents_as_labels(kept.values())
    if wrong:
        more = f" (and {len(wrong) - 5} more)" if len(wrong) > 5 else ""
        raise ConfigError(
            f"{where}: " + "; ".join(wrong[:5]) + more + ". Use short phrases such as 'dog barking', each in one place."
        )
    if not kept:
        raise ConfigError(f"{where}: no label found; expected at least one, such as --labels 'dog barking, rain'.")
    return tuple(map(str, kept.values()))


def _problem(word: Word) -> str:
    for name in (*word.names, *word.above):
        if len(name) > LONGEST_LABEL:
            return f"{name[:40]!r}... has {len(name):,} characters; expected at most {LONGEST_LABEL}"
        if any(unicodedata.category(character) in ("Cc", "Cs") for character in name):
            return f"{name[:40]!r} holds control characters; expected plain text"
    return ""


def _two_places(one: Word, other: Word) -> str:
    if one.above == other.above:
        return ""
    places = " and ".join(repr(BELOW.join(word.above)) if word.above else "the top" for word in (one, other))
    return f"{one.name!r} stands under {places}; expected one place, or two names"


def _parents_as_labels(words: Iterable[Word]) -> list[str]:
    words = list(words)
    parents = {word.above[:depth] for word in words for depth in range(1, len(word.above) + 1)}
    both = (word.name for word in words if (*word.above, word.name) in parents)
    return [f"{name!r} is a label and has labels below it; expected only what stands lowest as labels" for name in both]


def default_labels() -> tuple[str, ...]:
    """The bundled vocabulary of everyday things, actions and sounds: what is asked when nobody gives labels."""
    return parse_labels(f"@{BUNDLED_MODEL / 'vocabulary.txt'}")


def background_words(spec: ModelSpec) -> tuple[str, ...]:
    """The model's fixed background vocabulary, or the bundled one where the model brings none.

    Raises:
        ConfigError: the file cannot be read or is empty.
    """
    path = Path(spec.directory) / spec.background if spec.background else BUNDLED_MODEL / "background.txt"
    return parse_labels(f"@{path}")
