"""From English text to things, attributes and relations, by a small closed grammar.

    phrase(", " | "and" | ".") ...      phrase: thing (attribute | relation thing)*      thing: the red wooden cup

Nothing is guessed: a word that is in no table of `stages.phrase.lexicon` is part of the thing's name beside it.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from pipeline.errors import ConfigError
from stages.phrase import lexicon
from stages.phrase.parts import Attribute, Phrase, Relation, Span, Thing
from stages.words.things import is_activity, known

MOST_THINGS = 12
_TOKEN = re.compile(r"[\w'’-]+|[.,;:!?\n]")
_ENDS = frozenset(".;:!?\n")
_BE = frozenset(["is", "are", "was", "were"])
_WHO = frozenset(["who", "which", "that"])
_LONGEST = 7
"""Words of the longest entry of a table."""


class Token(NamedTuple):
    text: str
    start: int
    end: int

    @property
    def word(self) -> str:
        return self.text.casefold().replace("’", "'")


@dataclass
class _Draft:
    """A thing while it is read."""

    sentence: int
    is_definite: bool
    names: list[Token] = field(default_factory=list)
    attributes: list[Attribute] = field(default_factory=list)
    is_open: bool = True
    before: int | None = None
    """Where its first attribute begins, if that is before its name."""


@dataclass
class _Waiting:
    """A relation that waits for its other thing. subject: None if that is still to come."""

    kind: str
    span: Span
    words: str
    subject: int | None
    verb: bool = False
    is_passive: bool = False
    others: list[int] = field(default_factory=list)


def parse_phrase(text: str) -> Phrase:
    """The things of a phrase or paragraph, what is said of each, and how they stand to each other.

    Raises: ConfigError: it names nothing, or more than `MOST_THINGS` things.
    """
    return _Reader(text).phrase()


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = [Token(match[0], match.start(), match.end()) for match in _TOKEN.finditer(text)]
        self._drafts: list[_Draft] = []
        self._relations: list[Relation] = []
        self._sentence, self._at = 0, 0
        self._begin_sentence()

    def phrase(self) -> Phrase:
        while self._at < len(self._tokens):
            self._step()
        self._flush()
        if self._dangling:
            raise ConfigError(
                f"{self._text!r}: does not say what is {self._dangling[0].words} it; expected a phrase such as "
                f"'a dog {self._dangling[0].words} the car'"
            )
        if self._loose and not self._drafts:  # "on the left" alone
            self._begin_thing()
        self._merge()
        things = [_thing(draft) for draft in self._drafts]
        if not things:
            raise ConfigError(
                f"{self._text!r}: names nothing to find; expected a phrase such as 'the dog left of the car'"
            )
        if len(things) > MOST_THINGS:
            raise ConfigError(
                f"{len(things)} things are named; expected at most {MOST_THINGS}. Ask for fewer at a time"
            )
        relations = [self._as_worn(relation) for relation in self._relations]
        return Phrase(self._text, tuple(things), (*relations, *self._also_worn(relations)), self._asked or 0)

    _asked: int | None = None

    def _begin_sentence(self) -> None:
        self._subject: int | None = None
        self._last: int | None = None
        self._waiting: _Waiting | None = None
        self._dangling: list[_Waiting] = []
        self._loose: list[Attribute] = []
        self._is_definite, self._after_and = False, False
        self._skip_opening()

    def _skip_opening(self) -> None:
        for opening in sorted(lexicon.OPENINGS, key=len, reverse=True):
            count = len(opening.split())
            if self._words(self._at, count) == opening:
                self._at += count
                return

    # Reading

    def _words(self, at: int, count: int) -> str:
        return " ".join(token.word for token in self._tokens[at : at + count])

    def _longest(self, table: Mapping[str, str]) -> tuple[str, int]:
        """The value of the longest entry that stands here, and how many words it has; 0 for none."""
        for count in range(min(_LONGEST, len(self._tokens) - self._at), 0, -1):
            value = table.get(self._words(self._at, count))
            if value is not None:
                return value, count
        return "", 0

    def _take(self, count: int) -> Span:
        span = self._tokens[self._at].start, self._tokens[self._at + count - 1].end
        self._at += count
        return span

    def _step(self) -> None:
        token = self._tokens[self._at]
        if token.word in _ENDS:
            self._flush()
            self._at += 1
            self._sentence += 1
            self._begin_sentence()
        elif token.word in lexicon.NEGATIONS:
            raise ConfigError(
                f"{self._text!r}: {token.text!r} says what is not there, which nobody can point at; expected what is"
            )
        elif token.word == "," and self._open is not None and not self._open.names:
            self._at += 1  # "the red, round ball"
        elif token.word in (",", "and"):
            self._close()
            self._at += 1
            self._after_and = True
        elif not (self._read_after() or self._read_relation() or self._read_verb()):
            self._read_thing(token)

    @property
    def _open(self) -> _Draft | None:
        """The thing whose name is being read."""
        draft = None if self._last is None else self._drafts[self._last]
        return draft if draft is not None and draft.is_open else None

    def _close(self) -> None:
        if self._open is not None:
            self._open.is_open = False

    @property
    def _has_name(self) -> bool:
        return self._last is not None and bool(self._drafts[self._last].names or not self._drafts[self._last].is_open)

    def _about(self) -> int | None:
        """What an attribute or relation that stands here is about: what was named last, or after "and" the subject."""
        is_clothing = self._last is not None and _is_clothing(self._drafts[self._last])
        return self._subject if self._after_and or is_clothing else self._last

    def _read_after(self) -> bool:
        """Attributes that stand behind a thing, or at the beginning: "on the left", "running", "in red"."""
        tables = (("order", lexicon.ORDERS), ("place", lexicon.PLACE_PHRASES), ("motion", lexicon.MOTIONS))
        kind, value, count = max(((kind, *self._longest(table)) for kind, table in tables), key=lambda each: each[2])
        if count <= self._longest(lexicon.RELATIONS)[1] or not count:
            return self._read_in_colour()
        is_first = self._last is None and kind == "place"
        if not (self._has_name or is_first) or self._is_waiting:
            return False
        if kind == "motion" and self._continues(self._at + count) and not self._drafts[self._last or 0].names:
            return False
        attribute = Attribute(kind, value, self._take(count))
        about = self._about()
        (self._loose if about is None else self._drafts[about].attributes).append(attribute)
        self._close()
        return True

    def _read_in_colour(self) -> bool:
        """ "in red", but not "in red trousers"."""
        if self._words(self._at, 1) not in ("in", "dressed") or not self._has_name:
            return False
        at = self._at + (2 if self._words(self._at, 2) == "dressed in" else 1)
        at += self._words(at, 1) in lexicon.SHADES
        colour = lexicon.COLOURS.get(self._words(at, 1))
        if colour is None or self._continues(at + 1):
            return False
        span = self._take(at + 1 - self._at)
        about = self._about()
        self._drafts[about or 0].attributes.append(Attribute("colour", colour, span))
        self._close()
        return True

    @property
    def _is_waiting(self) -> bool:
        return self._waiting is not None and not self._waiting.others

    def _continues(self, at: int) -> bool:
        """Whether the name of a thing goes on at a token."""
        if at >= len(self._tokens):
            return False
        word, here = self._tokens[at].word, self._at
        if (
            word in _ENDS
            or word in {",", "and", "of"}
            or word in lexicon.FILLERS | lexicon.ARTICLES | lexicon.PRONOUNS.keys()
        ):
            return False
        self._at = at
        ends = self._longest(lexicon.RELATIONS)[1] or (self._longest(lexicon.PLACE_PHRASES)[1] and word in ("on", "at"))
        self._at = here
        return not ends and not (_verb_kind(word) and at + 1 < len(self._tokens))

    def _read_relation(self) -> bool:
        kind, count = self._longest(lexicon.RELATIONS)
        if not count or self._at + count >= len(self._tokens) or self._tokens[self._at + count].word in _ENDS:
            return False
        if self._open is not None and not self._open.names and not self._open.attributes:
            return False
        self._begin_relation(kind, count)
        return True

    def _read_verb(self) -> bool:
        """ "riding a bike", "led by a man", and any other verb in "-ing" before an article."""
        word, after = self._tokens[self._at].word, self._at + 1
        kind = _verb_kind(word)
        if not self._has_name or self._is_waiting or after >= len(self._tokens):
            return False
        is_passive = self._words(after, 1) == "by"
        count = 2 if is_passive or self._words(after, 1) in lexicon.PARTICLES else 1
        follows = self._words(self._at + count, 1)
        if kind is None:
            if not is_activity(word) or follows not in lexicon.ARTICLES | lexicon.PRONOUNS.keys():
                return False
            kind = "touching"
        if not follows or follows in _ENDS or follows in {",", "and"} | lexicon.FILLERS:
            return False
        if kind != "inside" and self._words(after, 1) == "on" and word.startswith("ly"):
            return False
        self._begin_relation(kind, count, verb=True, is_passive=is_passive)
        return True

    def _begin_relation(self, kind: str, count: int, verb: bool = False, is_passive: bool = False) -> None:
        self._close()
        self._flush()
        words = self._words(self._at, count)
        self._waiting = _Waiting(kind, self._take(count), words, self._about(), verb, is_passive)
        self._after_and = False

    def _read_thing(self, token: Token) -> None:
        word = token.word
        if word in lexicon.ARTICLES and not (word in _WHO and self._has_name):
            self._close()
            self._is_definite = word == "the"
            self._at += 1
        elif word in lexicon.PRONOUNS and (found := self._referred(lexicon.PRONOUNS[word])) is not None:
            self._close()
            self._at += 1
            self._arrive(found)
        elif word in lexicon.FILLERS:
            self._close()
            if word in _BE and (self._at == 0 or self._tokens[self._at - 1].word not in _WHO):
                self._flush()
                self._last = self._subject if self._subject is not None else self._last
            self._at += 1
            self._after_and = False
        elif word == "of" and self._open is not None and not self._open.names:  # "the biggest of the dogs"
            self._at += 1 + (self._words(self._at + 1, 1) in lexicon.ARTICLES)
        elif word == "of" and self._open is not None and self._words(self._at + 1, 1) in lexicon.ARTICLES:
            self._begin_relation("with", 1)  # "the hand of the man"
        else:
            self._read_name(token)

    def _read_name(self, token: Token) -> None:
        adjective = self._adjective()
        is_said_of = self._last is not None and self._open is None and not self._begins_thing and not self._dangling
        if adjective is not None:
            attribute, count = adjective
            after = self._at + count
            comma = self._words(after, 1) == "," and not self._has_name and self._continues(after + 1)
            goes_on = self._continues(after) or self._words(after, 1) == "of" or comma
            if is_said_of and not goes_on:  # "the dog is red"
                self._at += count
                self._drafts[self._about() or 0].attributes.append(attribute)
                return
            draft = self._open
            if goes_on and (draft is None or not draft.names):
                draft = draft or self._begin_thing()
                draft.before = attribute.span[0] if draft.before is None else draft.before
                draft.attributes.append(attribute)
                self._at += count
                return
        if is_said_of and self._is_definite is False and not self._is_waiting and not self._after_and:
            self._drafts[self._last or 0].names.insert(0, token)  # "the dog is happy"
        else:
            (self._open or self._begin_thing()).names.append(token)
        self._at += 1

    @property
    def _begins_thing(self) -> bool:
        """Whether a new thing is to come: after an article, a relation, or "and"."""
        before = self._tokens[self._at - 1].word if self._at else ""
        return self._is_waiting or before in lexicon.ARTICLES or self._after_and or before == ""

    def _adjective(self) -> tuple[Attribute, int] | None:
        skipped = int(self._words(self._at, 1) in lexicon.SHADES and self._words(self._at + 1, 1) in lexicon.COLOURS)
        tables = (
            ("colour", lexicon.COLOURS),
            ("size", lexicon.SIZES),
            ("place", lexicon.PLACES),
            ("motion", lexicon.MOTIONS),
        )
        word = self._words(self._at + skipped, 1)
        for kind, table in tables:
            if word in table:
                start, end = self._tokens[self._at].start, self._tokens[self._at + skipped].end
                return Attribute(kind, table[word], (start, end)), 1 + skipped
        return None

    # Things and relations

    def _begin_thing(self) -> _Draft:
        self._close()
        draft = _Draft(self._sentence, self._is_definite)
        self._drafts.append(draft)
        self._arrive(len(self._drafts) - 1)
        return draft

    def _arrive(self, number: int) -> None:
        """A thing is spoken of: it may be what a relation waits for."""
        waiting = self._waiting
        if self._loose:
            self._drafts[number].attributes += self._loose
            self._loose = []
        is_second = waiting is not None and waiting.kind == "between" and len(waiting.others) == 1
        if waiting is not None and (not waiting.others or is_second):
            waiting.others.append(number)
        else:
            self._flush()
            for dangling in self._dangling:
                self._relate(dangling, number)
            self._dangling = []
            self._subject = number
            self._asked = number if self._asked is None else self._asked
        self._last, self._after_and, self._is_definite = number, False, False

    def _flush(self) -> None:
        """The relation that was waiting is complete, if its other thing has come."""
        waiting, self._waiting = self._waiting, None
        if waiting is None or not waiting.others:
            return
        if waiting.subject is None:
            self._dangling.append(waiting)
        else:
            self._relate(waiting, waiting.subject)

    def _relate(self, waiting: _Waiting, subject: int) -> None:
        kind, others = waiting.kind, tuple(waiting.others)
        if kind == "between" and len(others) < 2:
            kind = "inside"
        words = waiting.words
        if waiting.is_passive:
            subject, others, words = others[0], (subject,), words.removesuffix(" by")
        if subject not in others:
            self._relations.append(Relation(kind, subject, others, waiting.span, words, waiting.verb))

    def _as_worn(self, relation: Relation) -> Relation:
        """ "in a red shirt" is worn; so is what a person has "with" it."""
        able = relation.kind in ("inside", "with", "holding") and _is_clothing(self._drafts[relation.others[0]])
        return replace(relation, kind="worn") if able else relation

    def _also_worn(self, relations: list[Relation]) -> list[Relation]:
        """Clothes after "and": "wearing a jacket and black trousers"."""
        worn = {relation.others[0]: relation for relation in relations if relation.kind == "worn"}
        for number in range(1, len(self._drafts)):
            if number not in worn and number - 1 in worn and _is_clothing(self._drafts[number]):
                worn[number] = replace(worn[number - 1], others=(number,))
        return [relation for relation in worn.values() if relation not in relations]

    def _merge(self) -> None:
        """ "The car" is the car of a sentence before, if nothing else is said of it."""
        kept, number_of = list[_Draft](), dict[int, int]()
        for number, draft in enumerate(self._drafts):
            same = [place for place, other in enumerate(kept) if _is_same(other, draft)] if draft.is_definite else []
            number_of[number] = same[-1] if same else len(kept)
            if same:
                kept[same[-1]].attributes += [
                    each for each in draft.attributes if each.kind not in _kinds(kept[same[-1]])
                ]
            else:
                kept.append(draft)
        moved = [
            replace(each, subject=number_of[each.subject], others=tuple(number_of[other] for other in each.others))
            for each in self._relations
        ]
        self._drafts, self._relations = kept, [each for each in moved if each.subject not in each.others]
        self._asked = None if self._asked is None else number_of[self._asked]

    def _referred(self, kind: str) -> int | None:
        """What "it" or "he" is: of what was named in sentences before, the nearest subject of that kind."""
        before = [
            number for number, draft in enumerate(self._drafts) if draft.sentence < self._sentence or not draft.is_open
        ]
        people = {
            number
            for number in before
            if self._drafts[number].names[-1:] and self._drafts[number].names[-1].word in lexicon.PEOPLE
        }
        able = [number for number in before if (number in people) == (kind == "person")] or before
        subjects = {relation.subject for relation in self._relations}
        return max(able, key=lambda number: (self._drafts[number].sentence, number in subjects, number), default=None)


def _verb_kind(word: str) -> str | None:
    return next((kind for kind, forms in lexicon.VERBS.items() if re.fullmatch(forms, word)), None)


def _is_clothing(draft: _Draft) -> bool:
    return bool(draft.names) and draft.names[-1].word in lexicon.CLOTHES


def _kinds(draft: _Draft) -> set[str]:
    return {attribute.kind for attribute in draft.attributes}


def _is_same(before: _Draft, after: _Draft) -> bool:
    """Whether a later sentence speaks of the same thing."""
    values = {attribute.kind: attribute.value for attribute in before.attributes}
    agree = all(values.get(attribute.kind, attribute.value) == attribute.value for attribute in after.attributes)
    names = [[token.word for token in draft.names] for draft in (before, after)]
    return before.sentence < after.sentence and agree and names[0] == names[1]


def _thing(draft: _Draft) -> Thing:
    several = len(draft.names) > 1
    names = [token for token in draft.names if not (several and token.word in lexicon.ANYTHING)]
    words = [token.word for token in names]
    is_any = not words or (len(words) == 1 and words[0] in lexicon.ANYTHING)
    spans = [(token.start, token.end) for token in draft.names] or [draft.attributes[0].span]
    start = min([span[0] for span in spans] + ([] if draft.before is None else [draft.before]))
    name = "thing" if is_any else " ".join(token.text for token in names)
    judged = () if is_any else judged_words(words)
    worn = lexicon.CLOTHES.get(words[-1]) if words else None
    return Thing(name, (start, max(span[1] for span in spans)), tuple(draft.attributes), is_any, judged, worn)


def judged_words(words: list[str]) -> tuple[str, ...]:
    """The words of a name before its noun: "wooden" of "wooden table", none of "teddy bear" and "cup of coffee"."""
    until = words.index("of") if "of" in words[1:] else len(words)
    for start in range(until):
        if known(" ".join(words[start:])) or known(" ".join(words[start:until])):
            return tuple(words[:start])
    return tuple(words[: until - 1])
