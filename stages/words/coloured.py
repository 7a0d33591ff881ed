"""Things that are asked for by their colour: "red bus". Their name is judged without it, and the colour measured."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from pipeline.errors import ConfigError
from stages.phrase.parse import parse_phrase
from stages.words.kinds import kinds_of
from stages.words.things import known
from stages.words.word import Word

PERSON = "person"


@dataclass(frozen=True)
class Coloured:
    """What a track is called whose name is `thing` and which has this colour; any, if that is ""."""

    label: str
    thing: str
    colour: str = ""

    def holds(self, name: str | None, colours: Collection[str]) -> bool:
        is_it = name is not None and name.casefold() == self.thing.casefold()
        return is_it and (not self.colour or self.colour in colours)


def parse_coloured(text: str) -> tuple[str, str] | None:
    """The thing and its colour: "bus" and "red". None for a name without one, for one that says more than that, and
    where the colour belongs to the name: of a known kind ("brown bear"), and of people, unless they are "in red".
    """
    try:
        phrase = parse_phrase(text)
    except ConfigError:
        return None
    if len(phrase.things) != 1 or phrase.relations or known(text):
        return None
    thing = phrase.things[0]
    if thing.is_any or len(thing.attributes) != 1 or len(thing.of("colour")) != 1:
        return None
    colour = thing.attributes[0]
    is_person = thing.name == PERSON or thing.name in kinds_of(PERSON)
    return None if is_person and not phrase.read(colour.span).startswith("in ") else (thing.name, colour.value)


def has_colour(word: Word) -> bool:
    return any(map(parse_coloured, word.names))


def coloured_of(words: Iterable[Word]) -> tuple[Coloured, ...]:
    """All that words with a colour ask for, by each of their names; one without a colour is right in any."""
    found = []
    for word in filter(has_colour, words):
        for name in word.names:
            found.append(Coloured(word.name, *(parse_coloured(name) or (name,))))
    return tuple(found)


def without_colours(words: Iterable[Word]) -> tuple[Word, ...]:
    """The words, those with a colour as the things that they ask for, none of them twice."""
    words = list(words)
    plain = [word for word in words if not has_colour(word)]
    known_names = {name.casefold() for word in plain for name in word.names}
    things = dict.fromkeys(each.thing for each in coloured_of(words) if each.thing.casefold() not in known_names)
    return (*plain, *(Word((thing,)) for thing in things))
