"""The configuration: one tree of structs that holds all defaults. It is read from TOML; unknown keys are refused."""

import difflib
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import UnionType
from typing import Any, Literal, get_args, get_origin

import msgspec

from pipeline.clip import MODALITIES
from pipeline.errors import ConfigError, Problems
from pipeline.places import Line, Polygon, places_problems
from pipeline.small_file import parse_toml
from pipeline.stage import DESCRIPTION_WEIGHT
from pipeline.status import EventOptions, VideoOptions

BUNDLED = Path(__file__).resolve().parent.parent / "configs"
UNBOUNDED = 1e9
MAX_GROUP_WORKERS = 64
MAX_BATCH = 256
MAX_WAIT_MS = 10_000.0
RANGES: tuple[tuple[str, float, float], ...] = (
    ("clips.seconds", 0.5, 600.0),
    ("clips.stride_seconds", 0.0, UNBOUNDED),
    ("clips.fps", 0.1, 120.0),
    ("clips.start_s", 0.0, UNBOUNDED),
    ("clips.end_s", 0.0, UNBOUNDED),
    ("decode.workers", 0, MAX_GROUP_WORKERS),
    ("decode.threads", 1, MAX_GROUP_WORKERS),
    ("decode.long_side_px", 1, 8192),
    ("decode.short_side_px", 0, 8192),
    ("decode.max_pixels", 1, UNBOUNDED),
    ("decode.max_hours", 0.0, UNBOUNDED),
    ("labels.top_k", 1, UNBOUNDED),
    ("labels.description_weight", 0.0, 1.0),
    ("queue.slots", 0, 4096),
    ("queue.credit", 1, 4096),
    ("queue.tries", 1, 100),
    ("queue.results_waiting", 1, UNBOUNDED),
    ("deadlines.prepare_s", 0.1, UNBOUNDED),
    ("deadlines.load_s", 0.1, UNBOUNDED),
    ("deadlines.clip_s", 0.1, UNBOUNDED),
    ("deadlines.open_s", 0.1, UNBOUNDED),
    ("deadlines.decode_s", 0.1, UNBOUNDED),
    ("deadlines.drain_s", 0.0, UNBOUNDED),
    ("events.enter", 0.0, 1.0),
    ("events.leave", 0.0, 1.0),
    ("events.min_duration_s", 0.0, UNBOUNDED),
    ("events.gap_s", 0.0, UNBOUNDED),
    ("video.crf", 0, 51),
    ("video.max_labels", 0, UNBOUNDED),
    ("video.least_probability", 0.0, 1.0),
)
"""Key, smallest and largest allowed value."""


class _Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base class: frozen plain data. An unknown key is an error."""


class ClipOptions(_Options, frozen=True):
    seconds: float = 2.0
    """Length of a clip."""
    stride_seconds: float = 0.0
    """From the start of one clip to the next; 0 means the length of a clip. A longer stride samples the source."""
    shots: bool = False
    """Clips end where a shot ends, and a longer shot becomes several clips."""
    fps: float = 8.0
    """Frames per second that are analysed."""
    start_s: float = 0.0
    """Where to start, as a player's seek bar shows it."""
    end_s: float | None = None
    """Where to end; none: at the end of the source."""

    @property
    def clip_ns(self) -> int:
        return round(self.seconds * 1e9)

    @property
    def stride_ns(self) -> int:
        return round(self.stride_seconds * 1e9) or self.clip_ns


