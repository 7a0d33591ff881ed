"""An answer as one plain sentence."""

from collections.abc import Sequence
from pathlib import PurePath

from archive.ask.answering import Answer, count, tracks_of
from archive.ask.happening import Happening
from archive.ask.question import Limit
from pipeline.logs import visible
from pipeline.result import clock_text

SHOWN = 5
"""Times that a sentence names."""


def sentence(answer: Answer) -> str:
    """`Dog barking was found twice after siren (0:04–0:06), at 0:08–0:10 and 0:14–0:18 (bark = dog barking).`"""
    text = _missing(answer) if answer.missing else _TOLD[answer.question.kind](answer)
    matched = "; ".join(str(match) for match in dict.fromkeys(answer.matches) if not match.is_literal)
    return f"{text[:1].upper()}{text[1:]}{f' ({matched})' if matched else ''}."


def _missing(answer: Answer) -> str:
    relation = next(limit.relation for limit in answer.question.limits if limit.thing == answer.missing)
    name = next((_names(match.names) for match in answer.matches if match.phrase == answer.missing), answer.missing)
    return f"{name} was not found, so nothing was {_NEAR.get(relation, relation)} it"


_NEAR = {"within": "near", "while": "during"}


def _how_often(answer: Answer) -> str:
    found = answer.found
    if not found:
        return f"{_thing(answer)} was not found{_limits(answer)}{_nearest(answer)}"
    return f"{_thing(answer)} was found {_times(count(found))}{_limits(answer)}, {_at(answer, found)}"


def _how_long(answer: Answer) -> str:
    if not answer.found:
        return f"{_thing(answer)} was not found{_limits(answer)}{_nearest(answer)}"
    stretches = f", in {count(answer.found)} stretches" if count(answer.found) > 1 else ""
    return f"{_thing(answer)} lasted {_length(answer.value)}{_limits(answer)}{stretches}, {_at(answer, answer.found)}"


def _how_many(answer: Answer) -> str:
    question = answer.question
    if answer.kind == "event":
        return f"{_how_often(answer)}; no track is called that, so events were counted"
    if question.at_once:
        return f"at most {answer.value} {_called(answer)} at once{_limits(answer)}"
    numbers = f": {_tracks(answer)}" if answer.found else ""
    return f"{answer.value} {_called(answer)}{_limits(answer)}{numbers}"


def _whether(answer: Answer) -> str:
    return f"{'yes' if answer.value else 'no'}: {_how_often(answer)}"


def _when(answer: Answer) -> str:
    if not answer.found:
        return f"{_thing(answer)} was not found{_limits(answer)}{_nearest(answer)}"
    if answer.question.ends:
        times = [_clock(answer, each, each.end_s) for each in answer.found]
        return f"{_which(answer)}{_thing(answer)} ended{_limits(answer)} at {_listed(times)}"
    return f"{_which(answer)}{_thing(answer)} was found{_limits(answer)} {_at(answer, answer.found)}"


def _which_track(answer: Answer) -> str:
    if not answer.found:
        return f"no {_called(answer).removeprefix('tracks ')} is among the tracks{_limits(answer)}"
    return f"{_called(answer)}{_limits(answer)}: {_tracks(answer)}"


def _where(answer: Answer) -> str:
    if not answer.found:
        return f"{_thing(answer)} was not found{_limits(answer)}{_nearest(answer)}"
    if answer.kind == "event":
        return _which_source(answer)
    places = [f"track {each.track} {_where_in(answer, each)}" for each in answer.found[:SHOWN]]
    return f"{_thing(answer)}{_limits(answer)}: {_listed(places, len(answer.found))}"


def _where_in(answer: Answer, each: Happening) -> str:
    place = f"in {each.place}" if answer.kind == "visit" else f"at {each.place}" if answer.kind == "crossing" else ""
    return f"{place or f'{each.place} in the picture'} at {_clock(answer, each, each.start_s)}"


def _which_source(answer: Answer) -> str:
    names = list(dict.fromkeys(each.source for each in answer.found))
    of = f"{len(names)} of {answer.sources} source{'s' * (answer.sources != 1)}"
    listed = f": {_listed([_short(name) for name in names], len(names))}" if names else ""
    return f"{_thing(answer)} was found in {of}{_limits(answer)}{listed}"


