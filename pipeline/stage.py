"""The base classes of stages.

    class Flow(Stage):
        required = ("frames", "frame_times_ns")
        optional = ("previous_frame",)

        class Options(StageOptions):
            short_side_px: int = 224

        def gives(self) -> dict[str, Spec]:
            return {"flow": Spec("float16", "P h w 2", max_bytes=...)}

        def process(self, clip: Clip) -> Outputs:
            return {"flow": ...}

The graph follows from `required`, `optional` and `gives`. Nobody draws edges by hand.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Literal, TypeVar, cast

import msgspec

from pipeline.arrays import Array, Spec
from pipeline.clip import Clip
from pipeline.places import Line, Polygon

T = TypeVar("T")

Outputs = Mapping[str, Any]
"""Array, record, or `Absent(reason)` for every name in `gives()`."""


class StageOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base class of a stage's options. Its fields are the keys under `[stages.<name>]` in a config."""


class Demand(msgspec.Struct, frozen=True, kw_only=True):
    """What a stage needs from decode, which uses the largest of each over all stages."""

    short_side_px: int = 0
    audio_rate_hz: int = 0
    audio_context_s: float = 0.0
    """Length of sound before the end of a clip that must be present. The sound of the clip itself always is."""


class Budget(msgspec.Struct, frozen=True, kw_only=True):
    """Upper limits of what decode gives, from which a stage derives the size of its own arrays."""

    frames: int = 17
    short_side_px: int = 224
    long_side_px: int = 640
    audio_samples: int = 160_000

    @property
    def frame_pixels(self) -> int:
        return self.short_side_px * self.long_side_px


DESCRIPTION_WEIGHT = 0.1
"""Usual weight of a label's description against its name. More makes names that the model knows worse, on average and
at worst (`python -m benchmarks.descriptions`). A name that it cannot know, such as a code, needs more."""


class RunSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The settings that all stages of a run share: plain data, the same in every process."""

    model: str = "percept-mini"
    audio_model: str = ""
    labels: tuple[str, ...] = ()
    """Synonyms and parents as in "vehicle > car|automobile"."""
    phrases: tuple[str, ...] = ()
    """Labels that are read in the pictures: `text:"EXIT"`."""
    templates: str = "model"
    """"model", "pool", "zpe" or a file: see `stages.words.templates`."""
    descriptions: str = ""
    description_weight: float = DESCRIPTION_WEIGHT
    """Of the sentences against the name of a described label, in [0, 1]."""
    modalities: tuple[str, ...] = ("image", "motion", "audio")
    key_frames: bool = False
    """Pictures are key frames, too far apart for motion."""
    find: tuple[str, ...] = ()
    """Things that name tracks in place of the labels, as `labels`."""
    like: tuple[str, ...] = ()
    """Examples of things that name tracks, too: see `stages.track.examples`."""
    follow: Literal["all", "found", "none"] = "all"
    """Which tracks are told; with "none", nothing looks for boxes."""
    zones: dict[str, Polygon] = {}
    """By name: where tracks are counted, in fractions of the picture."""
    lines: dict[str, Line] = {}
    """By name: which tracks are counted as they cross them, in fractions of the picture."""
    top_k: int = 5
    engine: str = "auto"
    precision: str = "auto"
    device: str = "auto"
    threads: int = 1
    """Threads that a worker process may use inside a network."""
    clip_ns: int = 2_000_000_000
    frame_rate_hz: float = 8.0
    directory: str = ""
    """Private directory of the run. Every worker can read what `prepare` writes there."""
    cache_directory: str = ""
    """Where exported networks and text vectors are kept between runs."""


class Resources:
    """Objects that the stages of one worker share, such as a loaded network: made once, closed with the process.

    memory: all slots, uint8 "N", to be registered with a device; None without slots.
    """

    def __init__(self, memory: Array | None = None) -> None:
        self.memory = memory
        self._held: dict[Any, Any] = {}

    def get(self, key: Any, make: Callable[[], T]) -> T:
        """The object under `key`, made now if it does not exist yet."""
        if key not in self._held:
            self._held[key] = make()
        return cast(T, self._held[key])

    def close(self) -> None:
        """Close everything that has a `close`, in reverse order."""
        while self._held:
            _, held = self._held.popitem()
            if hasattr(held, "close"):
                held.close()


class Stage(ABC):
    """One processing step. The constructor is cheap; `open` may be expensive; `close` undoes it.

    A stage must be a function of the clip alone: workers keep no state that others need.
    """

    required: ClassVar[tuple[str, ...]] = ()
    """Arrays without which the stage does not run. If one is absent, all outputs are absent."""
    optional: tuple[str, ...] = ()
    """Arrays that it uses if they are present. It runs once they are settled, either way. Its
    constructor adds what it uses only in some runs."""
    Options: ClassVar[type[StageOptions]] = StageOptions

    def __init__(self, options: StageOptions, run: RunSettings, budget: Budget) -> None:
        self.options = options
        self.run = run
        self.budget = budget

    @property
    def preload(self) -> tuple[str, ...]:
        """Modules that the fork server imports, so that workers start quickly: ("cv2",). A plain attribute does, too.
        "module:function" is called instead, which imports one.

        Called before anything starts; imports nothing heavy itself.
        """
        return ()

    @property
    def opens_early(self) -> bool:
        """Whether `open` needs nothing that `prepare` makes, of this stage or another: then it may run beside it."""
        return False

    @abstractmethod
    def gives(self) -> dict[str, Spec]:
        """Name and spec of every array this stage settles."""

    def demand(self) -> Demand:
        """What the stage needs from decode. Called with a default `Budget`; must not load anything heavy."""
        return Demand()

    def check(self) -> None:
        """Check that this machine has what the stage needs: a device, a package, a file. Imports nothing heavy.

        Called before anything starts. Raises: ConfigError, ModelError: something is missing.
        """

    def prepare(self, report: Callable[[str], None]) -> None:
        """Once per run, in a process of its own, before `open`: build engines, fill caches, write run files.

        `report("building image engine")` shows progress. Stages are prepared in the order of the config.
        """

    def improve(self, report: Callable[[str], None]) -> bool:
        """Once per run, after `prepare`, while clips are already processed: build what would make the stage faster.

        Returns whether a worker that opens the stage now is better than those that opened it before; if so, they are
        replaced.
        """
        return False

    def open(self, resources: Resources) -> None:
        """Load what `process` needs."""

    @abstractmethod
    def process(self, clip: Clip) -> Outputs:
        """A value or `Absent(reason)` for every name in `gives()`. If it raises, all of them are absent: `failed`."""

    def process_many(self, clips: Sequence[Clip]) -> list[Outputs]:
        """The same for several clips, in their order, for stages that process a batch faster than single clips.

        The clips may be from different sources. If it raises, each clip is processed alone.
        """
        return [self.process(clip) for clip in clips]

    def close(self) -> None:
        """Undo `open`. Called once."""

    def probe(self) -> str:
        """What is wrong with the open stage, found by inputs whose answers are known; "" if nothing is.

        Called now and then in a watch, which may go on for weeks.
        """
        return ""

    def ask(self, question: Mapping[str, Any]) -> dict[str, Any]:
        """Answer a question beside the clips, in a watch, in a process of its own; `open` is not called there.

        Raises: PerceptError: it cannot be answered, with the reason.
        """
        raise NotImplementedError(f"{type(self).__name__} answers no questions")

    def conclude(self) -> dict[str, bytes]:
        """Files to be written next to the results, by the ending of their name. Called once, after the run."""
        return {}

    def describe(self) -> dict[str, str]:
        """Facts for `percept check` and for results, such as {"engine": "onnxruntime-fp32"}. Called after `open`."""
        return {}


class Fold(Stage):
    """A stage that carries state from clip to clip of one source, in order.

    The state is bytes that return to the ledger with the result, so any worker can continue and a retry repeats
    nothing. Errors, drops and gaps appear as a jump in clip times, and a new epoch in `clip.info.epoch`.
    """

    @abstractmethod
    def update(self, state: bytes, clip: Clip) -> tuple[bytes, Outputs]:
        """`state` is b"" before the first clip of a source."""

    def process(self, clip: Clip) -> Outputs:
        return self.update(b"", clip)[1]