class DecodeOptions(_Options, frozen=True):
    reader: str = "av"
    """A name in `stages.decode.readers`, or "package.module:Class"."""
    factory: str = "stages.decode.reader:make_reader"
    """Function that makes a reader. A config that names another one is code."""
    workers: int = 0
    """Sources decoded at the same time; 0: automatic."""
    key_frames: bool = False
    """Decode key frames only: several times faster, and without motion."""
    reuse: bool = False
    """Where nothing changes, the answers of an earlier clip hold, and clips are neither labelled nor, if their key
    frames and packets tell enough, decoded."""
    threads: int = 1
    """Threads that decode the pictures of one source."""
    device: str = "cpu"
    """"cpu", "cuda", "cuda:N" or "auto": what decodes pictures of H.264, HEVC and AV1. Where a GPU would give others
    than the CPU, the CPU decodes. See docs/gpu.md."""
    audio_track: str = ""
    """Index among the audio streams, or a language code; empty: the default track of the container."""
    long_side_px: int = 640
    """Longest side of analysed pictures."""
    short_side_px: int = 0
    """Short side of analysed pictures; 0: the largest input that a model needs."""
    max_pixels: int = 8192 * 8192
    """Sources with larger pictures are refused."""
    max_hours: float = 48.0
    """Longer sources are refused."""


class ModelOptions(_Options, frozen=True):
    path: str = "percept-mini"
    """The bundled "percept-mini", a model directory, or a hub id."""
    audio_path: str = ""
    """Another model for sound; empty: the sound tower of `path`, if it has one."""
    engine: str = "auto"
    """"auto", a name in `engines.backends.table`, or "package.module:BACKEND" of your own."""
    precision: Literal["auto", "fp32", "bf16", "fp16", "int8"] = "auto"
    """Of the networks; auto: the first that the engine has on this device and that passes its gate."""
    device: str = "auto"
    """"auto", "cpu", "cuda" or "cuda:N"; "sm89" builds engines for a GPU of another machine."""
    cache_directory: str = ""
    """Where built engines and text vectors are kept; empty: $PERCEPT_CACHE, else ~/.cache/percept."""


class LabelOptions(_Options, frozen=True):
    words: str | tuple[str, ...] = ""
    """"dog barking, rain", "@words.txt" or a list; empty: the default vocabulary. "car|automobile" are synonyms,
    and "vehicle > car" is a label below another."""
    templates: str = "model"
    """Prompt templates: "model" (the model's own), "pool" (built in), "zpe" (the pool, weighted on the clips of the
    run; "zpe:FILE" weights those of a file), or a file from `percept labels weigh` or with a template per line."""
    descriptions: str = ""
    """File with sentences that describe labels: JSON {label: [sentences]}, or lines of "label: sentence"."""
    description_weight: float = DESCRIPTION_WEIGHT
    """Share of the sentences in the vector of a described label: from 0 (its name alone) to 1 (the sentences alone)."""
    top_k: int = 5
    """Labels per clip in results."""
    exclusive: bool = False
    """Labels exclude each other: events follow shares."""


class FollowOptions(_Options, frozen=True):
    find: str | tuple[str, ...] = ""
    """Things to follow, written as in `labels.words`: "dog, red car". They name tracks in place of the labels."""
    like: tuple[str, ...] = ()
    """Things to follow by an example: a photo, or a box in a film: "clip.mp4@12s:0.1,0.2,0.4,0.9" (fractions)."""
    which: Literal["auto", "all", "found", "none"] = "auto"
    """Tracks in results: "all", "found" (what `find` names, or what looks like an example of `like`), "none" (no boxes
    are looked for, which saves time); "auto" is "found" with `find` or `like`, otherwise "all"."""
    zones: dict[str, Polygon] = {}
    """Where tracks are counted, and how long they stay: name = [[x, y], [x, y], [x, y], ...], in fractions of the
    upright picture's width and height, from the upper left."""
    lines: dict[str, Line] = {}
    """Where tracks are counted as they cross: name = [[x, y], [x, y]]. A line from the top down is crossed in by what
    moves right, one from left to right by what moves up."""

    @property
    def chosen(self) -> Literal["all", "found", "none"]:
        return self.which if self.which != "auto" else "found" if self.find or self.like else "all"


class QueueOptions(_Options, frozen=True):
    slots: int = 0
    """Clips in shared memory at the same time; 0: automatic."""
    credit: int = 2
    """Clips that a worker holds: one in progress, the others queued."""
    tries: int = 3
    """How often a clip is tried whose worker died."""
    results_waiting: int = 2_000
    """Finished clips that may wait for the output or for their turn before decode is paused."""


