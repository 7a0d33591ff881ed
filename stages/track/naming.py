"""What tracks are called, and which of them are told."""

from collections.abc import Sequence
from typing import Literal

from stages.track.examples import Example, Examples
from stages.track.options import TrackOptions
from stages.track.paths import Path
from stages.track.related import related
from stages.track.state import TrackMemory
from stages.words.box_names import BoxNames
from stages.words.relations import relations_of, things_to_find
from stages.words.word import words_of

Name = tuple[str | None, float | None]
"""What a track is called, and how probable that is; None without a name."""
Which = Literal["all", "found", "none"]


class Naming:
    """Names tracks by what is looked for. Nothing of it is kept in a track, so a track may get another name with other
    words, under the id that it had.

    find: words, and phrases with a place in them. like: examples. follow: with "found", a track is told from the clip
    on in which it has a name that was asked for.
    """

    def __init__(
        self,
        options: TrackOptions,
        find: Sequence[str],
        like: Sequence[str],
        follow: Which,
        names: BoxNames | None,
        examples: Examples | None,
    ) -> None:
        self._options, self._follow = options, follow
        self._names, self._examples = names, examples
        self._relations = relations_of(find)
        self._found = frozenset(word.name.casefold() for word in things_to_find(find))
        asked = {word.name.casefold() for word in words_of(find)}
        self._asked = asked | {Example.parse(text).name.casefold() for text in like}

    def is_told(self, label: str | None) -> bool:
        return self._follow != "found" or str(label).casefold() in self._asked

    def names(self, paths: Sequence[Path]) -> dict[int, Name]:
        """What the tracks are, by id: a phrase, where one with a place fits."""
        names = {path.track.id: self._name(path.track) for path in paths}
        phrases = related(paths, {number: label for number, (label, _) in names.items()}, self._relations)
        return names | {number: (phrase, names[number][1]) for number, phrase in phrases.items()}

    def _name(self, track: TrackMemory) -> Name:
        """What a track is: what the detector calls it, if that was asked for by name; an example that it looks like;
        what the mean of its crops shows, if it is a label of the run; else what the detector calls it; else an everyday
        word for its crops.
        """
        options, vector = self._options, track.vector()
        called, mean = (track.names[0][0], track.names[0][1] / track.hits) if track.names else ("", 0.0)
        if called and called.casefold() in self._found:
            return called, min(1.0, mean)
        if vector is not None and self._examples is not None:
            like = self._examples.name(vector, options.least_likeness)
            if like is not None:
                return like
        if vector is not None and self._names is not None:
            everyday = 2.0 if called else options.least_everyday_probability
            named = self._names.name(vector, options.least_probability, everyday)
            if named is not None:
                return named
        return (called, mean) if called and mean >= options.least_probability else (None, None)
