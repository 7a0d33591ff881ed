"""What tracks are called, and which of them are told."""

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

from pipeline.arrays import Array
from stages.colours import main_colours
from stages.track.examples import Example, Examples
from stages.track.options import TrackOptions
from stages.track.paths import Path
from stages.track.related import related
from stages.track.state import TrackMemory
from stages.words.box_names import BoxNames
from stages.words.coloured import coloured_of
from stages.words.relations import named_things, relations_of, things_to_find
from stages.words.word import words_of

By = Literal["picture", "detector", "example"]
Which = Literal["all", "found", "none"]


class Name(NamedTuple):
    """What a track is called."""

    label: str | None = None
    """None: it has no name."""
    probability: float | None = None
    by: By = "picture"
    """Who named it."""
    thing: str = ""
    """The name without a colour or a place in it."""


class Naming:
    """Names tracks by what is looked for. Nothing of it is kept in a track, so a track may get another name with other
    words, under the id that it had.

    find: words, and phrases with a colour or a place in them. like: examples. follow: with "found", a track is told
    from the clip on in which it has a name that was asked for.
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
        self._coloured = coloured_of(named_things(find))
        self._found = frozenset(word.name.casefold() for word in things_to_find(find))
        asked = {word.name.casefold() for word in words_of(find)}
        self._asked = asked | {Example.parse(text).name.casefold() for text in like}

    def is_told(self, label: str | None) -> bool:
        return self._follow != "found" or str(label).casefold() in self._asked

    def names(self, paths: Sequence[Path]) -> dict[int, Name]:
        """What the tracks are, by id: a phrase, where one with a colour or a place fits."""
        names = {path.track.id: self._name(path.track) for path in paths}
        labels = {number: name.label for number, name in names.items()}
        coloured = {path.track.id: label for path in paths if (label := self._with_colour(path, labels))}
        phrases = coloured | related(paths, labels, self._relations)
        if coloured:
            phrases |= related(paths, labels | coloured, self._relations)
        return names | {number: names[number]._replace(label=phrase) for number, phrase in phrases.items()}

    def _with_colour(self, path: Path, labels: Mapping[int, str | None]) -> str | None:
        """What asks for a track by its name and colour; the first one, if several do."""
        label, shares = labels[path.track.id], path.track.colour_shares()
        colours = frozenset[str]() if shares is None else main_colours(shares)
        return next((each.label for each in self._coloured if each.holds(label, colours)), None)

    def similarity(self, name: Name, look: Array) -> float | None:
        """Cosine of a unit vector "D" of the picture tower and a name; None if nobody knows what that looks like."""
        if name.by == "example":
            return None if self._examples is None else self._examples.similarity(name.thing, look)
        return None if self._names is None else self._names.similarity(name.thing, look)

    def _name(self, track: TrackMemory) -> Name:
        """What a track is: what the detector calls it, if that was asked for by name; an example that it looks like;
        what the mean of its crops shows, if it is a label of the run; else what the detector calls it; else an everyday
        word for its crops.
        """
        options, vector = self._options, track.vector()
        called, mean = (track.names[0][0], track.names[0][1] / track.hits) if track.names else ("", 0.0)
        if called and called.casefold() in self._found:
            return Name(called, min(1.0, mean), "detector", called)
        if vector is not None and self._examples is not None:
            like = self._examples.name(vector, options.least_likeness)
            if like is not None:
                return Name(*like, "example", like[0])
        if vector is not None and self._names is not None:
            everyday = 2.0 if called else options.least_everyday_probability
            named = self._names.name(vector, options.least_probability, everyday)
            if named is not None:
                return Name(*named, "picture", named[0])
        is_sure = called and mean >= options.least_probability
        return Name(called, mean, "detector", called) if is_sure else Name()
