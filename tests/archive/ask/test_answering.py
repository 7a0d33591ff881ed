"""Generated logs are asked generated questions; each answer is computed a second time, clip by clip."""

import random
from collections.abc import Callable
from typing import Any

import pytest

from archive.ask.answering import answer
from archive.ask.log import Log, log_of
from archive.ask.sentences import sentence
from pipeline.errors import ConfigError
from pipeline.result import ClipRecord, Crossing, Label, TextLine, Track, Visit, ZoneVisits
from pipeline.status import EventOptions

CLIP_S = 2
ENTER, LEAVE = 0.5, 0.3
WORDS = {
    "dog barking": "the dog bark",
    "siren": "the siren sound",
    "rain": "it rain",
    "people talking": "somebody talk",
}
THINGS = {
    "dog barking": "the dog barking",
    "siren": "the siren",
    "rain": "the rain",
    "people talking": "people talking",
}


class Made:
    """A log of one or two sources, and what a test knows of it: a list of probabilities by clip, for each label."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.values = {
            name: {label: self._values(self.random.randint(20, 40)) for label in WORDS}
            for name in ("yard.mp4", "street.mp4")[: self.random.randint(1, 2)]
        }
        for values in self.values.values():
            shortest = min(map(len, values.values()))
            values.update({label: each[:shortest] for label, each in values.items()})
        records = [self._record(name, clip) for name, each in self.values.items() for clip in range(len(each["rain"]))]
        self.log: Log = log_of(records, EventOptions())

    def _values(self, clips: int) -> list[float]:
        found: list[float] = []
        while len(found) < clips:
            found += [self.random.choice((0.05, 0.1, 0.35, 0.7, 0.9))] * self.random.randint(1, 4)
        return found[:clips]

    def _record(self, source: str, clip: int) -> ClipRecord:
        labels = [Label(label, values[clip], 0.2) for label, values in self.values[source].items()]
        start_s = float(CLIP_S * clip)
        return ClipRecord(
            source=source, epoch=0, clip=clip, start_s=start_s, end_s=start_s + CLIP_S, parts={"labels": labels}
        )

    def clips_of(self, source: str, label: str) -> list[set[int]]:
        """The clips of each event of a label: from a probable one on, up to an improbable one."""
        events: list[set[int]] = []
        for clip, value in enumerate(self.values[source][label]):
            goes_on = bool(events) and clip - 1 in events[-1]
            if value >= (LEAVE if goes_on else ENTER):
                if not goes_on:
                    events.append(set())
                events[-1].add(clip)
        return events


Cut = Callable[[str], set[int]]
"""The clips of a source that a question leaves."""


def everything(made: Made) -> tuple[str, Cut]:
    return "", lambda source: set(range(100))


def after(made: Made) -> tuple[str, Cut]:
    label, which = made.random.choice(list(WORDS)), made.random.choice(("", "first ", "last "))

    def cut(source: str) -> set[int]:
        events = made.clips_of(source, label)
        return set(range(max(events[-1 if which == "last " else 0]) + 1, 100)) if events else set()

    return f"after the {which}{label}", cut


def before(made: Made) -> tuple[str, Cut]:
    label = made.random.choice(list(WORDS))

    def cut(source: str) -> set[int]:
        events = made.clips_of(source, label)
        return set(range(min(events[0]))) if events else set()

    return f"before {THINGS[label]}", cut


def during(made: Made) -> tuple[str, Cut]:
    label = made.random.choice(list(WORDS))
    return f"while there was {THINGS[label]}", lambda source: set().union(*made.clips_of(source, label))


def near(made: Made) -> tuple[str, Cut]:
    label, clips = made.random.choice(list(WORDS)), made.random.randint(1, 4)

    def cut(source: str) -> set[int]:
        found = (range(min(each) - clips, max(each) + clips + 1) for each in made.clips_of(source, label))
        return {clip for each in found for clip in each}

    return f"within {CLIP_S * clips} seconds of {THINGS[label]}", cut


def between(made: Made) -> tuple[str, Cut]:
    low, length = made.random.randint(0, 9), made.random.randint(3, 12)
    return f"between 0:{2 * low:02} and {2 * (low + length)} s", lambda source: set(range(low, low + length))


def in_a_file(made: Made) -> tuple[str, Cut]:
    name = made.random.choice(list(made.values))
    return f"in {name.removesuffix('.mp4')}", lambda source: set(range(100)) if source == name else set()


LIMITS = (everything, after, before, during, near, between, in_a_file)
QUESTIONS = ("how often did {}", "how long did {}", "when did {}", "did {}", "which files have {}", "what happened")


@pytest.mark.parametrize("seed", range(60))
def test_a_generated_question_equals_a_computation_clip_by_clip(seed: int) -> None:
    made = Made(seed)
    text = QUESTIONS[seed % len(QUESTIONS)]
    label = made.random.choice(list(WORDS))
    limits = [each(made) for each in made.random.sample(LIMITS, made.random.randint(1, 2))]
    phrase = THINGS[label] if "files" in text else WORDS[label]
    question = " ".join(filter(None, (text.format(phrase), " and ".join(each for each, _ in limits if each)))) + "?"

    left = {source: set.intersection(*(cut(source) for _, cut in limits)) for source in made.values}
    labels = list(WORDS) if text == "what happened" else [label]
    pieces = [
        (source, name, number, piece)
        for source in made.values
        for name in labels
        for number, event in enumerate(made.clips_of(source, name))
        for piece in runs(event & left[source])
    ]
    if text == "what happened":  # what a while is about is no answer to it
        around = [
            name
            for each, _ in limits
            for name in WORDS
            if each.startswith(("while", "within")) and THINGS[name] in each
        ]
        pieces = [piece for piece in pieces if piece[1] not in around]
    wanted: dict[str, Any] = {
        "how often": len({piece[:3] for piece in pieces}),
        "how long": CLIP_S * sum(len(piece[3]) for piece in pieces),
        "when did": [CLIP_S * min(piece[3]) for piece in pieces],
        "did {}": bool(pieces),
        "which files": sorted({piece[0] for piece in pieces}),
        "what happened": sorted({piece[1] for piece in pieces}),
    }
    found = answer(question, made.log)
    value = sorted(found.value) if text.startswith("wh") and text != "when did {}" else found.value
    assert value == next(wanted[key] for key in wanted if text.startswith(key)), question
    proofs = {(each.source, each.start_s, each.end_s) for each in found.proofs if each.is_about == "answer"}
    assert proofs == {(each[0], CLIP_S * min(each[3]), CLIP_S * (max(each[3]) + 1)) for each in pieces}, question
    assert sentence(found).endswith(".")


def runs(clips: set[int]) -> list[set[int]]:
    """Stretches of clips that follow one another."""
    firsts = sorted(clip for clip in clips if clip - 1 not in clips)
    return [{clip for clip in clips if first <= clip and set(range(first, clip)) <= clips} for first in firsts]


UNANSWERABLE = (
    "why did the dog bark?",
    "who was barking?",
    "will the dog bark again?",
    "what colour was the dog?",
    "how loud was the siren?",
    "how fast did the dog run?",
    "did the cat meow?",
    "when was the dog not barking?",
    "how often did the dog bark and the siren sound?",
    "did the dog bark louder than the siren?",
    "how often did the big dog bark?",
    "how often did the dog bark after the elephant?",
    "what happened at 59:00?",
    "when did it rain between 0:20 and 0:10?",
    "which track is the dog?",
    "how often did the dog bark in the kitchen?",
    "tell me about the dog",
    "dog",
    "how often did the dog bark after?",
    "what did the dog eat?",
    "when did the dog bark without the siren?",
    "is it nice?",
)


@pytest.mark.parametrize("question", UNANSWERABLE)
def test_what_a_log_cannot_answer_is_refused_with_what_it_could(question: str) -> None:
    with pytest.raises(ConfigError) as error:
        answer(question, LOG)
    text = str(error.value)
    assert any(hint in text for hint in ("it has: dog barking", "can answer: when", "expected", "ends at", "no tracks"))


def record(clip: int, labels: dict[str, float] | None = None, **more: Any) -> ClipRecord:
    parts = {"labels": [Label(name, value, value) for name, value in (labels or {}).items()], **more}
    start_s = 2.0 * clip
    return ClipRecord(
        source="a.mp4", epoch=0, clip=clip, start_s=start_s, end_s=start_s + 2, width=300, height=300, parts=parts
    )  # fmt: skip


LOG = log_of(
    [record(clip, {"dog barking": 0.9 if clip in (1, 4, 5) else 0.2, "siren": 0.4}) for clip in range(8)],
    EventOptions(),
)


def test_a_sentence_says_what_the_words_were_taken_for_and_what_came_nearest() -> None:
    text = sentence(answer("how often did the dog bark?", LOG))
    assert text == "Dog barking was found twice, at 0:02–0:04 and 0:08–0:12 (dog bark = dog barking)."
    assert "most probable clip is 0:00–0:02 with 40 %" in sentence(answer("was there a siren?", LOG))
    assert "Siren was not found, so nothing was after it" in sentence(answer("did the dog bark after the siren?", LOG))
    assert answer("when did the dog last stop barking?", LOG).value == [12.0]
    assert answer("after the first bark, how often did the dog bark?", LOG).value == 1


@pytest.fixture(scope="module")
def places() -> Log:
    """Dog 1 is at the door twice and leaves once; person 2 crosses the gate."""

    def box(left: float, time_s: float) -> tuple[float, float, float, float, float]:
        return time_s, left, 10, left + 50, 60

    def visit(track: int, since_s: float, until_s: float, name: str, left: bool = False) -> ZoneVisits:
        return ZoneVisits("door", visits=[Visit(track, since_s, until_s, until_s - since_s, name, left)])

    dog = [Track(1, [box(0, 2.0 * clip + step) for step in (0, 1)], "dog", 0.8) for clip in range(6)]
    person = Track(2, [box(240, 4), box(240, 5.5)], "person", 0.9)
    return log_of(
        [
            record(0, tracks=[dog[0]], zones=[visit(1, 0.5, 2, "dog")]),
            record(1, tracks=[dog[1]], zones=[visit(1, 0.5, 3, "dog", True)]),
            record(2, tracks=[dog[2], person], crossings=[Crossing("gate", 2, 5.0, "in", "person")]),
            record(3, tracks=[dog[3]], zones=[visit(1, 6.5, 8, "dog")]),
            record(4, {"rain": 0.9}, tracks=[dog[4]]),
            record(5, {"rain": 0.9}, tracks=[dog[5]]),
        ],
        EventOptions(),
    )


@pytest.mark.parametrize(
    ("question", "value"),
    [
        ("how many dogs were there?", 1),
        ("how many tracks were there at once?", 2),
        ("which track is the person?", [2]),
        ("which tracks were in the door?", [1]),
        ("how often was the dog in the door?", 2),
        ("how many dogs were in the door?", 1),
        ("when did the dog enter the door?", [0.5, 6.5]),
        ("when did the dog leave the door?", [3.0]),
        ("how long was the dog in the door before 0:07?", 3.0),
        ("who crossed the gate", None),
        ("which person came in through the gate?", [2]),
        ("did somebody cross the gate?", True),
        ("how often did a person cross the gate out?", 0),
        ("did a person leave through the gate?", False),
        ("when did the dog come in through the door?", [0.5, 6.5]),
        ("where was the person?", ["upper right"]),
        ("how long was the person there?", 1.5),
        ("was the dog there while it rained?", True),
    ],
)
def test_tracks_zones_and_lines_can_be_asked(places: Log, question: str, value: Any) -> None:
    if value is None:
        with pytest.raises(ConfigError, match="which track"):
            answer(question, places)
    else:
        assert answer(question, places).value == value


def test_what_is_written_can_be_asked() -> None:
    """A sign is read in clips 1, 2 and 5; a dog barks in clip 4."""

    def lines(clip: int) -> list[TextLine]:
        return [TextLine("Way OUT", 0.9, 2.0 * clip, (0, 0, 9, 9))] if clip in (1, 2, 5) else []

    log = log_of(
        [record(clip, {"dog barking": 0.9 if clip == 4 else 0.1}, text=lines(clip)) for clip in range(6)],
        EventOptions(),
    )
    assert answer('when could text:"way out" be seen?', log).value == [2.0, 10.0]
    assert answer('did the dog bark after text:"way out"?', log).value is True
    assert (
        sentence(answer("how long was text:out there?", log))
        == "“out” lasted 6 s, in 2 stretches, at 0:02–0:06 and 0:10–0:12."
    )
    with pytest.raises(ConfigError, match="run it again with --text"):
        answer("when was text:out there?", LOG)
