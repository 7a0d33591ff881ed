"""Turns media into tokens with the reader and the stages of a run, in one process, one file at a time."""

import tarfile
import tempfile
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path

import numpy as np

from pipeline.arrays import Array
from pipeline.build import make_plan
from pipeline.clip import MODALITIES, ClipInfo, DecodedClip
from pipeline.config import make_config
from pipeline.errors import SourceError
from pipeline.plain import Passed, PlainLoop
from pipeline.plan import Plan
from pipeline.run import place
from pipeline.stage import RunSettings
from stages.decode.reader import NS
from training.data.example import Example
from training.features import ClipPart, Features

TOGETHER = 8
"""Clips per call of the towers."""
STAGES = ("flow", "spectrogram", "signals", "encode")


def plan_of(run: RunSettings) -> Plan:
    """A plan of the stages up to the towers, with these settings."""
    tree = {
        "clips": {"seconds": run.clip_ns / NS, "fps": run.frame_rate_hz},
        "decode": {"threads": run.threads},
        "model": {
            "path": run.model,
            "audio_path": run.audio_model,
            "engine": run.engine,
            "precision": run.precision,
            "device": run.device,
            "cache_directory": run.cache_directory,
        },
        "modalities": [name for name in MODALITIES if name in run.modalities],
        "groups": [{"stages": list(STAGES)}],
    }
    return make_plan(make_config(tree))


class Encoder:
    """The opened stages before `classify`. Call `close` when done.

    Model, engine, precision, device, threads, modalities and clip length are those of `run`.
    """

    def __init__(self, run: RunSettings, report: Callable[[str], None] = lambda message: None) -> None:
        self.run = run
        self._folder = tempfile.TemporaryDirectory(prefix="percept-encoder-")
        try:
            plan = place(plan_of(run), self._folder.name)
            self._loop = PlainLoop(plan, threads=run.threads, report=report).__enter__()
        except BaseException:
            self._folder.cleanup()
            raise

    def close(self) -> None:
        self._loop.close()
        self._folder.cleanup()

    def describe(self) -> dict[str, str]:
        """The engines and the model in use."""
        return {key: text for stage in self._loop.stages.values() for key, text in stage.describe().items()}

    def example(self, example: Example) -> Features:
        """Features of one example: its time range of its file.

        Raises:
            SourceError: it cannot be decoded, has none of the modalities, or a stage fails on it.
        """
        try:
            return Features.of_clips(self._clips(Path(example.path), example.start_s, example.end_s))
        except (SourceError, MemoryError, KeyboardInterrupt):
            raise
        except Exception as error:
            raise SourceError(f"{example.path}: {type(error).__name__}: {error}") from error

    def file(self, path: Path) -> Features:
        """Features of a whole file."""
        return Features.of_clips(self._clips(path))

    def clips(self, path: Path) -> list[Features]:
        """Features of each clip of a file."""
        return list(self._clips(path))

    def photo(self, picture: Array) -> Features:
        """Features of one picture, uint8 "H W 3", as a clip with a single frame."""
        info = ClipInfo(source="photo", source_index=0, index=0, start_ns=0, end_ns=self.run.clip_ns)
        arrays = {"frames": picture[None], "frame_times_ns": np.zeros(1, np.int64)}
        return Features.of_clips(map(_features, self._loop.settle([DecodedClip(info, arrays, {"audio": "no_stream"})])))

    def _clips(self, path: Path, start_s: float = 0.0, end_s: float | None = None) -> Iterator[Features]:
        end_ns = None if end_s is None else round(end_s * NS)
        found = 0
        for clip in self._loop.run(str(path), batch=TOGETHER, start_ns=round(start_s * NS), end_ns=end_ns):
            found += 1
            yield _features(clip)
        if not found:
            end = "the end" if end_s is None else f"{end_s:g} s"
            raise SourceError(f"{path}: nothing between {start_s:g} s and {end}. Is the file long enough?")


def _features(clip: Passed) -> Features:
    """Raises: SourceError: a stage failed."""
    for stage, text in clip.failed.items():
        raise SourceError(f"{clip.info.source}: clip {clip.info.index}: {stage}: {text}")
    names = [name for name in MODALITIES if f"{name}_tokens" in clip.values]
    tokens = {str(name): np.asarray(clip.values[f"{name}_tokens"], np.float32) for name in names}
    counts = {name: len(values) for name, values in tokens.items()}
    signals = clip.values.get("signals") or {}
    part = ClipPart(clip.info.start_ns / NS, clip.info.end_ns / NS, counts, signals)
    return Features(tokens, signals, (part,))


def photos(tar: Path) -> Iterator[tuple[str, Array]]:
    """Class name and picture of each photo in `imagenet-1-per-class.tar`, whose files are named synset_class."""
    from PIL import Image

    with tarfile.open(tar) as archive:
        for member in archive:
            if not member.isfile():
                continue
            content = archive.extractfile(member)
            assert content is not None
            name = Path(member.name).stem.split("_", 1)[-1].replace("_", " ").lower()
            yield name, np.asarray(Image.open(BytesIO(content.read())).convert("RGB"))
