"""The log's own words for those of a question."""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass

from archive.ask.stems import bare, stems, telling, without_neutral
from pipeline.errors import ConfigError
from pipeline.logs import visible

SHOWN = 12
Nearest = Callable[[str, Sequence[str]], Sequence[str]]
"""Which of some names mean nearly the same as a phrase, as the text tower of a model sees it."""


@dataclass(frozen=True)
class Match:
    """A phrase of the question, and the names in the log that it stands for."""

    phrase: str
    names: tuple[str, ...]
    by_model: bool = False
    is_quoted: bool = False
    """It stands for what is written, in these words."""

    @property
    def is_literal(self) -> bool:
        return self.is_quoted or self.names == (telling(self.phrase),)

    def __str__(self) -> str:
        """`bark = dog barking`"""
        how = ", which is nearly the same to the model" if self.by_model else ""
        return f"{visible(telling(self.phrase))} = {either(self.names)}{how}"


class Matcher:
    """Finds names by their words. Where none fits, `nearest` is asked, if there is one."""

    def __init__(self, nearest: Nearest | None = None) -> None:
        self._nearest = nearest

    def find(self, phrase: str, names: Collection[str], with_model: bool = True) -> Match | None:
        """The names that a phrase stands for; None if there are none.

        The same words in any form and order, or else all names that have the phrase's words and more. A phrase with
        more words than a name is never that name: a black dog is not just any dog.
        """
        options = list(dict.fromkeys(filter(None, _alternatives(phrase))))
        found = [self._find(each, names, with_model) for each in options]
        if not found or not all(found):
            return None
        matches = [match for match in found if match]
        joined = tuple(dict.fromkeys(name for match in matches for name in match.names))
        return Match(phrase, joined, any(match.by_model for match in matches))

    def _find(self, phrase: str, names: Collection[str], with_model: bool) -> Match | None:
        for name in names:
            if name.casefold() == phrase.casefold():
                return Match(phrase, (name,))
        by_words = by_stems(phrase, names)
        if by_words:
            return Match(phrase, by_words)
        if with_model and self._nearest and names and without_neutral(stems(phrase)):
            near = tuple(self._nearest(bare(phrase), sorted(names)))
            return Match(phrase, near, by_model=True) if near else None
        return None


def by_stems(phrase: str, names: Iterable[str]) -> tuple[str, ...]:
    """The names with the same stems as a phrase, or else those with more."""
    own = {name: stems(name) for name in sorted(names)}
    asked = stems(phrase)
    for wanted in dict.fromkeys((asked, without_neutral(asked))):
        if not wanted:
            continue
        if same := [name for name, has in own.items() if has == wanted]:
            return tuple(same)
        if wider := [name for name, has in own.items() if has > wanted]:
            return tuple(wider)
    return ()


def _alternatives(phrase: str) -> list[str]:
    """`the dog or the cat` as two phrases."""
    return [part.strip() for part in phrase.split(" or ")]


def no_word(phrase: str, names: Collection[str], kind: str = "word", places: Collection[str] = ()) -> ConfigError:
    """What to say of a phrase that the log does not have. places: that it has."""
    asked = stems(phrase)
    near = sorted(name for name in names if stems(name) & asked)
    hint = f" Did you mean {either(near[:3])}?" if near else ""
    where = f" Its places: {listed(places)}." if places else ""
    return ConfigError(f"the log has no {kind} for {visible(bare(phrase))!r}; it has: {listed(names)}.{hint}{where}")


def listed(names: Collection[str]) -> str:
    """`dog barking, rain, siren and 8 more`"""
    shown = [visible(name) for name in sorted(names)[:SHOWN]]
    return ", ".join(shown) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "") if shown else "none"


def either(names: Sequence[str]) -> str:
    """`dog barking, siren or rain`"""
    shown = [visible(name) for name in names]
    return " or ".join(filter(None, (", ".join(shown[:-1]), shown[-1]))) if shown else ""