class DeadlineOptions(_Options, frozen=True):
    """Seconds that a worker may stay in one phase. A worker that stays longer is killed and replaced."""

    prepare_s: float = 1_800.0
    """For everything that is prepared before a run, such as engines and label vectors."""
    load_s: float = 180.0
    """Until a worker has loaded its networks."""
    clip_s: float = 120.0
    """For one clip, or for one batch of clips."""
    open_s: float = 60.0
    """Until a source is open."""
    decode_s: float = 60.0
    """For the decoding of one clip."""
    drain_s: float = 60.0
    """After the first interrupt: how long clips in flight may take to finish."""


class GroupOptions(_Options, frozen=True):
    """Stages that run in one process, on the same clip, one after another."""

    stages: tuple[str, ...]
    """Names of built-in stages, or of your own: see `[stages]`."""
    name: str = ""
    """Shown in logs; empty: the first of its stages."""
    workers: int = 0
    """0: automatic, which is 1 for light or ordered groups. For others it is one per core, at most 8, and more if
    earlier runs have shown that they are busy."""
    threads: int = 0
    """Of each worker; 0: the cores divided by the number of workers."""
    batch: int = 1
    """Largest number of clips, from any sources, that a worker runs in one batch. More than 1 pays off for networks on
    a GPU; each costs two more slots."""
    wait_ms: float = 10.0
    """How long the first clip of a batch may wait for others; 0: not at all."""
    nice: int = 0
    """From 0 to 19: how far its processes stand back where the processors are busy, for instance for decoders."""
    latest: bool = False
    """In `percept watch`: a clip that waits for this group is superseded by a newer one of the same camera."""


