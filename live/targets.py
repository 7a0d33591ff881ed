"""The labels of a camera as its records name them, each with what counts for it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from live.settings import Camera, Watched
from pipeline.small_file import read_small_file
from stages.words.relations import parse_relation
from stages.words.tree import flattened
from stages.words.word import clean_labels, parse_word, read_lines


@dataclass(frozen=True)
class Target:
    """A label that is watched for."""

    name: str
    """As in results: of "vehicle > car|automobile" it is car."""
    text: str
    """As it was written."""
    threshold: float | None
    """None: the camera's, or the one that its budget sets."""
    hold_s: float
    events: bool


def targets(camera: Camera) -> dict[str, Target]:
    """The labels of a camera by their name in results, in the given order; of labels with the same name the first."""
    found: dict[str, Target] = {}
    for each in camera.labels:
        label = Watched(label=each) if isinstance(each, str) else each
        word = parse_word(label.label)
        if word is not None:
            hold_s = camera.hold_s if label.hold_s is None else label.hold_s
            found.setdefault(word.name, Target(word.name, label.label, label.threshold, hold_s, label.events))
    return found


def things(camera: Camera) -> list[str]:
    """What tracks of a camera may be called by their looks: labels and things to find, as in results."""
    words = [word for text in camera.find if (word := parse_word(text)) is not None]
    found = [
        name for word in words for name in (word.names if any(map(parse_relation, word.names)) else word.names[:1])
    ]
    return [*targets(camera), *found]


def label_texts(labels: Iterable[str | Watched]) -> list[str]:
    """What the model is asked for."""
    return [each if isinstance(each, str) else each.label for each in labels]


def read_labels(given: str | Sequence[str], folder: Path, where: str) -> list[str]:
    """The labels in "dog barking, rain", in a list, or in the file of "@words.txt", which is relative to a folder.

    Raises:
        ConfigError: the file cannot be read, or what is in it is no list of labels; `where` begins the message.
    """
    if not isinstance(given, str):
        return list(clean_labels(given, where))
    if not given.startswith("@"):
        return list(clean_labels(given.split(","), where))
    where, path = f"{where} {given}", folder / Path(given[1:]).expanduser()
    return list(clean_labels(flattened(read_lines(path, where, read=read_small_file), where), where))
