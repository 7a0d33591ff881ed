"""What a stage author needs.

    class Flow(Stage):
        required = ("frames", "frame_times_ns")
        optional = ("previous_frame",)

        class Options(StageOptions):
            short_side_px: int = 224

        def gives(self) -> dict[str, Spec]:
            return {"flow": Spec("float16", "P h w 2", max_bytes=...)}

        def process(self, clip: Clip) -> Outputs:
            return {"flow": ...}

The graph follows from `required`, `optional` and `gives`; nobody draws edges by hand.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, TypeVar, cast

import msgspec

from pipeline.arrays import Array, Spec
from pipeline.clip import Clip

T = TypeVar("T")

Outputs = Mapping[str, Any]
"""Array, record, or `Absent(reason)` for every name in `gives()`."""


class StageOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of a stage's options; fields are the keys under `[stages.<name>]` in a config."""


class Demand(msgspec.Struct, frozen=True, kw_only=True):
    """What a stage asks of decode. Decode takes the largest of each over all stages."""

    short_side_px: int = 0
    audio_rate_hz: int = 0
    audio_context_s: float = 0.0
    """Length of sound before `end` that the clip must carry; at least the clip itself is always there."""


class Budget(msgspec.Struct, frozen=True, kw_only=True):
    """Largest sizes of what decode gives, so that a stage can say how much room its own arrays need."""

    frames: int = 17
    short_side_px: int = 224
    long_side_px: int = 640
    audio_samples: int = 160_000

    @property
    def frame_pixels(self) -> int:
        return self.short_side_px * self.long_side_px


class RunSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What all stages of a run share. Cheap to make, plain data, the same in every process."""

    model: str = "percept-mini"
    audio_model: str = ""
    labels: tuple[str, ...] = ()
    """Synonyms and parents as in "vehicle > car|automobile"."""
    templates: str = "model"
    """"model", "pool", "zpe" or a file: see `stages.words.templates`."""
    descriptions: str = ""
    modalities: tuple[str, ...] = ("image", "motion", "audio")
    top_k: int = 5
    engine: str = "auto"
    precision: str = "auto"
    device: str = "auto"
    threads: int = 1
    """Threads each worker process may use inside a network."""
    clip_ns: int = 2_000_000_000
    frame_rate_hz: float = 8.0
    directory: str = ""
    """Private directory of the run: what `prepare` leaves there, every worker finds."""
    cache_directory: str = ""
    """Where exported networks and text vectors are kept between runs."""


class Resources:
    """What the stages of one worker process share, such as a loaded network: made once, closed with the process.

    memory: all slots, uint8 "N", for those who make them known to a device; None where there are none.
    """

    def __init__(self, memory: Array | None = None) -> None:
        self.memory = memory
        self._held: dict[Any, Any] = {}

    def get(self, key: Any, make: Callable[[], T]) -> T:
        """The object under `key`, made now if nobody asked before."""
        if key not in self._held:
            self._held[key] = make()
        return cast(T, self._held[key])

    def close(self) -> None:
        """Close everything that has a `close`, last made first."""
        while self._held:
            _, held = self._held.popitem()
            if hasattr(held, "close"):
                held.close()


class Stage(ABC):
    """One step of a clip's way. The constructor is cheap; `open` costs; `close` undoes it.

    A stage must be a function of the clip alone: workers keep no state that anyone else needs.
    """

    required: ClassVar[tuple[str, ...]] = ()
    """Arrays without which the stage does not run; if one is absent, so are all it gives."""
    optional: ClassVar[tuple[str, ...]] = ()
    """Arrays it uses when they are present; it runs once they are settled either way."""
    Options: ClassVar[type[StageOptions]] = StageOptions
    preload: ClassVar[tuple[str, ...]] = ()
    """Modules worth importing once, in the fork server, so that every worker starts quickly: ("torch", "cv2")."""

    def __init__(self, options: StageOptions, run: RunSettings, budget: Budget) -> None:
        self.options = options
        self.run = run
        self.budget = budget

    @abstractmethod
    def gives(self) -> dict[str, Spec]:
        """Name and spec of every array this stage settles."""

    def demand(self) -> Demand:
        """What the stage asks of decode. Called with a default `Budget`; must not load anything heavy."""
        return Demand()

    def check(self) -> None:
        """Find out whether this machine has what the stage needs: a device, a package, a file. Imports nothing heavy.

        Called before anything starts. Raises: ConfigError, ModelError: what is missing, and what to do.
        """

    def prepare(self, report: Callable[[str], None]) -> None:
        """Once per run, in a process of its own, before any worker opens: build engines, fill caches, write run files.

        `report("building image engine")` shows progress. Stages are prepared in graph order.
        """

    def open(self, resources: Resources) -> None:
        """Load what is needed to process."""

    @abstractmethod
    def process(self, clip: Clip) -> Outputs:
        """Give every name in `gives()`: a value or `Absent(reason)`. Raising makes all of them absent: `failed`."""

    def process_many(self, clips: Sequence[Clip]) -> list[Outputs]:
        """The same for several clips, in their order; for stages to which many together cost less than one by one.

        Clips may be of different sources. When this raises, each of them is processed by itself.
        """
        return [self.process(clip) for clip in clips]

    def close(self) -> None:
        """Undo `open`; called once."""

    def conclude(self) -> dict[str, bytes]:
        """Once per run, after its end and without `open`: files to be left beside its results, by name's ending."""
        return {}

    def describe(self) -> dict[str, str]:
        """Facts for `percept check` and for every result, such as {"engine": "onnxruntime-fp32"}. After `open`."""
        return {}


class Fold(Stage):
    """A stage that carries state from clip to clip of one source, in order.

    The state is plain data (bytes) that goes back to the ledger with the result, so any worker may continue and a
    retry repeats nothing. Errors, drops and gaps show as a jump in clip times; a new epoch shows in `clip.info.epoch`.
    """

    @abstractmethod
    def update(self, state: bytes, clip: Clip) -> tuple[bytes, Outputs]:
        """`state` is b"" before the first clip of a source."""

    def process(self, clip: Clip) -> Outputs:
        return self.update(b"", clip)[1]