class Config(_Options, frozen=True):
    clips: ClipOptions = ClipOptions()
    decode: DecodeOptions = DecodeOptions()
    model: ModelOptions = ModelOptions()
    labels: LabelOptions = LabelOptions()
    follow: FollowOptions = FollowOptions()
    queue: QueueOptions = QueueOptions()
    deadlines: DeadlineOptions = DeadlineOptions()
    events: EventOptions = EventOptions()
    video: VideoOptions = VideoOptions()
    modalities: tuple[str, ...] = MODALITIES
    """Which of image, motion and audio are used."""
    groups: tuple[GroupOptions, ...] = (
        GroupOptions(name="analyse", stages=("flow", "spectrogram", "detect", "signals", "encode", "fuse", "classify")),
        GroupOptions(name="track", stages=("track",)),
    )
    stages: dict[str, dict[str, Any]] = {}
    """Options of each stage; `class = "package.module:Class"` names one of your own."""
    keep: tuple[str, ...] = ()
    """In `percept watch`: arrays of the last clips that stay at hand, such as image_embedding."""
    sinks: dict[str, dict[str, Any]] = {}
    """Sinks of your own by kind: `class`, `suffixes` (default: .kind), `per_source`, and options of the class."""

    def problems(self) -> list[str]:
        """Every value out of range and every contradiction, a sentence each."""
        found = [text for key, low, high in RANGES if (text := _out_of_range(self, key, low, high))]
        clips = self.clips
        in_range = not any(text.startswith("clips.") for text in found)
        if in_range and clips.stride_ns < clips.clip_ns:
            found.append(
                f"clips.stride_seconds is {clips.stride_seconds}; expected {clips.seconds} or more: "
                "clips tile the source and may not overlap"
            )
        if in_range and clips.end_s is not None and clips.end_s <= clips.start_s:
            found.append(f"clips.end_s is {clips.end_s}; expected more than start_s ({clips.start_s})")
        found += self._sampling_problems()
        if self.events.leave_at > self.events.enter:
            found.append(
                f"events.leave is {self.events.leave}; expected at most enter ({self.events.enter}). "
                "Omit it, and it follows enter"
            )
        found += [f"follow.{problem}" for problem in places_problems(self.follow.zones, self.follow.lines)]
        needy = [name for name in ("find", "like", "zones", "lines") if getattr(self.follow, name)]
        if self.follow.which == "none" and needy:
            found.append(
                f'follow.which is "none", and follow.{needy[0]} is given; without boxes it has no effect. Leave one of '
                "them out"
            )
        elif needy and self.modalities and not {"image", "motion"} & set(self.modalities):
            found.append(
                f"follow.{needy[0]} is given, and modalities is {', '.join(self.modalities)}; without pictures nothing "
                "is followed. Leave one of them out"
            )
        if self.follow.which == "found" and not (self.follow.find or self.follow.like):
            found.append(
                'follow.which is "found", and follow.find is empty; say what to find, such as --find "dog, bus"'
            )
        if not self.modalities:
            found.append("modalities is empty; expected one or more of image, motion, audio")
        for name in self.modalities:
            if name not in MODALITIES:
                found.append(f"modalities has {name!r}{did_you_mean(name, MODALITIES)}; expected image, motion, audio")
        if not re.fullmatch(r"auto|cpu|cuda(:\d+)?|sm\d{2,3}", self.model.device):
            found.append(
                f"model.device is {self.model.device!r}; expected auto, cpu, cuda or cuda:N (sm89 to build for one)"
            )
        return found + self._group_problems()

    @property
    def analysed(self) -> tuple[str, ...]:
        """The modalities that can be had of what is decoded: between key frames, motion is unknown."""
        return tuple(name for name in self.modalities if name != "motion" or not self.decode.key_frames)

    def _sampling_problems(self) -> list[str]:
        found = []
        if self.clips.shots and self.clips.stride_ns > self.clips.clip_ns:
            found.append(
                "clips.shots does not go with clips.stride_seconds: shots are found on all pictures. Choose one"
            )
        if self.clips.shots and self.decode.key_frames:
            found.append("clips.shots does not go with decode.key_frames: shots are found on all pictures. Choose one")
        if self.decode.key_frames and self.decode.reader != "av":
            found.append(f"decode.key_frames needs the reader av; decode.reader is {self.decode.reader!r}")
        if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", self.decode.device):
            found.append(f"decode.device is {self.decode.device!r}; expected auto, cpu, cuda or cuda:N")
        if self.decode.device.startswith("cuda") and self.decode.reader != "av":
            found.append(f"decode.device needs the reader av; decode.reader is {self.decode.reader!r}")
        if self.modalities and not self.analysed:
            found.append("modalities has motion alone, which key frames do not show. Omit decode.key_frames")
        return found

    def _group_problems(self) -> list[str]:
        found = [] if self.groups else ["groups is empty; expected at least one group of stages"]
        names = [group.name or "".join(group.stages[:1]) for group in self.groups]
        for index, group in enumerate(self.groups):
            if not group.stages:
                found.append(f"groups[{index}].stages is empty; expected at least one stage")
            elif names[index] in names[:index]:
                found.append(f"groups[{index}].name is {names[index]!r}, also another group's; give each its own")
            if not 0 <= group.workers <= MAX_GROUP_WORKERS:
                found.append(f"groups[{index}].workers is {group.workers}; expected from 0 to {MAX_GROUP_WORKERS}")
            if not 0 <= group.threads <= MAX_GROUP_WORKERS:
                found.append(f"groups[{index}].threads is {group.threads}; expected from 0 to {MAX_GROUP_WORKERS}")
            if not 0 <= group.nice <= 19:
                found.append(f"groups[{index}].nice is {group.nice}; expected from 0 to 19")
            if not 1 <= group.batch <= MAX_BATCH:
                found.append(f"groups[{index}].batch is {group.batch}; expected from 1 to {MAX_BATCH}")
            longest_ms = min(MAX_WAIT_MS, 500 * self.deadlines.clip_s)  # a waiting worker must not look hung
            if not 0 <= group.wait_ms <= longest_ms:
                found.append(f"groups[{index}].wait_ms is {group.wait_ms}; expected from 0 to {longest_ms:g}")
        return found


