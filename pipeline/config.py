"""The configuration: one tree of structs whose defaults everything else reads. TOML in, unknown keys refused."""

import difflib
import tomllib
from pathlib import Path
from typing import Any, Literal

import msgspec

from pipeline.clip import MODALITIES
from pipeline.errors import ConfigError
from pipeline.status import EventOptions, VideoOptions


class _Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base: plain data, never changed, a misspelt key is an error."""


class ClipOptions(_Options, frozen=True):
    seconds: float = 2.0
    stride_seconds: float = 0.0
    """From one clip's start to the next; 0 means the clip's length. Longer samples the source, shorter is refused."""
    fps: float = 8.0
    """Frames per second that are looked at."""
    start_s: float = 0.0
    end_s: float | None = None

    @property
    def clip_ns(self) -> int:
        return round(self.seconds * 1e9)

    @property
    def stride_ns(self) -> int:
        return round(self.stride_seconds * 1e9) or self.clip_ns


class DecodeOptions(_Options, frozen=True):
    reader: Literal["av", "decord"] = "av"
    factory: str = "stages.decode.reader:make_reader"
    """Function that makes a reader; a config that names another one is code."""
    workers: int = 0
    """Sources decoded at the same time; 0 chooses."""
    threads: int = 1
    audio_track: str = ""
    """Index among the audio streams or a language code; empty takes the container's best."""
    long_side_px: int = 640
    short_side_px: int = 0
    """0 takes the largest input a chosen model needs."""
    max_pixels: int = 8192 * 8192
    max_hours: float = 48.0


class ModelOptions(_Options, frozen=True):
    path: str = "percept-mini"
    audio_path: str = ""
    engine: Literal["auto", "torch", "onnxruntime"] = "auto"
    device: str = "auto"
    cache_directory: str = ""
    """Where built engines and text vectors are kept; empty takes $PERCEPT_CACHE or ~/.cache/percept."""


class LabelOptions(_Options, frozen=True):
    words: str | tuple[str, ...] = ""
    """"dog barking, rain", "@words.txt" or a list; empty takes the default vocabulary."""
    top_k: int = 5
    exclusive: bool = False


class QueueOptions(_Options, frozen=True):
    slots: int = 0
    """Clips in shared memory at once; 0 chooses."""
    credit: int = 2
    """Clips a worker holds: one in work, the rest waiting beside it."""
    tries: int = 3
    results_waiting: int = 2_000
    """Finished clips that may wait for a slow reader or for their turn before decode is held back."""


class DeadlineOptions(_Options, frozen=True):
    """Seconds a worker may stay in one phase before it is taken for hung, killed and replaced."""

    prepare_s: float = 1_800.0
    load_s: float = 180.0
    clip_s: float = 120.0
    open_s: float = 60.0
    decode_s: float = 60.0
    drain_s: float = 60.0
    """After the first interrupt: how long what is in flight may take to finish."""


class Group(_Options, frozen=True):
    """Stages that share a process and are leased a clip together."""

    stages: tuple[str, ...]
    name: str = ""
    workers: int = 0
    """0 chooses: one for light or ordered groups, one per core (at most 8) otherwise."""
    threads: int = 0


