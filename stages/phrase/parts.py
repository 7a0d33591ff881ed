"""What a phrase says: things, their attributes, and relations between them, each with its place in the text."""

from dataclasses import dataclass

Span = tuple[int, int]
"""From one character of the text up to another."""


@dataclass(frozen=True)
class Attribute:
    """kind: "colour", "size", "place", "motion" or "order"; value: one of the values of `stages.phrase.lexicon`."""

    kind: str
    value: str
    span: Span


@dataclass(frozen=True)
class Thing:
    """One thing that is spoken of.

    name: what towers judge, without attributes that are measured. span: of where it is first named. is_any: its name
    fits every box, as in "the red one". judged: words of its name that only towers can judge, such as "wooden".
    """

    name: str
    span: Span
    attributes: tuple[Attribute, ...] = ()
    is_any: bool = False
    judged: tuple[str, ...] = ()
    worn: tuple[float, float] | None = None
    """For clothes: where on their wearer, from and until in heights of the wearer's box."""

    def of(self, kind: str) -> tuple[Attribute, ...]:
        return tuple(each for each in self.attributes if each.kind == kind)


@dataclass(frozen=True)
class Relation:
    """A relation of things by their numbers: of the subject to one other thing, or to two, for "between".

    kind: a function of `stages.phrase.geometry`, or "worn". verb: what is written, if a tower may vote on it.
    """

    kind: str
    subject: int
    others: tuple[int, ...]
    span: Span
    words: str
    verb: bool = False


@dataclass(frozen=True)
class Phrase:
    """A phrase or a paragraph. asked: the number of the thing that is asked for."""

    text: str
    things: tuple[Thing, ...]
    relations: tuple[Relation, ...] = ()
    asked: int = 0

    def read(self, span: Span) -> str:
        return self.text[span[0] : span[1]]

    def sentence(self, relation: Relation, is_swapped: bool = False) -> str:
        """`man riding bike`, or `bike riding man`."""
        names = [self.things[number].name for number in (relation.subject, *relation.others)]
        names = names[::-1] if is_swapped else names
        return f"{names[0]} {relation.words} {' and '.join(names[1:])}"