def _out_of_range(config: Config, key: str, low: float, high: float) -> str:
    section, _, name = key.partition(".")
    value = getattr(getattr(config, section), name)
    if value is None or low <= value <= high:  # False for a NaN
        return ""
    return f"{key} is {value}; expected " + (f"at least {low:g}" if high == UNBOUNDED else f"from {low:g} to {high:g}")


def load_config(path: str | None = None, overrides: Sequence[str] = ()) -> Config:
    """The config from a TOML file and `--set` overrides ("flow.short_side_px=160", "clips.fps=4").

    A first key that is not a section of the config is the name of a stage.

    Raises:
        ConfigError: names the file, the key and what was expected; a line per problem.
    """
    problems = Problems()
    config = read_config(path, overrides, problems)
    problems.raise_all()
    return config


def read_config(path: str | None, overrides: Sequence[str], problems: Problems) -> Config:
    """Like `load_config`, but problems are collected, and what has a problem keeps its default."""
    tree: dict[str, Any] = {}
    if path:
        with problems.collected():
            tree = _read_toml(path)
    for text in overrides:
        with problems.collected():
            _apply(tree, text)
    return _usable(tree, path or "config", problems)


def _read_toml(path: str) -> dict[str, Any]:
    try:
        return parse_toml(_config_file(path).read_text(encoding="utf-8"))
    except OSError as error:
        bundled = ", ".join(sorted(file.stem for file in BUNDLED.glob("*.toml")))
        raise ConfigError(
            f"-c {path}: cannot be read ({error.strerror}). Give the path of a TOML file, or a bundled one: {bundled}"
        ) from error
    except ValueError as error:  # of TOML, or of UTF-8
        raise ConfigError(f"{path}: is not valid TOML: {error}") from error


def _config_file(path: str) -> Path:
    """The file at this path, or the bundled file of this name: "sampled", "configs/sampled.toml"."""
    given, bundled = Path(path), BUNDLED / f"{Path(path).stem}.toml"
    is_name = path in (given.stem, f"configs/{given.stem}.toml")
    return bundled if is_name and bundled.is_file() and not given.exists() else given


def make_config(tree: dict[str, Any], where: str = "config") -> Config:
    """Raises: ConfigError: all problems, one per line: ``x.toml: Expected `int`, got `str` - at `$.queue.slots` ``."""
    problems = Problems()
    config = _usable(tree, where, problems)
    problems.raise_all()
    return config


def _usable(tree: dict[str, Any], where: str, problems: Problems) -> Config:
    """The config in a tree. A value with a problem keeps its default."""
    for problem in misfits(tree, Config, ""):
        problems.add(ConfigError(f"{where}: {problem}"))
    config = msgspec.convert(_fitting(tree, Config), Config)
    wrong = config.problems()
    for problem in wrong:
        problems.add(ConfigError(f"{where}: {problem}"))
    for problem in wrong:
        config = _with_default(config, problem)
    return config


def _with_default(config: Config, problem: str) -> Config:
    """The config with the default for the key or section that the text of a problem begins with."""
    name, key = re.match(r"(\w+)(?:\.(\w+))?", problem).groups()  # type: ignore[union-attr]
    section = default = getattr(Config(), name)
    if key:
        section = msgspec.structs.replace(getattr(config, name), **{key: getattr(default, key)})
    return msgspec.structs.replace(config, **{name: section})


def _fitting(value: Any, kind: Any) -> Any:
    """The part of a tree that fits its types."""
    if not (isinstance(kind, type) and issubclass(kind, msgspec.Struct) and isinstance(value, dict)):
        return value
    fields = {field.name: field.type for field in msgspec.structs.fields(kind)}
    kept = {key: _fitting(item, fields[key]) for key, item in value.items() if key in fields}
    return {key: item for key, item in kept.items() if not any(misfits(item, fields[key], ""))}