class Config(_Options, frozen=True):
    clips: ClipOptions = ClipOptions()
    decode: DecodeOptions = DecodeOptions()
    model: ModelOptions = ModelOptions()
    labels: LabelOptions = LabelOptions()
    queue: QueueOptions = QueueOptions()
    deadlines: DeadlineOptions = DeadlineOptions()
    events: EventOptions = EventOptions()
    video: VideoOptions = VideoOptions()
    modalities: tuple[str, ...] = MODALITIES
    groups: tuple[Group, ...] = (
        Group(name="analyse", stages=("flow", "spectrogram", "detect", "encode", "fuse", "classify")),
        Group(name="track", stages=("track",)),
    )
    stages: dict[str, dict[str, Any]] = {}
    """Options of each stage; `class = "package.module:Class"` names one of your own."""

    def check(self) -> None:
        """Raises: ConfigError: every contradiction between values, in one message."""
        problems = []
        if self.clips.seconds < 0.5:
            problems.append(f"clips.seconds is {self.clips.seconds}; expected at least 0.5")
        if self.clips.stride_ns < self.clips.clip_ns:
            problems.append(
                f"clips.stride_seconds is {self.clips.stride_seconds}; expected {self.clips.seconds} or more: "
                "clips tile the source and may not overlap"
            )
        if not 0 < self.clips.fps <= 120:
            problems.append(f"clips.fps is {self.clips.fps}; expected more than 0 and at most 120")
        if self.clips.start_s < 0:
            problems.append(f"clips.start_s is {self.clips.start_s}; expected 0 or more")
        if self.clips.end_s is not None and self.clips.end_s <= self.clips.start_s:
            problems.append(f"clips.end_s is {self.clips.end_s}; expected more than start_s ({self.clips.start_s})")
        if self.labels.top_k < 1:
            problems.append(f"labels.top_k is {self.labels.top_k}; expected at least 1")
        if not self.modalities:
            problems.append("modalities is empty; expected one or more of image, motion, audio")
        for name in self.modalities:
            if name not in MODALITIES:
                problems.append(
                    f"modalities has {name!r}{did_you_mean(name, MODALITIES)}; expected image, motion, audio"
                )
        if not self.groups:
            problems.append("groups is empty; expected at least one group of stages")
        if problems:
            raise ConfigError("config: " + "\n        ".join(problems))


def load_config(path: str | None = None, overrides: list[str] | None = None) -> Config:
    """The config from a TOML file and `--set` overrides ("flow.short_side_px=160", "clips.fps=4").

    A first key that is no section of the config is taken for a stage's name.

    Raises:
        ConfigError: names the file, the key and what was expected.
    """
    tree: dict[str, Any] = {}
    where = "config"
    if path:
        where = path
        try:
            tree = tomllib.loads(Path(path).read_text(encoding="utf-8"))
        except OSError as error:
            raise ConfigError(f"-c {path}: cannot be read ({error.strerror}). Give the path of a TOML file.") from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ConfigError(f"{path}: is not valid TOML: {error}") from error
    for text in overrides or []:
        _apply(tree, text)
    return make_config(tree, where)


def make_config(tree: dict[str, Any], where: str = "config") -> Config:
    """Raises: ConfigError: ``configs/x.toml: Expected `int`, got `str` - at `$.queue.slots` ``."""
    try:
        config = msgspec.convert(tree, Config)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{where}: {error}{_hint(str(error))}") from error
    config.check()
    return config


def _apply(tree: dict[str, Any], text: str) -> None:
    """Set one dotted key in the tree, from `stage.key=value`."""
    key, equals, value = text.partition("=")
    parts = key.strip().split(".")
    if not equals or not all(parts) or (len(parts) < 2 and parts[0] not in Config.__struct_fields__):
        raise ConfigError(f"--set {text}: expected stage.key=value, such as flow.short_side_px=160 or clips.fps=4")
    if parts[0] not in Config.__struct_fields__:
        parts.insert(0, "stages")
    try:
        parsed: Any = tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        parsed = value.strip()
    for part in parts[:-1]:
        tree = tree.setdefault(part, {})
        if not isinstance(tree, dict):
            raise ConfigError(f"--set {text}: {part} is a value, not a section")
    tree[parts[-1]] = parsed


def _hint(message: str) -> str:
    """A suggestion for "Object contains unknown field `sots`"."""
    if "unknown field" not in message:
        return ""
    wrong = message.split("`")[1]
    known = {name for kind in _all_structs(Config) for name in kind.__struct_fields__}
    return did_you_mean(wrong, sorted(known))


def _all_structs(kind: type[msgspec.Struct]) -> list[type[msgspec.Struct]]:
    return [
        kind,
        ClipOptions,
        DecodeOptions,
        ModelOptions,
        LabelOptions,
        QueueOptions,
        DeadlineOptions,
        EventOptions,
        VideoOptions,
        Group,
    ]


def did_you_mean(wrong: str, known: Any) -> str:
    close = difflib.get_close_matches(wrong, list(known), n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""
