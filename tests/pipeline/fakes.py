"""A reader and stages that do next to nothing and fail on demand, for tests and benchmarks of the machinery.

A source is named "fake:clips=20,die=3": twenty clips, and the stage `fake_model` kills its process at clip 3.
"""

import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from pipeline.arrays import RECORD, Spec
from pipeline.clip import Absent, Clip, ClipInfo, DecodedClip, Gap, Reuse, SourceInfo
from pipeline.errors import ModelError, SourceError
from pipeline.part import Part
from pipeline.result import Label, Track
from pipeline.stage import Fold, Outputs, Resources, Stage, StageOptions

log = logging.getLogger("percept.fakes")

CLIP_NS = 2_000_000_000
LABELS = Part(type=list[Label], doc="Labels.", essential=True)
TRACKS = Part(type=list[Track], doc="Tracks.")
SIDE = 8


class ReaderOptions(msgspec.Struct, frozen=True):
    clip_ns: int = CLIP_NS


def wish(source: str, name: str) -> list[int]:
    """Clip indices after `name=` in a source's name: "fake:clips=20,die=3+5"."""
    for part in source.partition(":")[2].split(","):
        key, _, value = part.partition("=")
        if key == name:
            return [int(number) for number in value.split("+")]
    return []


class FakeReader:
    def __init__(self, source: str, source_index: int, options: ReaderOptions) -> None:
        self.source, self.source_index = source, source_index

    def open(self) -> SourceInfo:
        if wish(self.source, "unopenable"):
            raise SourceError(f"{self.source}: cannot be opened. Give a file that can.")
        if wish(self.source, "open_hang"):
            time.sleep(600)
        if wish(self.source, "open_die"):
            os.kill(os.getpid(), signal.SIGKILL)
        count = wish(self.source, "clips")[0]
        return SourceInfo(self.source, self.source_index, 64, 48, duration_ns=count * CLIP_NS, has_video=True)

    def clips(self, start_index: int = 0) -> Iterator[DecodedClip | Gap]:
        for index in range(start_index, wish(self.source, "clips")[0]):
            if index in wish(self.source, "skip"):
                continue
            if index in wish(self.source, "break"):
                raise ValueError("the container is broken")
            if index in wish(self.source, "decode_die"):
                time.sleep(0.05)  # no real decoder dies before its last message has left the process
                os.kill(os.getpid(), signal.SIGKILL)
            if index in wish(self.source, "decode_hang"):
                time.sleep(600)
            if wish(self.source, "slow_decode_ms"):
                time.sleep(wish(self.source, "slow_decode_ms")[0] / 1000)
            epoch = sum(gap <= index for gap in wish(self.source, "gap"))
            if index in wish(self.source, "gap"):
                yield Gap(self.source, self.source_index, epoch, index * CLIP_NS, index * CLIP_NS, index)
            info = ClipInfo(
                self.source, self.source_index, index, index * CLIP_NS, (index + 1) * CLIP_NS, epoch, 64, 48
            )
            frames = np.full((2, SIDE, SIDE, 3), index % 251, np.uint8)
            if index in wish(self.source, "same"):
                before = max(kept for kept in wish(self.source, "kept") if kept < index)
                info = msgspec.structs.replace(info, reuse=Reuse(before % 2, before * CLIP_NS))
                yield DecodedClip(info, {}, {"audio": "no_stream"})
                continue
            if index in wish(self.source, "kept"):
                info = msgspec.structs.replace(info, kept_in=index % 2)
            yield DecodedClip(info, {"frames": frames}, {"audio": "no_stream"})

    def close(self) -> None:
        pass


def make_reader(source: str, source_index: int, options: ReaderOptions) -> FakeReader:
    return FakeReader(source, source_index, options)


class FakeModel(Stage):
    """Mean of the frames, as a label."""

    required = ("frames",)
    preload = ("colorsys",)

    class Options(StageOptions):
        busy_ms: float = 0.0

    def gives(self) -> dict[str, Spec]:
        return {"mean": Spec("float32", "1", in_message=True), "labels": LABELS}

    def process(self, clip: Clip) -> Outputs:
        source, index = clip.info.source, clip.info.index
        if index in wish(source, "die"):
            os.kill(os.getpid(), signal.SIGKILL)
        if index in wish(source, "hang"):
            time.sleep(600)
        if index in wish(source, "raise") or wish(source, "raise_always"):
            raise ValueError("asked to fail")
        busy_ms = self.options.busy_ms  # type: ignore[attr-defined]
        if busy_ms:
            time.sleep(busy_ms / 1000)
        mean = float(clip["frames"].mean())
        labels: list[dict[str, Any]] = [{"label": f"mean {mean:.0f}", "probability": 0.9, "share": 1.0}]
        return {"mean": np.array([mean], np.float32), "labels": labels}


