"""The closed grammar of questions: a kind, a thing, and what limits it in time and place."""

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

from archive.ask.question import Kind, Limit, Question, Relation, Which
from archive.ask.stems import stems, words_in
from pipeline.errors import ConfigError
from pipeline.logs import visible
from pipeline.result import clock_seconds

LONGEST = 500
COULD = (
    "when did …, how often …, how long …, how many …, is there …, what happened …, which track …, where …, which "
    "file …, each with first or last, and with after, before, while, within 5 s of, between 0:10 and 0:20, in a zone "
    "or a file"
)
HEADS: tuple[tuple[str, Kind], ...] = (
    (r"how (?:often|many times|frequently)", "how often"),
    (r"(?:for )?how (?:long|much time|many (?:seconds|minutes|hours))", "how long"),
    (r"(?:in |on )?how many (?:files?|videos?|films?|recordings?|sources?|cameras?)", "which source"),
    (r"how many", "how many"),
    (r"(?:in |on )?(?:which|what) (?:files?|videos?|films?|recordings?|sources?|cameras?)", "which source"),
    (r"(?:which|what) tracks?(?: numbers?)?", "which track"),
    (r"when|(?:at |from )?(?:what|which) (?:times?|moments?)", "when"),
    (r"where", "where"),
    (r"what(?:'s|’s)?", "what"),
    (r"which", "which track"),
    (r"is|are|was|were|did|does|do|has|have|had", "whether"),
)
_REFUSED = {
    "why": "why something happened; percept explain says what a label's evidence is",
    "who": "who somebody is; ask which track",
    "whose": "whose something is",
    "will": "what is yet to come",
    "would": "what might be",
    "should": "what ought to be",
    "not": "what did not happen; ask for what did",
    "never": "what did not happen; ask for what did",
    "without": "what did not happen; ask for what did",
    "except": "all but one thing; ask for one",
    "than": "to compare; ask for one thing at a time",
    "and": "for two things at once; ask for one at a time, for either with or, or put a label with and in quotes",
}
"""Words of questions that a log cannot answer, and what they ask."""
_TIME = r"(?:\d+:\d\d(?::\d\d)?(?:\.\d+)?|\d+(?:\.\d+)? ?(?:s|sec|seconds?|m|min|minutes?|h|hours?))"
_COUNT = r"(?P<{0}>\d+(?:\.\d+)?|a|one|half a)? ?(?P<{0}_unit>s|sec|seconds?|m|min|minutes?|h|hours?)"
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}
_OPENERS = (
    rf"(?P<near>within|in|during)(?: the)?(?: first| next| last)? {_COUNT.format('near_n')} "
    r"(?P<way>of|after|before|around)",
    rf"(?:between|from) (?P<low>{_TIME}) (?:and|to|until|till) (?P<high>{_TIME})",
    rf"(?:in|during|within) the (?P<edge>first|last) {_COUNT.format('edge_n')}",
    rf"(?P<clock>after|before|since|until|till|at) (?P<time>{_TIME})",
    r"(?P<relation>after|before|while|whilst|during|when|whenever|until|till|since)",
)
_PLACES = (
    r"(?:(?P<verb>enter(?:s|ed|ing)?|leav(?:e|es|ing)|left|cross(?:es|ed|ing)?|pass(?:es|ed|ing)?|visit(?:s|ed|ing)?)"
    r"(?: through| over| by)?"
    r"|(?:(?P<verb_way>in|out|inwards|outwards|into) )?(?:in|on|at|from|through|across|over|inside|into|by))"
    r"(?: the)?(?: zone| file| video| camera| line| source)? (?P<place>{names})"
    r"(?: zone| line| camera)?(?: (?P<to>in|out))?"
)
_WHOLE = re.compile(r" (?:in total|in all|altogether|overall|(?:of|in) the (?:film|video|recording|log|file))(?= |$)")
"""Says nothing that a question does not say without it."""
_BEFORE = re.compile(r"(?:after|before|while|during|within|between|from|in|at|since|until) ")
_VERBS = {"ent": "entered", "int": "entered", "lea": "left", "lef": "left", "in": "in", "inw": "in", "out": "out"}


@dataclass(frozen=True)
class Names:
    """What a question may name in quotes or as a place."""

    zones: Collection[str] = ()
    lines: Collection[str] = ()
    sources: Collection[str] = ()

    def places(self) -> dict[str, str]:
        """Places as people write them, and their names in the log."""
        found: dict[str, str] = {}
        for name in self.sources:
            base = re.split(r"[/\\]", name)[-1]
            for written in (name, base, base.rpartition(".")[0]):
                if written:
                    found.setdefault(written.casefold(), name)
        for name in (*self.zones, *self.lines):
            found[name.casefold()] = name
        return found


