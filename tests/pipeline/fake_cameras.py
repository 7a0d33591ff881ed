"""Cameras that do what their names say, for tests of the machinery of a watch.

A camera "period=50" gives a clip every 50 ms; "still" lets every clip but each tenth be reused.
"""

import os
import signal
import time
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import numpy as np

from pipeline.clip import ClipInfo, DecodedClip, Gap, LiveFacts, SourceInfo
from pipeline.errors import ConfigError
from pipeline.result import ClipRecord, encode_json
from pipeline.sinks.sink import Sink
from tests.pipeline.fakes import SIDE, FakeModel

CLIP_NS = 2_000_000_000


class ReaderOptions(msgspec.Struct, frozen=True):
    period_s: float = 0.05
    still: bool = False
    die_at: tuple[int, ...] = ()
    zero_ns: int = 0


class FakeCamera:
    """A live reader. Its pictures show the number of the clip."""

    def __init__(self, source: str, source_index: int, options: ReaderOptions) -> None:
        self.source, self.source_index, self.options = source, source_index, options
        self.alive: Callable[[], None] = lambda: None
        self.on_opened: Callable[[SourceInfo], None] = lambda info: None
        self.on_connection: Callable[[str, str, str], None] = lambda state, text, transport: None
        self._is_woken = True

    def open(self) -> SourceInfo:
        return SourceInfo(self.source, self.source_index)

    def wake(self) -> None:
        self._is_woken = True

    def film(self, path: str, from_ns: int, until_ns: int) -> None:
        if "nowhere" in path:
            raise ConfigError("there is no such folder")
        with open(path, "w") as file:
            file.write(f"{from_ns} {until_ns}")

    def clips(self, start_index: int = 0) -> Iterator[DecodedClip | Gap]:
        self.on_opened(SourceInfo(self.source, self.source_index, 64, 48, has_video=True))
        self.on_connection("live", "", "tcp")
        index = start_index
        while True:
            until_s = time.monotonic() + self.options.period_s
            while (left_s := until_s - time.monotonic()) > 0:
                self.alive()
                time.sleep(min(0.02, left_s))
            if index in self.options.die_at and start_index < index:
                os.kill(os.getpid(), signal.SIGKILL)
            yield self._clip(index, epoch=start_index)
            index += 1

    def _clip(self, index: int, epoch: int) -> DecodedClip:
        reused = self.options.still and not self._is_woken and index % 10 != 0
        self._is_woken = False
        now_ns = time.monotonic_ns()
        facts = LiveFacts(wall_ns=time.time_ns(), captured_ns=now_ns, reused=reused, measures={"brightness": 0.5})
        start_ns = index * CLIP_NS + epoch  # a moment is lost with a process
        info = ClipInfo(self.source, self.source_index, index, start_ns, start_ns + CLIP_NS, epoch, 64, 48, live=facts)
        arrays: dict[str, Any] = {} if reused else {"frames": np.full((2, SIDE, SIDE, 3), index % 251, np.uint8)}
        return DecodedClip(info, arrays, {"audio": "no_stream"})

    def close(self) -> None:
        pass


def make_camera(source: str, source_index: int, options: ReaderOptions) -> FakeCamera:
    return FakeCamera(source, source_index, options)


class Appends(Sink):
    """JSON lines at the end of a file, which outlives its process. A record may come twice."""

    def open(self) -> None:
        self._file = open(self.spec.path, "ab", buffering=0)  # noqa: SIM115

    def write(self, record: ClipRecord) -> None:
        self._file.write(encode_json(record) + b"\n")

    def close(self, complete: bool) -> None:
        self._file.close()


class AnswersQuestions(FakeModel):
    """The label is the version that the clip asks for."""

    def process(self, clip: Any) -> Any:
        outputs = dict(super().process(clip))
        outputs["labels"] = [{"label": f"version {clip.info.labels_version}", "probability": 0.9, "share": 1.0}]
        return outputs

    def ask(self, question: Any) -> dict[str, Any]:
        if "bad" in question["labels"]:
            raise ConfigError("labels: 'bad' is no word")
        if "clips" in question:
            means = [float(np.frombuffer(clip["mean"][1], np.float32)[0]) for clip in question["clips"]]
            return {"clips": [[{"label": question["labels"][0], "probability": mean / 251}] for mean in means]}
        return {}