class FakeBatch(FakeModel):
    """The same for several clips in one call; a second label has the number of clips and of sources in the batch."""

    def process_many(self, clips: Sequence[Clip]) -> list[Outputs]:
        if len(clips) > 1 and any(wish(clip.info.source, "raise_together") for clip in clips):
            raise MemoryError("too many at once")
        outputs = [self.process(clip) for clip in clips]
        sources = len({clip.info.source_index for clip in clips})
        for each in outputs:
            each["labels"].append({"label": f"{len(clips)} of {sources}", "probability": 0.1, "share": 0.0})
        return outputs


class SlowToLoad(FakeModel):
    preload = ("tests.pipeline.slow_module",)


class FakeSide(Stage):
    """An optional stage that may fail."""

    required = ("frames",)

    def gives(self) -> dict[str, Spec]:
        return {"side": Spec("float32", "N", in_message=True)}

    def process(self, clip: Clip) -> Outputs:
        if clip.info.index in wish(clip.info.source, "raise_aside"):
            raise ValueError("asked to fail")
        return {"side": np.zeros(3, np.float32)}


class FakeTrack(Fold):
    """Counts clips; its state is the count."""

    optional = ("mean",)

    def gives(self) -> dict[str, Spec]:
        return {"tracks": TRACKS}

    def update(self, state: bytes, clip: Clip) -> tuple[bytes, Outputs]:
        count = int(state or b"0") + 1
        if clip.info.index in wish(clip.info.source, "track_die"):
            os.kill(os.getpid(), signal.SIGKILL)
        if "mean" not in clip.arrays:
            return str(count).encode(), {"tracks": Absent("failed")}
        return str(count).encode(), {"tracks": [{"id": count, "boxes": [[0.0, 0.0, 0.0, 1.0, 1.0]]}]}


class Warns(FakeModel):
    """Logs warnings where stages and engines do: in prepare, open, process, and in a thread."""

    def prepare(self, report: Callable[[str], None]) -> None:
        log.warning("%s: set aside", "prepared")

    def open(self, resources: Resources) -> None:
        log.warning("%s: next engine", "opened")
        log.warning("no %d", "number")  # logging itself fails here
        log.info("only in the log")

    def process(self, clip: Clip) -> Outputs:
        thread = threading.Thread(target=lambda: log.warning("%s: in a thread \udcff", "worked"))
        thread.start()
        thread.join()
        return super().process(clip)


class NamesItsProcess(FakeModel):
    """As if every process had fallen back to another engine; the label is the engine that ran the clip."""

    def describe(self) -> dict[str, str]:
        return {"engine": f"fake-{os.getpid()}", "model": "fake@1"}

    def process(self, clip: Clip) -> Outputs:
        outputs = super().process(clip)
        time.sleep(0.02)  # long enough for others to get clips
        outputs["labels"][0]["label"] = f"fake-{os.getpid()}"
        return outputs


class Improves(FakeModel):
    """Builds something better in `improve`, which takes `build_s` from the first clip on.

    The label and the engine of a clip are what its worker opened.
    """

    class Options(FakeModel.Options):
        build_s: float = 0.0
        load_s: float = 0.0
        """How long the better one takes to open."""
        fate: str = ""
        """ "raise" or "die": in `improve`. "closed": the better one cannot be opened. "same": it is no better."""

    def _better(self) -> Path:
        return Path(self.run.directory, "better")

    def _worked(self) -> Path:
        return Path(self.run.directory, "worked")

    def improve(self, report: Callable[[str], None]) -> bool:
        report("building something better")
        while not self._worked().exists():
            time.sleep(0.02)
        until_s = time.monotonic() + self.options.build_s  # type: ignore[attr-defined]
        while time.monotonic() < until_s:
            time.sleep(0.02)
        fate = self.options.fate  # type: ignore[attr-defined]
        if fate == "raise":
            raise ValueError("asked to fail")
        if fate == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        if fate == "same":
            return False
        self._better().touch()
        return True

    def open(self, resources: Resources) -> None:
        self.grade = "better" if self._better().exists() else "first"
        if self.grade == "better" and self.options.fate == "closed":  # type: ignore[attr-defined]
            raise ModelError("better.bin: cannot be opened.")
        if self.grade == "better":
            time.sleep(self.options.load_s)  # type: ignore[attr-defined]

    def describe(self) -> dict[str, str]:
        return {"engine": self.grade, "model": "fake@1"}

    def process(self, clip: Clip) -> Outputs:
        self._worked().touch()
        outputs = super().process(clip)
        outputs["labels"][0]["label"] = self.grade
        return outputs


