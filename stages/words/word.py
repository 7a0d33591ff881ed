"""The labels of a run as people write them: lists, files, synonyms, hierarchies."""

import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from engines.models.model import ModelSpec
from pipeline.errors import ConfigError
from stages.words.tree import flattened

BUNDLED_MODEL = Path(__file__).resolve().parents[2] / "engines" / "bundled" / "percept-mini"
LONGEST_LABEL = 500
"""In characters. Text towers read about 60 tokens and would drop the rest silently."""
SYNONYM, BELOW = "|", " > "
"""Separators between synonyms, and between a parent and its children: "vehicle > car|automobile"."""


@dataclass(frozen=True)
class Word:
    """One label: its names and its parents."""

    names: tuple[str, ...]
    """Synonyms; the first one is shown."""
    above: tuple[str, ...] = ()
    """Parents, the topmost first."""

    @property
    def name(self) -> str:
        return self.names[0]

    def __str__(self) -> str:
        return BELOW.join([*self.above, SYNONYM.join(self.names)])


def parse_word(text: str) -> Word | None:
    """ "vehicle > car|automobile" as a word; None if nothing is left without spaces.

    A ">" between letters does not mark a parent: it needs spaces around it.
    """
    *above, own = (" ".join(part.split()) for part in f" {unicodedata.normalize('NFC', text)} ".split(BELOW))
    names = tuple(dict.fromkeys(filter(None, (" ".join(name.split()) for name in own.split(SYNONYM)))))
    return Word(names, tuple(parent.partition(SYNONYM)[0].strip() for parent in above if parent)) if names else None


def words_of(labels: Iterable[str]) -> tuple[Word, ...]:
    """Every label of a run as a word. Labels were cleaned before, so none is empty."""
    return tuple(parse_word(label) or Word((label,)) for label in labels)


def parse_labels(given: str | Sequence[str], option: str = "--labels") -> tuple[str, ...]:
    """The labels in "dog barking, rain", in a list, or in the file of "@words.txt": in the given order, each once.

    A file has one label per line in UTF-8; blank lines and lines that begin with # are skipped. An indented line
    belongs to the line above that is indented less: "vehicle" with "car|automobile" under it is the label
    "vehicle > car|automobile". `option` begins the message of an error.

    Raises:
        ConfigError: there is no label, a label is too long or in two places, or the file cannot be read.
    """
    if not isinstance(given, str):
        return clean_labels(given)
    if not given.startswith("@"):
        return clean_labels(given.split(","), option)
    where = f"{option} {given}"
    return clean_labels(flattened(read_lines(Path(given[1:]), where), where), where)


def read_lines(
    path: Path,
    where: str,
    expected: str = "a text file with one label per line",
    read: Callable[[Path], bytes] = Path.read_bytes,
) -> list[str]:
    """The lines of a text file in UTF-8, of which `read` gets the content.

    Raises:
        ConfigError: the file cannot be read; `where` begins the message.
    """
    try:
        return read(path.expanduser()).decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise ConfigError(f"{where}: not UTF-8 text (byte {error.start}). Save the file as UTF-8.") from None
    except OSError as error:
        reason = error.strerror or str(error)
        raise ConfigError(f"{where}: {reason}; expected {expected}.") from None


def clean_labels(labels: Iterable[str], where: str = "labels") -> tuple[str, ...]:
    """The labels without surrounding or double spaces, without empty ones, each once, in the given order.

    Labels with the same name are merged, with the synonyms of both.

    Raises:
        ConfigError: no label is left, or labels are too long, contain control characters or are in two places of a
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
        option = where.split()[0] if where.startswith("--") else "--labels"
        raise ConfigError(f"{where}: no label found; expected at least one, such as {option} 'dog barking, rain'.")
    return tuple(map(str, kept.values()))


def _problem(word: Word) -> str:
    for name in (*word.names, *word.above):
        if len(name) > LONGEST_LABEL:
            return f"{name[:40]!r}... has {len(name):,} characters; expected at most {LONGEST_LABEL}"
        if any(unicodedata.category(character) in ("Cc", "Cs") for character in name):
            return f"{name[:40]!r} contains control characters; expected plain text"
    return ""


def _two_places(one: Word, other: Word) -> str:
    if one.above == other.above:
        return ""
    places = " and ".join(repr(BELOW.join(word.above)) if word.above else "the top" for word in (one, other))
    return f"{one.name!r} is under {places}; expected one place, or two names"


def _parents_as_labels(words: Iterable[Word]) -> list[str]:
    words = list(words)
    parents = {word.above[:depth] for word in words for depth in range(1, len(word.above) + 1)}
    both = (word.name for word in words if (*word.above, word.name) in parents)
    return [f"{name!r} is a label and has labels below it; expected labels only at the lowest level" for name in both]


def default_labels() -> tuple[str, ...]:
    """The bundled vocabulary of everyday things, actions and sounds, for runs without labels."""
    return parse_labels(f"@{BUNDLED_MODEL / 'vocabulary.txt'}")


def background_words(spec: ModelSpec) -> tuple[str, ...]:
    """The model's fixed background vocabulary, or the bundled one if the model has none.

    Raises:
        ConfigError: the file cannot be read or is empty.
    """
    path = Path(spec.directory) / spec.background if spec.background else BUNDLED_MODEL / "background.txt"
    return parse_labels(f"@{path}")
