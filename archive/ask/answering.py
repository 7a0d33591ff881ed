"""Computes the answer to a question from a log."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from archive.ask.grammar import Names, parse
from archive.ask.happening import Happening, joined
from archive.ask.limits import BRIEFLY_S, later, windows_of
from archive.ask.log import Log
from archive.ask.matching import Match, Matcher, no_word
from archive.ask.question import Limit, Question, Which
from archive.ask.source_log import SourceLog
from archive.ask.stems import says_nothing
from pipeline.errors import ConfigError
from pipeline.logs import visible
from pipeline.result import clock_text
from stages.text.phrases import plain, split_text

_VERBS = {"visit": {"in": "entered", "out": "left"}, "crossing": {"entered": "in", "left": "out"}}
"""How a zone and a line call what was done there."""


@dataclass(frozen=True)
class Proof:
    """A stretch that proves an answer. probability: mean over its clips."""

    source: str
    start_s: float
    end_s: float
    probability: float
    what: str
    track: int | None = None
    wall: str = ""
    is_about: str = "answer"
    """`answer`; `reference`: the thing before or after which was asked; `nearest`: the most probable clip of a thing
    that was not found."""


@dataclass(frozen=True)
class Answer:
    """What a log says. value: the answer for programs, see docs/asking.md; None if the log does not have the thing that
    was asked about before, after or while."""

    question: Question
    value: Any
    found: tuple[Happening, ...]
    """What the answer rests on, cut to the time and place that were asked about."""
    proofs: tuple[Proof, ...]
    matches: tuple[Match, ...]
    kind: str = "event"
    """Of what was found: event, track, visit or crossing."""
    references: Mapping[str, tuple[Happening, ...]] = field(default_factory=dict)
    """By the words of the question, what it was compared with."""
    missing: str = ""
    """The thing that was asked about before, after or while, if it was never found."""
    sources: int = 1


def answer(text: str, log: Log, matcher: Matcher | None = None) -> Answer:
    """Raises: ConfigError: it is no question to a log, or the log lacks the words for it."""
    names = Names(log.zones, log.lines, [source.name for source in log.sources])
    question = parse(text, names)
    return Answering(question, log, matcher or Matcher()).answer()


class Answering:
    """One question to one log."""

    def __init__(self, question: Question, log: Log, matcher: Matcher) -> None:
        self._question, self._log, self._matcher = question, log, matcher
        self._matches: list[Match] = []
        self._references: dict[str, tuple[Happening, ...]] = {}

    def answer(self) -> Answer:
        question = self._question
        places = [limit for limit in question.limits if limit.place]
        sources = self._sources(places)
        self._check_times(sources)
        timed = [limit for limit in question.limits if limit.relation not in ("in", "at")]
        limits = [(limit, self._reference(limit, sources)) for limit in timed]
        kind, pick = self._thing(places)
        found: list[Happening] = []
        for source in sources:
            windows = windows_of(source, limits)
            whole = pick(source)
            found += [cut for each in whole for cut in each.within(windows)]
        for limit in (limit for limit in question.limits if limit.relation == "at"):
            found = [each for each in found if each.start_s <= limit.start_s < each.end_s]
        found = self._without_references(limits, found)
        found = _chosen(found, question.which)
        missing = next((limit.thing for limit, those in limits if limit.thing and not those), "")
        value = self._value(found, kind, sources)
        proofs = [_proof(each) for each in found]
        proofs = proofs or self._nearest(sources, kind)
        proofs += [_proof(each, "reference") for those in self._references.values() for each in those]
        return Answer(
            question, value, tuple(found), tuple(proofs), tuple(self._matches), kind, self._references, missing,
            len(self._log.sources),
        )  # fmt: skip

    # -- what the question is about

    def _sources(self, places: Sequence[Limit]) -> list[SourceLog]:
        known = {source.name for source in self._log.sources}
        asked = {limit.place for limit in places if limit.place in known}
        return [source for source in self._log.sources if not asked or source.name in asked]

    def _check_times(self, sources: Sequence[SourceLog]) -> None:
        end_s = max((high for source in sources for _, high in source.spans.values()), default=0.0)
        for limit in self._question.limits:
            if limit.relation in ("from", "at") and not limit.of_end and limit.start_s >= end_s:
                raise ConfigError(f"{clock_text(limit.start_s)} is not in the log; it ends at {clock_text(end_s)}")

    def _thing(self, places: Sequence[Limit]) -> tuple[str, Callable[[SourceLog], list[Happening]]]:
        """What kind of happening is asked for, and what picks those of a source."""
        zones = [limit for limit in places if limit.place in self._log.zones]
        lines = [limit for limit in places if limit.place in self._log.lines]
        if zones or lines:
            return self._in_place((zones or lines)[0], "visit" if zones else "crossing")
        question = self._question
        counts = question.kind == "how many" and (not question.thing or self._names_track(question.thing))
        if question.kind == "which track" or counts:
            names = self._track_names(question.thing)
            return "track", lambda source: [each for each in source.tracks if names is None or each.what in names]
        if question.kind == "what":
            return "event", lambda source: source.events
        if pick := self._written(question.thing):
            return "event", pick
        if match := self._matcher.find(question.thing, self._log.labels):
            self._matches.append(match)
            if (
                question.kind == "where"
                and len(self._log.sources) == 1
                and (names := self._names_track(question.thing))
            ):
                return "track", lambda source: [each for each in source.tracks if each.what in names]
            return "event", lambda source: joined(each for each in source.events if each.is_any_of(match.names))
        if names := self._names_track(question.thing):
            self._matches.append(Match(question.thing, tuple(sorted(names))))
            return "track", lambda source: [each for each in source.tracks if each.what in names]
        raise no_word(question.thing, self._log.labels | self._log.names, places=self._log.zones | self._log.lines)

    def _written(self, thing: str) -> Callable[[SourceLog], list[Happening]] | None:
        """What picks the stretches where `text:"EXIT"` can be read; None if the thing is none to read."""
        rest, phrases = split_text(thing)
        if not phrases:
            return None
        if len(phrases) > 1 or not says_nothing(rest):
            raise ConfigError(f'{visible(thing)!r}: expected only what is read, such as text:"EXIT"')
        if not self._log.has_text:
            raise ConfigError("the log has nothing that was read; run it again with --text")
        self._matches.append(Match(thing, (f"“{phrases[0]}”",), is_quoted=True))
        wanted = plain(phrases[0])
        return lambda source: joined(
            replace(each, what=phrases[0]) for each in source.written if wanted in plain(each.what)
        )

    def _names_track(self, thing: str) -> set[str]:
        match = self._matcher.find(thing, self._log.names, with_model=False) if thing else None
        return set(match.names) if match else set()

    def _track_names(self, thing: str) -> set[str] | None:
        """The names of the tracks that are asked for; None for all of them."""
        if not self._log.has_tracks:
            raise ConfigError(
                "the log has no tracks, so it cannot say which or how many; label again without --detect none"
            )
        if not thing:
            return None
        match = self._matcher.find(thing, self._log.names)
        if match is None:
            raise no_word(thing, self._log.names, "track called")
        self._matches.append(match)
        return set(match.names)

    def _in_place(self, limit: Limit, kind: str) -> tuple[str, Callable[[SourceLog], list[Happening]]]:
        """Visits of a zone, or crossings of a line, by what the question is about."""
        question = self._question
        names: set[str] | None = None
        if question.thing:
            called = {each.what for source in self._log.sources for each in (*source.visits, *source.crossings)}
            known = (called | self._log.names) - {""}
            match = self._matcher.find(question.thing, known)
            if match is None:
                raise no_word(question.thing, known, "track called")
            self._matches.append(match)
            names = set(match.names)
        verb = _VERBS[kind].get(limit.verb, limit.verb)
        way = "" if verb == "entered" else verb

        def there(source: SourceLog) -> list[Happening]:
            those = source.visits if kind == "visit" else source.crossings
            named = [each for each in those if each.place == limit.place and (names is None or each.what in names)]
            return [each for each in named if way in ("", each.way)]

        if verb == "entered":
            return kind, lambda source: [replace(each, end_s=each.start_s) for each in there(source)]
        if verb == "left":
            return kind, lambda source: [replace(each, start_s=each.end_s, wall="") for each in there(source)]
        return kind, there

    # -- limits

    def _reference(self, limit: Limit, sources: Sequence[SourceLog]) -> dict[str, list[Happening]]:
        """By source, what a limit refers to."""
        if not limit.thing:
            return {}
        happenings = self._named(limit.thing)
        found = {source.name: happenings(source) for source in sources}
        which = limit.which or ("first" if limit.relation in ("after", "before") else "")
        chosen = {name: _chosen(those, which) for name, those in found.items()}
        chosen = {name: those for name, those in chosen.items() if those}
        self._references[limit.thing] = tuple(each for those in chosen.values() for each in those)
        return chosen

    def _named(self, thing: str) -> Callable[[SourceLog], list[Happening]]:
        """What picks the events, or the tracks, of a thing."""
        if pick := self._written(thing):
            return pick
        if match := self._matcher.find(thing, self._log.labels):
            self._matches.append(match)
            return lambda source: joined(each for each in source.events if each.is_any_of(match.names))
        if names := self._names_track(thing):
            self._matches.append(Match(thing, tuple(sorted(names))))
            return lambda source: [each for each in source.tracks if each.what in names]
        raise no_word(thing, self._log.labels | self._log.names)

    def _without_references(self, limits: Sequence[tuple[Limit, Any]], found: list[Happening]) -> list[Happening]:
        """What happened while it rained is not the rain."""
        if self._question.kind != "what":
            return found
        same = {match.phrase: match.names for match in self._matches}
        names = {
            name for limit, _ in limits if limit.relation in ("while", "within") for name in same.get(limit.thing, ())
        }
        return [each for each in found if not each.is_any_of(names)]

    # -- the answer

    def _value(self, found: Sequence[Happening], kind: str, sources: Sequence[SourceLog]) -> Any:
        question = self._question
        match question.kind:
            case "how often":
                return count(found)
            case "how long":
                return round(sum(each.seconds for each in joined(found)), 3)
            case "how many":
                if question.at_once:
                    return at_once(found)
                return count(found) if kind == "event" else len(tracks_of(found))
            case "whether":
                return bool(found)
            case "which track":
                return [number for _, number in tracks_of(found)]
            case "which source":
                names = list(dict.fromkeys(each.source for each in found))
                return len(names) if question.count else names
            case "where":
                return self._places(found, kind)
            case "what":
                return list(
                    dict.fromkeys(each.what for each in sorted(found, key=lambda each: (each.start, each.what)))
                )
        return [round(each.end_s if question.ends else each.start_s, 3) for each in found]

    def _places(self, found: Sequence[Happening], kind: str) -> list[str]:
        if kind != "event":
            return list(dict.fromkeys(each.place for each in found if each.place))
        if len(self._log.sources) == 1:
            raise ConfigError(
                f"the log has one source and no track called {visible(self._question.thing)!r}, so it cannot say where "
                "in the picture. Ask: percept where FILE --labels WORD"
            )
        return list(dict.fromkeys(each.source for each in found))

    def _nearest(self, sources: Sequence[SourceLog], kind: str) -> list[Proof]:
        """The most probable clip of what was not found."""
        names = self._matches[-1].names if self._matches and kind == "event" else ()
        those = [(source.best[name], name, source.name) for source in sources for name in names if name in source.best]
        if not those or self._question.limits:
            return []
        best, name, source = max(those, key=lambda each: each[0].probability)
        return [Proof(source, best.start_s, best.end_s, best.probability, name, is_about="nearest")]


def _chosen(found: Sequence[Happening], which: Which) -> list[Happening]:
    """All of them, or in each source the first, the last or the longest."""
    if not which:
        return list(found)
    by_source: dict[str, list[Happening]] = {}
    for each in found:
        by_source.setdefault(each.source, []).append(each)
    if which == "longest":
        return [max(those, key=lambda each: each.seconds) for those in by_source.values()]
    if which == "last":
        return [max(those, key=lambda each: (each.start, each.end)) for those in by_source.values()]
    return [min(those, key=lambda each: (each.start, each.end)) for those in by_source.values()]


def count(found: Iterable[Happening]) -> int:
    """How many happenings. One that was cut into several counts once."""
    return len({each.whole for each in found})


def tracks_of(found: Iterable[Happening]) -> list[tuple[str, int]]:
    """The tracks, by source and number, in order of their first picture."""
    return list(dict.fromkeys((each.source, each.track) for each in found if each.track is not None))


def at_once(found: Sequence[Happening]) -> int:
    """How many there were at the same time, at most: in a source, by first and last picture."""
    edges = [((each.source, each.start), 1) for each in found]
    edges += [((each.source, max(each.end, later(each.start, BRIEFLY_S))), -1) for each in found]
    most = now = 0
    for _, step in sorted(edges):
        now += step
        most = max(most, now)
    return most


def _proof(each: Happening, is_about: str = "answer") -> Proof:
    return Proof(each.source, each.start_s, each.end_s, each.probability, each.what, each.track, each.wall, is_about)
