"""Evaluates a model: from labelled data to a report."""

import datetime
import random
import time
from collections import defaultdict
from collections.abc import Callable, Container, Iterable, Sequence
from pathlib import Path

import msgspec

from engines.models.checkpoint import read_model
from engines.models.model import ModelSpec
from pipeline.errors import ConfigError, ModelError, SourceError
from pipeline.stage import RunSettings
from stages.words.head_share import read_base
from stages.words.word import Word, parse_labels, words_of
from training.data.example import Dataset, Example, counted
from training.data.read import PUBLISHED, read_dataset
from training.data.split import base_novel
from training.evaluate.answers import FUSED, POOLED, Answered, Judge, known_labels, plain
from training.evaluate.report import About, Failure, Report, make_report
from training.evaluate.surroundings import machine, versions
from training.feature_cache import FeatureCache, Tick

Log = Callable[[str], None]


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """The data and options of an evaluation."""

    data: str
    layout: str = "auto"
    split: str = PUBLISHED
    labels: str = ""
    """The labels to choose from, in the form of `percept run --labels`; empty: those of the data."""
    base_novel: str = ""
    """A seed, or a file with the base labels; empty: the labels that the model's head was trained on, if it has one."""
    limit: int = 0
    seed: int = 0
    middle_picture: bool = False
    features: Path
    command: str = ""


class Found(msgspec.Struct, frozen=True):
    """The report, its answers, and the names of the labels."""

    report: Report
    answers: list[Answered]
    names: tuple[str, ...]


def evaluate(task: Task, run: RunSettings, log: Log, tick: Tick | None = None, show: Log | None = None) -> Found:
    """show: receives a line about each example as soon as it is scored.

    Raises: ConfigError, ModelError: the task cannot be done. SourceError: no example could be scored.
    """
    began_s = time.monotonic()
    dataset = read_dataset(task.data, task.layout, "" if task.split == "all" else task.split)
    given = parse_labels(task.labels) if task.labels else dataset.labels
    examples, others = known_labels(dataset.examples, given)
    notes = [*dataset.notes]
    if others:
        words = sorted({example.label for example in others})
        notes.append(f"{counted(len(others), 'example')} skipped, with labels that are not in --labels: {_some(words)}")
    if task.limit and task.limit < len(examples):
        notes.append(f"{task.limit} of {len(examples)} examples, balanced over labels, chosen with seed {task.seed}")
        examples = few(examples, task.limit, task.seed)
    for note in notes:
        log(note)
    spec = read_model(run.model, run.audio_model)
    novel = novel_labels(task, spec, given)
    judge = Judge(run, given, novel)
    cache = FeatureCache(task.features, run)
    judge.open(log)
    try:
        known = cache.each(examples, log, tick)
        answers, failures = answer_all(judge, cache, known, task.middle_picture, show)
    finally:
        judge.close()
    if not answers:
        raise SourceError(
            f"{task.data}: none of {len(examples)} examples could be scored; the first: {failures[0].path}: "
            f"{failures[0].reason}"
        )
    about = _about(task, run, dataset, judge, cache, notes)
    about = msgspec.structs.replace(about, took_s=time.monotonic() - began_s)
    return Found(make_report(about, answers, failures, judge.names), answers, judge.names)


def answer_all(
    judge: Judge,
    cache: FeatureCache,
    examples: Iterable[Example],
    middle_picture: bool = False,
    show: Log | None = None,
) -> tuple[list[Answered], list[Failure]]:
    """The answers of all examples that can be scored, and the failures of the others. show: see `evaluate`."""
    answers, failures = [], []
    for example in examples:
        found = _answer(judge, cache, example, middle_picture)
        if isinstance(found, Failure):
            failures.append(found)
        else:
            answers.append(found)
        if show is not None:
            show(line_of(found, judge.names))
    return answers, failures


