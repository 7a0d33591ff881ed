"""A cache of features on disk: each example is decoded and encoded only once."""

import hashlib
import json
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec

from engines.models.checkpoint import read_model
from engines.models.model import ModelSpec
from engines.models.network import network
from pipeline.errors import SourceError
from pipeline.stage import RunSettings
from training.data.example import Example
from training.encoder import Encoder
from training.features import Features, load, save, write_whole

VERSION = 2
"""Increase it when clips are cut or fed to the towers differently."""
INPUT = ("network", "input", "size_px", "fit", "resample", "mean", "std", "pictures_per_clip", "flow_bound", "mel")
"""The fields of a tower's description that affect its tokens."""
FAILED = ".failed.json"
TRYING = ".trying"
ABOUT = "about.json"
TRIES = 3
"""An example is skipped after it has crashed the process this often."""
REPORT_EVERY_S = 10.0

Report = Callable[[str], None]
Tick = Callable[[int, int, int], None]
"""Called after each example with the numbers of examples: done, in total, failed."""


@dataclass
class FeatureCache:
    """The features of many examples in one folder, a file each, for one model and one way of cutting clips."""

    root: Path
    run: RunSettings
    failures: dict[str, str] = field(default_factory=dict)
    """Why an example cannot be read or encoded, by its key."""

    def __post_init__(self) -> None:
        self._keys: dict[Example, str] = {}

    @cached_property
    def folder(self) -> Path:
        """The folder of this model's features. It depends on the towers' files, their input and the clip length."""
        spec = read_model(self.run.model, self.run.audio_model)
        name = "".join(letter if letter.isalnum() or letter in "-." else "_" for letter in spec.name)
        return Path(self.root) / f"{name[:60]}-{fingerprint(spec, self.run)}"

    def fill(self, examples: Iterable[Example], report: Report, tick: Tick | None = None) -> None:
        """Decode and encode the missing examples. It may be interrupted at any time; finished examples are kept.

        A failed example is entered in `failures` and retried only after its file has changed.

        Raises:
            ModelError: the model cannot be opened.
        """
        for _ in self.each(examples, report, tick):
            pass

    def each(self, examples: Iterable[Example], report: Report, tick: Tick | None = None) -> Iterator[Example]:
        """The same, one after the other: yields each example, in the given order, as soon as it is known.

        Raises:
            ModelError: as `fill`.
        """
        given = list(examples)
        wanted = list(dict.fromkeys(given))
        missing = {example for example in wanted if not self._known(example)}
        counter = _Counter(len(wanted), len(wanted) - len(missing), report, tick)
        counter.failed = sum(self.key(example) in self.failures for example in wanted)
        encoder = self._encoder(report) if missing else None
        try:
            for example in given:
                if encoder is not None and example in missing:
                    missing.remove(example)
                    counter.step(self._encode(encoder, example))
                yield example
        finally:
            if encoder is not None:
                encoder.close()

    def _encoder(self, report: Report) -> Encoder:
        encoder = Encoder(self.run, report)
        self.folder.mkdir(parents=True, exist_ok=True)
        write_whole(self.folder / ABOUT, json.dumps(encoder.describe()).encode())
        return encoder

    def get(self, example: Example) -> Features | None:
        """None if the example was not filled or failed."""
        path = self._path(self.key(example))
        return load(path) if path.is_file() else None

    def facts(self) -> dict[str, str]:
        """The engines and the model that made these features; the last ones if there were several."""
        path = self.folder / ABOUT
        return dict(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else {}

    def key(self, example: Example) -> str:
        """The example's key in the cache. An example whose file is missing has a key too, and is in `failures`."""
        if example not in self._keys:
            try:
                self._keys[example] = example.key
            except OSError as error:
                self._keys[example] = hashlib.sha256(f"{example}".encode()).hexdigest()[:32]
                self.failures[self._keys[example]] = f"{example.path}: {error.strerror or error}"
        return self._keys[example]

    def _path(self, key: str) -> Path:
        return self.folder / key[:2] / f"{key}.safetensors"

    def _known(self, example: Example) -> bool:
        key = self.key(example)
        path = self._path(key)
        if path.is_file() or key in self.failures:
            return True
        failed = path.with_suffix(FAILED)
        if failed.is_file():
            self.failures[key] = json.loads(failed.read_text(encoding="utf-8"))["reason"]
        return key in self.failures

    def _encode(self, encoder: Encoder, example: Example) -> bool:
        key = self.key(example)
        path = self._path(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        trying = path.with_suffix(TRYING)
        tried = trying.stat().st_size if trying.is_file() else 0
        if tried >= TRIES:
            again = f"Delete {trying} to try again"
            return self._fail(example, f"{example.path}: crashed the process {tried} times while it was read. {again}")
        trying.write_bytes(b"." * (tried + 1))  # a file that is still here next time was left by a crash
        try:
            save(encoder.example(example), path)
        except SourceError as error:
            write_whole(path.with_suffix(FAILED), json.dumps({"reason": str(error), "path": example.path}).encode())
            return self._fail(example, str(error))
        finally:
            trying.unlink(missing_ok=True)
        return True

    def _fail(self, example: Example, reason: str) -> bool:
        self.failures[self.key(example)] = reason
        return False


@dataclass
class _Counter:
    """Reports the progress of `fill`."""

    total: int
    done: int
    report: Report
    tick: Tick | None
    failed: int = 0

    def __post_init__(self) -> None:
        self._began_s = self._reported_s = time.monotonic()
        self._before = self.done

    def step(self, fine: bool) -> None:
        self.done += 1
        self.failed += not fine
        if self.tick is not None:
            self.tick(self.done, self.total, self.failed)
            return
        now_s = time.monotonic()
        if now_s - self._reported_s >= REPORT_EVERY_S or self.done == self.total:
            self._reported_s = now_s
            left_s = (now_s - self._began_s) / (self.done - self._before) * (self.total - self.done)
            self.report(f"encoded {self.done} of {self.total}, {self.failed} failed, about {left_s:.0f} s left")


def fingerprint(spec: ModelSpec, run: RunSettings) -> str:
    """A hash of everything that affects tokens: weights, input and clips, not prompts, temperatures or heads.

    Raises:
        ModelError: weights are missing.
    """
    facts: dict[str, Any] = {
        "version": VERSION,
        "modalities": run.modalities,
        "clips": [run.clip_ns, run.frame_rate_hz],
        "engine": [run.engine, run.precision, run.device],
    }
    for name, tower in spec.towers().items():
        if name in run.modalities:
            weights = network(tower.network).fingerprint(Path(tower.directory), run.cache_directory)
            facts[name] = [weights, {setting: getattr(tower, setting) for setting in INPUT}]
    return hashlib.sha256(msgspec.json.encode(facts, order="sorted")).hexdigest()[:12]