def _what(answer: Answer) -> str:
    if not answer.found:
        return f"no label was found{_limits(answer)}"
    texts = []
    for name in answer.value[: 2 * SHOWN]:
        those = [each for each in answer.found if each.what == name]
        often = f" {_times(count(those))}, first" if count(those) > 1 else ""
        texts.append(f"{visible(name) or 'a track without a name'}{often} at {_span(answer, those[0])}")
    limits = _limits(answer).strip()
    return f"{limits + ': ' if limits else ''}{_listed(texts, len(answer.value))}"


_TOLD = {
    "how often": _how_often,
    "how long": _how_long,
    "how many": _how_many,
    "whether": _whether,
    "when": _when,
    "which track": _which_track,
    "where": _where,
    "which source": _which_source,
    "what": _what,
}


def _thing(answer: Answer) -> str:
    match = next((each for each in answer.matches if each.phrase == answer.question.thing), None)
    return _names(match.names) if match else "a track"


def _called(answer: Answer) -> str:
    is_one = answer.value == 1 or (isinstance(answer.value, list) and len(answer.value) == 1)
    return f"track{'' if is_one else 's'}{f' called {_thing(answer)}' if answer.question.thing else ''}"


def _names(names: Sequence[str]) -> str:
    shown = [visible(name) for name in names[:SHOWN]]
    return " or ".join(filter(None, (", ".join(shown[:-1]), shown[-1])))


def _which(answer: Answer) -> str:
    return f"the {answer.question.which} " if answer.question.which else ""


def _limits(answer: Answer) -> str:
    """` after siren (0:04–0:06) in yard.mp4`"""
    return "".join(f" {_limit(answer, limit)}" for limit in answer.question.limits)


def _limit(answer: Answer, limit: Limit) -> str:
    if limit.relation == "at":
        return f"at {clock_text(limit.start_s)}"
    if limit.relation == "from":
        if limit.of_end:
            return f"in the last {_length(limit.end_s)}"
        if limit.end_s == float("inf"):
            return f"after {clock_text(limit.start_s)}"
        if not limit.start_s:
            return f"before {clock_text(limit.end_s)}"
        return f"between {clock_text(limit.start_s)} and {clock_text(limit.end_s)}"
    if limit.place:
        way = f" ({limit.verb})" if limit.verb else ""
        return f"{'across' if answer.kind == 'crossing' else 'in'} {_short(limit.place)}{way}"
    match = next(each for each in answer.matches if each.phrase == limit.thing)
    those = answer.references.get(limit.thing, ())
    few = [_span(answer, each) for each in those[:2]]
    shown = f" ({_listed(few, len(those))})" if few else ""
    near = f"within {_length(limit.seconds)} {limit.way or 'of'}" if limit.relation == "within" else limit.relation
    near = "during" if near == "while" else near
    return f"{near} {f'the {limit.which} ' if limit.which else ''}{_names(match.names)}{shown}"


def _nearest(answer: Answer) -> str:
    near = next((each for each in answer.proofs if each.is_about == "nearest"), None)
    if near is None:
        return ""
    when = f"{clock_text(near.start_s)}–{clock_text(near.end_s)}"
    return f"; its most probable clip is {_file(answer, near.source)}{when} with {100 * near.probability:.0f} %"


def _at(answer: Answer, found: Sequence[Happening]) -> str:
    return f"at {_listed([_span(answer, each) for each in found[:SHOWN]], len(found))}"


def _span(answer: Answer, each: Happening) -> str:
    until = f"–{clock_text(each.end_s)}" if each.end_s > each.start_s else ""
    return f"{_clock(answer, each, each.start_s)}{until}"


def _clock(answer: Answer, each: Happening, time_s: float) -> str:
    return f"{_file(answer, each.source)}{clock_text(time_s)}"


def _file(answer: Answer, source: str) -> str:
    return f"{_short(source)} " if answer.sources > 1 else ""


def _tracks(answer: Answer) -> str:
    numbers = [f"{_file(answer, source)}{number}" for source, number in tracks_of(answer.found)]
    return _listed(numbers[: 2 * SHOWN], len(numbers))


def _short(source: str) -> str:
    return visible(source if "://" in source else PurePath(source).name)


def _times(number: int) -> str:
    return {1: "once", 2: "twice"}.get(number, f"{number} times")


def _length(seconds: float) -> str:
    return f"{seconds:g} s" if seconds < 120 else clock_text(seconds)


def _listed(texts: Sequence[str], total: int | None = None) -> str:
    """`0:08, 0:14 and 0:20`, `0:08, 0:14 and 12 more`"""
    more = (total or 0) - len(texts)
    parts = [*texts, f"{more} more"] if more > 0 else list(texts)
    return " and ".join(filter(None, (", ".join(parts[:-1]), parts[-1]))) if parts else ""