def _answer(judge: Judge, cache: FeatureCache, example: Example, middle_picture: bool) -> Answered | Failure:
    features = cache.get(example)
    if features is None:
        reason = cache.failures.get(cache.key(example), "not encoded").removeprefix(f"{example.path}: ")
        return Failure(example.path, example.label, reason)
    answered = judge.answer(example, features.middle_picture() if middle_picture else features)
    if answered is None:
        has = " or ".join(judge.label_set.sides)
        return Failure(example.path, example.label, f"has no input for the model's {has} tower")
    return answered


def line_of(found: Answered | Failure, names: Sequence[str]) -> str:
    """`a.mp4: dog (81%), right`, `b.mp4: cat (40%), but it is dog, number 3`, or why it failed."""
    if isinstance(found, Failure):
        return f"{Path(found.path).name}: failed: {found.reason}"
    answer = found.views.get(FUSED, found.views[POOLED])
    name, best = Path(found.example.path).name, f"{names[answer.best]} ({answer.probability:.0%})"
    if answer.rank == 0:
        return f"{name}: {best}, right"
    return f"{name}: {best}, but it is {names[found.right]}, number {answer.rank + 1}"


def few(examples: Sequence[Example], most: int, seed: int) -> list[Example]:
    """Up to `most` examples, balanced over labels, in their order."""
    by_label: dict[str, list[int]] = defaultdict(list)
    for index, example in enumerate(examples):
        by_label[example.label].append(index)
    chance = random.Random(seed)
    turns = []
    for _, indices in sorted(by_label.items()):
        chance.shuffle(indices)
        turns += [(turn, chance.random(), index) for turn, index in enumerate(indices)]
    return [examples[index] for index in sorted(index for _, _, index in sorted(turns)[:most])]


def novel_labels(task: Task, spec: ModelSpec, labels: Sequence[str]) -> frozenset[str]:
    """The novel labels among `labels`, by display name; empty if they are not divided into base and novel.

    Raises:
        ConfigError: the file with the base labels cannot be read, or contains none of `labels`.
    """
    words = words_of(labels)
    if task.base_novel.isdecimal():
        return frozenset(base_novel((word.name for word in words), int(task.base_novel))[1])
    if task.base_novel:
        base = _base_of_file(task.base_novel, words)
    elif spec.fusion is not None:
        base = read_base(Path(spec.fusion.directory) / spec.fusion.base)
    else:
        return frozenset()
    return frozenset(word.name for word in words if not _is_base(word, base))


def _is_base(word: Word, base: Container[str]) -> bool:
    """Whether any of its synonyms is a base label, as for the shares of a fusion head."""
    return any(plain(name) in base for name in word.names)


def _base_of_file(file: str, words: Iterable[Word]) -> frozenset[str]:
    try:
        base = read_base(Path(file).expanduser())
    except ModelError as error:
        raise ConfigError(f"--base-novel {error}; or a seed, such as 0") from error
    if not any(_is_base(word, base) for word in words):
        raise ConfigError(f"--base-novel {file}: contains none of the labels; expected the base labels, one per line")
    return base


def _about(
    task: Task, run: RunSettings, dataset: Dataset, judge: Judge, cache: FeatureCache, notes: Sequence[str]
) -> About:
    notes = [*notes, *(["only the middle picture of each example is used"] if task.middle_picture else [])]
    return About(
        data=dataset.name,
        path=str(Path(task.data).resolve()),
        layout=dataset.layout,
        split=dataset.split,
        model=judge.spec.id,
        model_path=run.model + (f" with the sound of {run.audio_model}" if run.audio_model else ""),
        engine=cache.facts(),
        modalities=tuple(judge.label_set.sides),
        clip_s=run.clip_ns / 1e9,
        frames_per_s=run.frame_rate_hz,
        command=task.command,
        versions=versions(),
        machine=machine(),
        date=datetime.date.today().isoformat(),
        seed=task.seed,
        labels=len(judge.names),
        novel=tuple(name for name in judge.names if name in judge.novel),
        notes=tuple(notes),
    )


def _some(words: Sequence[str]) -> str:
    return f"{', '.join(words[:5])}{', ...' if len(words) > 5 else ''}"