def parse(text: str, names: Names) -> Question:
    """Raises: ConfigError: the question is of no kind that a log can answer."""
    if len(text) > LONGEST:
        raise ConfigError(f"the question has {len(text):,} characters; expected at most {LONGEST}")
    plain, quotes = _without_quotes(_plain(text))
    places = names.places()
    pattern = _opener(places)
    kind, count, rest = _head(text, plain)
    pieces = list(_pieces(pattern, rest))
    _refuse_words(text, [plain.partition(" ")[0], *(word for _, words in pieces for word in words_in(words))])
    limits = tuple(_limit(text, match, words, places) for match, words in pieces[1:])
    question = _main(text, kind, count, pieces[0][1])
    return _with_quotes(replace(question, limits=limits), quotes)


def _plain(text: str) -> str:
    """In lower case but for what is quoted, with single spaces, without the mark at the end. What stands before the
    question, as in "after the siren, did it rain?", goes to its end."""
    parts = re.split(r'("[^"]*"|“[^”]*”)', " ".join(text.split()))
    plain = "".join(part if part[:1] in ('"', "“") else part.casefold() for part in parts).rstrip("?!. ")
    plain = _WHOLE.sub("", plain)
    before, comma, question = plain.partition(", ")
    return f"{question} {before}" if comma and _BEFORE.match(before) else plain


def _without_quotes(text: str) -> tuple[str, list[str]]:
    """A text with a word for each quotation, and the quotations."""
    quotes: list[str] = []

    def kept(match: "re.Match[str]") -> str:
        quotes.append(match[0][1:-1])
        return f"qq{len(quotes) - 1}qq"

    return re.sub(r'"[^"]*"|“[^”]*”', kept, text), quotes


def _with_quotes(question: Question, quotes: Sequence[str]) -> Question:
    def back(phrase: str) -> str:
        phrase = re.sub(r"text:qq(\d+)qq", lambda match: f'text:"{quotes[int(match[1])]}"', phrase)
        return re.sub(r"qq(\d+)qq", lambda match: quotes[int(match[1])], phrase)

    limits = tuple(replace(limit, thing=back(limit.thing)) for limit in question.limits)
    return replace(question, thing=back(question.thing), limits=limits)


def _head(text: str, plain: str) -> tuple[Kind, bool, str]:
    """The kind of a question, whether it asks for the number of sources, and the rest of it."""
    for pattern, kind in HEADS:
        if match := re.match(rf"(?:and )?(?:{pattern})\b ?", plain):
            return kind, kind == "which source" and "how many" in match[0], plain[match.end() :]
    first = plain.partition(" ")[0]
    if first in _REFUSED:
        raise _refusal(text, first)
    raise ConfigError(f"{visible(text)!r}: is no question to a log; expected one such as {COULD}")


def _refuse_words(text: str, words: Sequence[str]) -> None:
    for word in words:
        if word.removesuffix("n't") in _REFUSED or word.endswith("n't"):
            raise _refusal(text, "not" if word.endswith("n't") else word)


def _refusal(text: str, word: str) -> ConfigError:
    return ConfigError(f"{visible(text)!r}: asks {_REFUSED[word]}. A log can answer: {COULD}")


def _opener(places: Collection[str]) -> "re.Pattern[str]":
    """What begins a limit. Longer names of places come first."""
    names = "|".join(re.escape(each) for each in sorted(places, key=len, reverse=True))
    openers = [*_OPENERS[:-1], *([_PLACES.replace("{names}", names)] if places else []), _OPENERS[-1]]
    return re.compile(rf"(?<!\S)(?:{'|'.join(openers)})(?!\S)")


def _pieces(pattern: "re.Pattern[str]", rest: str) -> "Iterator[tuple[Any, str]]":
    """The text up to the first limit, and each limit with the text after it."""
    matches = list(pattern.finditer(rest))
    ends = [match.start() for match in matches] + [len(rest)]
    yield None, _trimmed(rest[: ends[0]])
    for match, end in zip(matches, ends[1:], strict=True):
        yield match, _trimmed(rest[match.end() : end])


def _trimmed(text: str) -> str:
    return re.sub(r"(?:^|[ ,])(?:and|but)$", "", text.strip(" ,")).strip(" ,")


