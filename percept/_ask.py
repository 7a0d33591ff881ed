"""`percept.ask`: questions to what was seen and heard, by the command `percept ask` in a process of its own."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from percept import _child, _records


@dataclass(frozen=True)
class Proof:
    """A stretch that proves an answer."""

    source: str
    start_s: float
    end_s: float
    what: str = ""
    """The label, or what the track is called."""
    probability: float | None = None
    """Mean over its clips. None if another program named it."""
    track: int | None = None
    start_wall: str = ""
    """Date and time of the start, if the log tells."""
    is_about: str = "answer"
    """ "reference": what the answer was compared with; "nearest": the most probable clip of what was not found;
    "theirs": named by another program."""

    __module__ = "percept"

    def __str__(self) -> str:
        when = f"{_records.clock_text(self.start_s)}–{_records.clock_text(self.end_s)}"
        share = "" if self.probability is None else f"{100 * self.probability:.0f} %"
        return " ".join(filter(None, (f"{self.source} {when}", self.what, share)))


@dataclass(frozen=True)
class Answer:
    """What a log says."""

    question: str
    sentence: str
    by: str
    """ "percept", or the program that answered."""
    value: Any
    """A number, True or False, or a list, as the question is; None if another program answered."""
    clips: tuple[Proof, ...]
    words: dict[str, list[str]]
    """The log's names for the words of the question."""
    kind: str = ""

    __module__ = "percept"

    def __str__(self) -> str:
        return self.sentence if self.by == "percept" else f"answered by {self.by}: {self.sentence}"


def ask(
    log: str | os.PathLike[str],
    question: str,
    *,
    answerer: str = "",
    answerer_limit: float = 60.0,
    min_probability: float | None = None,
    model: str | os.PathLike[str] | None = None,
    settings: Mapping[str, Any] | None = None,
) -> Answer:
    """Ask what was seen and heard, in plain words.

        answer = percept.ask("talk.jsonl", "how often did the dog bark after the siren?")
        print(answer)
        for clip in answer.clips:
            print(clip)

    Args:
        log: Results (out.jsonl), the folder of an archive, or the state of a watch.
        question: When, how often, how long, how many, is there, what, which track, where, which file.
        answerer: A command that answers instead; it gets question and log as JSON on stdin.
        answerer_limit: How long it may take, in seconds.
        min_probability: An event begins at this probability.
        model: The model whose text tower may say that two words mean nearly the same; by default that of the log.
        settings: Single settings, as for `percept.run`.

    Raises:
        ConfigError: the log cannot answer the question; the message says what it could.
        ModelError: the answerer failed.
    """
    options: dict[str, Any] = {"answerer": answerer or None, "answerer_limit": answerer_limit}
    options |= {"min_probability": min_probability, "model": os.fspath(model) if model else None}
    _, given, _ = _child.order([], None, options, (), None, settings)
    told = json.loads(_child.answer("ask", [*given, "--", os.fspath(log), question]))
    clips = tuple(Proof(**clip) for clip in told["clips"])
    return Answer(
        told["question"], told["answer"], told["by"], told.get("value"), clips, told.get("words", {}),
        told.get("kind", ""),
    )  # fmt: skip
