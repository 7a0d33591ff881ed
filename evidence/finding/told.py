"""What was found, in lines and as data."""

from typing import Any

from evidence.finding.answer import Answer, Box, Finding, Part
from evidence.finding.over_time import Followed, OverTime
from pipeline.result import clock_text


def lines(found: Finding, most: int) -> list[str]:
    """`0:04  white sheep 0.91 at 86,23 260,245, track 2` and a line for each part below the best one."""
    head = f"{clock_text(found.picture.time_s)}  " if found.picture.is_film else ""
    asked = found.phrase.read(found.phrase.things[found.phrase.asked].span)
    if not found.is_there:
        near = f"; the best box has {found.answers[0].score:.2f}" if found.answers else ""
        return [f"{head}not there: {asked}{near}", *([] if not found.answers else _parts(found, found.answers[0]))]
    told = found.told[:most]
    first = f"{head}{asked} {_answer(told[0])}"
    return [first, *_parts(found, told[0]), *(f"{' ' * len(head)}or {_answer(each)}" for each in told[1:])]


def _answer(answer: Answer) -> str:
    track = "" if answer.track is None else f", track {answer.track}"
    return f"{answer.score:.2f} at {_corners(answer.box)}{track}"


def _corners(box: Box) -> str:
    x0, y0, x1, y1 = (round(side) for side in box)
    return f"{x0},{y0} {x1},{y1}"


def _parts(found: Finding, answer: Answer) -> list[str]:
    return [f"    {_part(found, part)}" for part in answer.parts]


def _part(found: Finding, part: Part) -> str:
    score = "not measured" if part.score is None else f"{part.score:.2f}"
    where = f" at {_corners(part.box)}" if part.kind == "thing" else ""
    note = f" ({part.note})" if part.note else ""
    return f"{part.kind} {found.phrase.read(part.span)!r}: {score}{where}{note}"


def facts(found: Finding, most: int) -> dict[str, Any]:
    """The same, for programs. Boxes are x0 y0 x1 y1 in pixels of the source, spans characters of the phrase."""
    return {
        "phrase": found.phrase.text,
        "time_s": round(found.picture.time_s, 3),
        "width": found.picture.width,
        "height": found.picture.height,
        "is_there": found.is_there,
        "answers": [_facts_of(found, each) for each in found.answers[:most]],
    }


def _facts_of(found: Finding, answer: Answer) -> dict[str, Any]:
    parts = [
        {"kind": part.kind, "text": found.phrase.read(part.span), "span": list(part.span), "box": list(part.box)}
        | {"score": None if part.score is None else round(part.score, 4)}
        | ({"note": part.note} if part.note else {})
        for part in answer.parts
    ]
    told = {"box": list(answer.box), "score": round(answer.score, 4), "fits": answer.score >= found.least}
    return told | ({} if answer.track is None else {"track": answer.track}) | {"parts": parts}


def film_lines(over: OverTime) -> list[str]:
    """Which tracks fit, over the whole film."""
    told = [_track(each) for each in over.tracks()] or ["no track fits"]
    return [f"{over.phrase.text}: {each}" for each in told]


def _track(each: Followed) -> str:
    return f"track {each.track}, {clock_text(each.begin_s)}–{clock_text(each.end_s)}, {each.score:.2f}"


def film_facts(over: OverTime) -> dict[str, Any]:
    tracks = [
        {
            "track": each.track,
            "begin_s": round(each.begin_s, 3),
            "end_s": round(each.end_s, 3),
            "score": round(each.score, 4),
        }
        for each in over.tracks()
    ]
    return {"phrase": over.phrase.text, "tracks": tracks}