class DiesLoading(FakeTrack):
    def open(self, resources: Resources) -> None:
        os.write(2, b"these are my last words\n")
        os._exit(7)


class CannotOpen(FakeTrack):
    def open(self, resources: Resources) -> None:
        raise ModelError("model.bin: is missing. Download it.")


class CannotPrepare(FakeTrack):
    def prepare(self, report: Callable[[str], None]) -> None:
        raise ModelError("model.bin: is missing. Download it.")


class OpensEarly(FakeModel):
    """Opens before anything is prepared, and writes who opened it."""

    opens_early = True

    def open(self, resources: Resources) -> None:
        Path(self.run.directory, f"open-{os.getpid()}").touch()


class PreparesLate(FakeTrack):
    """Prepares once the other stage is open in as many processes as `opened` says, and opens only after that."""

    class Options(StageOptions):
        opened: int = 2

    def prepare(self, report: Callable[[str], None]) -> None:
        until_s = time.monotonic() + 30
        while len(self._opened()) < self.options.opened:  # type: ignore[attr-defined]
            if time.monotonic() > until_s:
                raise ModelError(f"{len(self._opened())} are open")
            time.sleep(0.01)
        Path(self.run.directory, "prepared").write_text("")

    def open(self, resources: Resources) -> None:
        if not Path(self.run.directory, "prepared").exists():
            raise ModelError("not prepared")

    def _opened(self) -> list[Path]:
        return list(Path(self.run.directory).glob("open-*"))


class Greedy(Stage):
    """Gives an array in the slot and a record, and breaks its promises on demand."""

    required = ("frames",)

    def gives(self) -> dict[str, Spec]:
        return {"big": Spec("float32", "N", max_bytes=400), "note": RECORD}

    def process(self, clip: Clip) -> Outputs:
        def wished(name: str) -> bool:
            return clip.info.index in wish(clip.info.source, name)

        big = np.full(10, clip.info.index, np.float32)
        if wished("oversize"):
            big = np.zeros(1000, np.float32)
        if wished("wrong_type"):
            big = big.astype(np.float64)
        if wished("wrong_shape"):
            big = big.reshape(2, 5)
        if wished("forgotten"):
            return {"note": {}}
        return {"big": big, "note": {"what": object() if wished("unpackable") else "fine"}}


class ReadsGreedy(Stage):
    optional = ("big", "note")

    def gives(self) -> dict[str, Spec]:
        return {"sum": Spec("float32", "1", in_message=True)}

    def process(self, clip: Clip) -> Outputs:
        if "big" in clip.arrays:
            assert clip["big"].sum() == 10 * clip.info.index
        return {"sum": np.zeros(1, np.float32)}


class Nothing(Stage):
    """Does nothing, so a run costs only its machinery."""

    required = ("frames",)

    def gives(self) -> dict[str, Spec]:
        return {"labels": LABELS}

    def process(self, clip: Clip) -> Outputs:
        return {"labels": []}


def fake_config(**sections: Any) -> dict[str, Any]:
    """A config tree that runs the fakes, with sections added or replaced."""
    tree: dict[str, Any] = {
        "decode": {"factory": "tests.pipeline.fakes:make_reader", "short_side_px": SIDE, "long_side_px": SIDE},
        "labels": {"words": ["anything"]},
        "groups": [
            {"name": "model", "stages": ["fake_model"], "workers": 2},
            {"name": "track", "stages": ["fake_track"]},
        ],
        "stages": {
            "fake_model": {"class": "tests.pipeline.fakes:FakeModel"},
            "fake_track": {"class": "tests.pipeline.fakes:FakeTrack"},
        },
    }
    return tree | sections