def _apply(tree: dict[str, Any], text: str) -> None:
    """Set one dotted key in the tree, from "stage.key=value"."""
    key, equals, value = text.partition("=")
    parts = key.strip().split(".")
    if not equals or not all(parts) or (len(parts) < 2 and parts[0] not in Config.__struct_fields__):
        raise ConfigError(f"--set {text}: expected stage.key=value, such as flow.short_side_px=160 or clips.fps=4")
    if parts[0] not in Config.__struct_fields__:
        parts.insert(0, "stages")
    try:
        parsed: Any = parse_toml(f"value = {value}")["value"]
    except ValueError:
        parsed = value.strip()
    for part in parts[:-1]:
        tree = tree.setdefault(part, {})
        if not isinstance(tree, dict):
            raise ConfigError(f"--set {text}: {part} is a value, not a section")
    tree[parts[-1]] = parsed


Hint = Callable[[str, list[str]], str]
"""What to say of an unknown key, from it and the known ones."""


def misfits(value: Any, kind: Any, path: str, hint: Hint | None = None) -> Iterator[str]:
    """Every unknown key and every value of a wrong type, with its path. msgspec itself stops at the first."""
    hint = hint or _hint
    kind = _struct_of(kind, value)
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct) and isinstance(value, dict):
        fields = {field.name: field for field in msgspec.structs.fields(kind)}
        for name, field in fields.items():
            if field.required and name not in value:
                yield f"Object missing required field `{name}` - at `${path}`"
        for key, item in value.items():
            if key in fields:
                yield from misfits(item, fields[key].type, f"{path}.{key}", hint)
            else:
                yield f"Object contains unknown field `{key}` - at `${path}`{hint(str(key), list(fields))}"
    elif get_origin(kind) is tuple and get_args(kind)[1:] == (Ellipsis,) and isinstance(value, list):
        for index, item in enumerate(value):
            yield from misfits(item, get_args(kind)[0], f"{path}[{index}]", hint)
    else:
        try:
            msgspec.convert(value, kind)
        except msgspec.ValidationError as error:
            text, _, inner = str(error).partition(" - at `$")
            known = f"; expected {', '.join(map(str, get_args(kind)))}" if get_origin(kind) is Literal else ""
            yield f"{text} - at `${path}{inner or '`'} (it is {value!r}{known})"


def known_part(value: Any, kind: Any) -> Any:
    """A value without the keys that its type does not have, which `misfits` names."""
    kind = _struct_of(kind, value)
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct) and isinstance(value, dict):
        types = {field.name: field.type for field in msgspec.structs.fields(kind)}
        return {key: known_part(item, types[key]) for key, item in value.items() if key in types}
    if get_origin(kind) is tuple and get_args(kind)[1:] == (Ellipsis,) and isinstance(value, list):
        return [known_part(item, get_args(kind)[0]) for item in value]
    return value


def _struct_of(kind: Any, value: Any) -> Any:
    """The struct among the alternatives of a type, if the value is an object."""
    structs = [each for each in get_args(kind) if isinstance(each, type) and issubclass(each, msgspec.Struct)]
    return structs[0] if isinstance(value, dict) and get_origin(kind) is UnionType and len(structs) == 1 else kind


def _hint(wrong: str, known: list[str]) -> str:
    """A hint to a key of this or a similar name, here or in another section."""
    if close := did_you_mean(wrong, known):
        return close
    sections = [field for field in msgspec.structs.fields(Config) if isinstance(field.default, msgspec.Struct)]
    elsewhere = {key: section.name for section in sections for key in section.default.__struct_fields__}
    for key in difflib.get_close_matches(wrong, elsewhere, n=1):
        return f" (did you mean {elsewhere[key]}.{key}?)" if key != wrong else f" (it belongs under [{elsewhere[key]}])"
    if known == list(Config.__struct_fields__):
        return f"; known: {', '.join(known)}; options of a stage belong under [stages.{wrong}]"
    return f"; known: {', '.join(known)}" if known else "; it has no options"


def did_you_mean(wrong: str, known: Any) -> str:
    close = difflib.get_close_matches(wrong, list(known), n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""