def _limit(text: str, match: Any, words: str, places: dict[str, str]) -> Limit:
    found = {name: value for name, value in match.groupdict().items() if value}
    if "place" in found:
        _no_more(text, words)
        given = (_VERBS.get(found.get(name, "")[:3], "") for name in ("verb", "verb_way", "to"))
        verb = next(filter(None, given), "")
        return Limit("in", place=places[found["place"]], verb=cast(Any, verb))
    if "low" in found:
        _no_more(text, words)
        return _between(text, _seconds(found["low"]), _seconds(found["high"]))
    if "edge" in found:
        _no_more(text, words)
        return Limit("from", end_s=_length(found, "edge_n"), of_end=found["edge"] == "last")
    if "time" in found:
        _no_more(text, words)
        return _at(found["clock"], _seconds(found["time"]))
    which, thing = _which(words)
    if not stems(thing) or not thing:
        raise ConfigError(
            f"{visible(text)!r}: {match[0]!r} has nothing after it; expected a thing or a time, such as 0:10"
        )
    if "near" in found:
        way = found["way"] if found["way"] in ("after", "before") else ""
        return Limit("within", thing, which, cast(Any, way), _length(found, "near_n"))
    relation = {"since": "after", "until": "before", "till": "before"}.get(found["relation"], found["relation"])
    relation = relation if relation in ("after", "before") else "while"
    return Limit(cast(Relation, relation), thing, which)


def _no_more(text: str, words: str) -> None:
    if words:
        raise ConfigError(
            f"{visible(text)!r}: {words!r} cannot be understood where it stands; put it before the place or the time"
        )


def _between(text: str, start_s: float, end_s: float) -> Limit:
    if end_s <= start_s:
        raise ConfigError(f"{visible(text)!r}: ends before it begins; expected two times such as 0:10 and 0:20")
    return Limit("from", start_s=start_s, end_s=end_s)


def _at(word: str, time_s: float) -> Limit:
    if word in ("after", "since"):
        return Limit("from", start_s=time_s)
    if word == "at":
        return Limit("at", start_s=time_s)
    return Limit("from", end_s=time_s)


def _seconds(text: str) -> float:
    if ":" in text:
        return clock_seconds(text)
    number, unit = re.fullmatch(r"([\d.]+) ?(\w).*", text).groups()  # type: ignore[union-attr]
    return float(number) * _UNITS[unit]


def _length(found: dict[str, str], name: str) -> float:
    """Of `10 seconds`, `a minute`, `minute` and `half a minute`."""
    count = {"": 1.0, "a": 1.0, "one": 1.0, "half a": 0.5}.get(found.get(name, ""))
    return (float(found[name]) if count is None else count) * _UNITS[found[f"{name}_unit"][0]]


def _which(words: str) -> tuple[Which, str]:
    """The first, the last or the longest of a thing, and the thing."""
    words = re.sub(r"^(?:there (?:was|is|were|are)|it (?:was|is)) ", "", words)
    time = re.search(r" ?\bfor the (first|last) time\b", words)
    if time:
        return cast(Which, time[1]), (words[: time.start()] + words[time.end() :]).strip()
    match = re.search(r"\b(first|last|longest)\b ?", words)
    if not match:
        return "", words
    return cast(Which, match[1]), (words[: match.start()] + words[match.end() :]).strip()


_ONCE = re.compile(r" ?\b(?:at once|at the same time|at a time|at one time|together|simultaneously)\b")
_ENDED = re.compile(r" ?\b(?:(?:end(?:s|ed)?|over)$|(?:stop(?:s|ped)?|finish(?:es|ed)?|ceased?)(?:$|(?= \w+ing\b)))")
_AUXILIARY = re.compile(r"^(?:(?:did|does|do|was|were|is|are|has|have|had|been|there|it|you|we|i|any|ever) )+")
_NOTHING = re.compile(
    r"(?:(?:else|happen(?:s|ed|ing)?|occur(?:s|red)?|there|seen|see|heard|hear|comes?|came|going on|went on|goes on"
    r"|next|tracks?|objects?|be|was|is|were|are|the|you|we|things?|events?|sounds?|noises?|shown|visible|audible"
    r"|found|in it|did|do|does|can|first|last) ?)*"
)


def _main(text: str, kind: Kind, count: bool, words: str) -> Question:
    once = _ONCE.search(words)
    words = _ONCE.sub("", words)
    which, words = _which(words)
    words = _AUXILIARY.sub("", words).strip()
    ended = _ENDED.search(words) if kind == "when" else None
    thing = (words[: ended.start()] + words[ended.end() :] if ended else words).strip()
    if _NOTHING.fullmatch(thing) or thing in ("there", "it"):
        thing = ""
    if kind == "what" and thing:
        raise ConfigError(
            f"{visible(text)!r}: asks what {visible(thing)!r} was, which a log does not tell. It can answer: {COULD}"
        )
    if not thing and kind not in ("what", "which track", "how many"):
        raise ConfigError(f"{visible(text)!r}: names no thing; expected a word of the log, such as dog barking")
    return Question(text, kind, thing, which, at_once=bool(once), ends=bool(ended), count=count)
