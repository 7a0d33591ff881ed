"""Says why a clip got a label: what each modality adds, and where, when and at which frequencies it does."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import msgspec
import numpy as np

from engines.models.checkpoint import read_model
from engines.models.patch_tower import PatchTower
from evidence import heard, in_pixels, moved
from evidence.contrast import contrasted
from evidence.heard import Hearing
from evidence.heat import Heat, shared_out
from evidence.in_pixels import Pixels
from evidence.moved import Moving
from evidence.seen import seen_fields, seen_rows, seen_window
from pipeline.arrays import Array
from pipeline.build import make_plan, make_settings
from pipeline.clip import Clip, DecodedClip
from pipeline.config import Config, GroupOptions
from pipeline.errors import ConfigError, ModelError, SourceError
from pipeline.plain import PlainLoop, make_reader, refuse_failed
from pipeline.result import Label, Track
from pipeline.run import place, private_directory
from stages.tower_inputs import tower_input
from stages.words.labels import LabelSet, build_label_set

STAGES = ("flow", "spectrogram", "signals", "encode", "fuse", "classify")
LEAST_ADDED = 0.1
"""A modality that adds less to the log-odds has no map."""

Report = Callable[[str], None]


@dataclass(frozen=True)
class Seen:
    """A map of pictures. frames: uint8 "T H W 3", those that the tower reads. window: rows and columns that it sees.

    pixels: the heat of frame `best`, which has most of it, handed back to its pixels, float32 "S S" over the window;
        None if it was not asked for, or the tower cannot do that.
    """

    heat: Heat
    frames: Array
    times_s: Array
    window: tuple[slice, slice]
    pixels: Array | None = None

    @property
    def best(self) -> int:
        return int(self.heat.values.sum(axis=(1, 2)).argmax())


@dataclass(frozen=True)
class Heard:
    """A map of sound. log_mel: float32 "bins bands" from the clip's start, `bin_s` each. Columns of the heat are
    `column_s` long; its rows lie between `edges_hz`."""

    heat: Heat
    start_s: float
    log_mel: Array
    bin_s: float
    column_s: float
    edges_hz: Array


@dataclass(frozen=True)
class Moved:
    """A map of motion. flow: float32 "T h w 2" in short sides per second, the pairs of frames that the tower reads."""

    heat: Heat
    flow: Array


@dataclass(frozen=True)
class Explanation:
    """Why a clip got a label.

    label: as in the record, with what each modality adds. why_not: for each modality without a map, the reason.
    tracks: those of the clip, if they are known, with boxes in pixels of the source. size: its width and height.
    """

    source: str
    start_s: float
    end_s: float
    label: Label
    image: Seen | None
    motion: Moved | None
    audio: Heard | None
    why_not: Mapping[str, str]
    tracks: Sequence[Track] = ()
    size: tuple[int, int] = (0, 0)
    is_photo: bool = False
    """The clip is one picture, and its times say nothing."""

    @property
    def maps(self) -> dict[str, Seen | Moved | Heard]:
        every = {"image": self.image, "motion": self.motion, "audio": self.audio}
        return {name: each for name, each in every.items() if each is not None}

    @property
    def added(self) -> dict[str, float]:
        """The contribution of each modality in log-odds. Base and contributions add up to the label's log-odds."""
        return {name: float(each.contribution or 0.0) for name, each in self.label.evidence.items()}

    @property
    def shares(self) -> dict[str, float]:
        """The share of each modality in what speaks for the label."""
        positive = {name: max(0.0, value) for name, value in self.added.items()}
        total = sum(positive.values())
        return {name: value / total if total else 0.0 for name, value in positive.items()}


class Explainer:
    """See `explaining`."""

    def __init__(self, loop: PlainLoop, pixels: bool, report: Report = lambda text: None) -> None:
        settings = loop.plan.settings
        self._loop, self._report = loop, report
        self._words = loop.plan.config.labels.words
        self._spec = read_model(settings.model, settings.audio_model)
        self._clip_ns = settings.clip_ns
        towers = self._spec.towers()
        self._patches, self._no_patches = _patches(self._spec, settings)
        audio, motion = towers.get("audio"), towers.get("motion")
        image = towers.get("image")
        self._pixels = Pixels(image) if pixels and image is not None and image.network == in_pixels.NETWORK else None
        self._hearing = Hearing(audio) if audio is not None and audio.network == heard.NETWORK else None
        self._moving = Moving(motion) if motion is not None and motion.network == moved.NETWORK else None

    def open(self) -> None:
        for each in (self._patches, self._pixels, self._hearing, self._moving):
            if each is not None:
                each.open()

    def close(self) -> None:
        if self._patches is not None:
            self._patches.close()

    def ask(self, words: str | tuple[str, ...]) -> None:
        """Take other labels, written as in a config, from now on.

        Raises: ConfigError: they cannot be used.
        """
        if words == self._words:
            return
        config = self._loop.plan.config
        config = msgspec.structs.replace(config, labels=msgspec.structs.replace(config.labels, words=words))
        asked = make_settings(config).labels
        found = build_label_set(self._spec, asked, self._loop.plan.settings, self._report)
        self._loop.stages["classify"].label_set = found  # type: ignore[attr-defined]
        self._words = words

    def at(self, source: str, time_s: float, label: str = "", tracks: Sequence[Track] = ()) -> Explanation:
        """Why the clip around a time has a label, by default its most probable one.

        tracks: of a run's record of that clip; they are not looked for here, since their numbers count from the start.

        Raises: ConfigError: the label is not among those of the run. SourceError: there is nothing at that time.
        """
        clip, is_photo = self._read(source, time_s)
        rows = msgspec.convert(clip.get("labels") or [], list[Label])
        if not rows:
            raise SourceError(f"{source}: has neither picture nor sound at {time_s:g} s; choose another moment")
        found = next((each for each in rows if each.label == label), None) if label else rows[0]
        if found is None:
            raise ConfigError(
                f"--label {label}: not among the labels; expected one of {', '.join(self.labels.labels[:8])}"
            )
        return replace(self._explained(source, clip, found), tracks=tracks, is_photo=is_photo)

    @property
    def labels(self) -> LabelSet:
        labels: LabelSet = self._loop.stages["classify"].label_set  # type: ignore[attr-defined]
        return labels

    def clip_at(self, source: str, time_s: float) -> Clip:
        """The clip of the run's grid that has this time, after all stages. It is decoded from the clip before it on, so
        that its first motion is that of a run."""
        return self._read(source, time_s)[0]

    def _read(self, source: str, time_s: float) -> tuple[Clip, bool]:
        """See `clip_at`. And whether the source is a photo."""
        number = int(time_s * 1e9) // self._clip_ns
        start_ns = max(0, number - 1) * self._clip_ns
        reader = make_reader(self._loop.plan, source, start_ns=start_ns, reuse=False)
        last: DecodedClip | None = None
        try:
            known = reader.open()
            duration_ns, is_photo = known.duration_ns, known.has_video and not known.frame_rate_hz
            for clip in reader.clips() if not duration_ns or start_ns < duration_ns else ():
                if isinstance(clip, DecodedClip):
                    last = clip
                    if clip.info.end_ns > time_s * 1e9:
                        break
        finally:
            reader.close()
        if last is None or not last.info.start_ns <= time_s * 1e9 < max(last.info.end_ns, 1):
            end_ns = duration_ns if last is None else last.info.end_ns
            end = f"; it ends at {end_ns / 1e9:g} s" if end_ns else ""
            raise SourceError(f"{source}: has nothing at {time_s:g} s{end}. Choose another moment")
        (passed,) = self._loop.settle([last])
        refuse_failed([passed], source)
        return Clip(passed.info, passed.values, passed.absent), is_photo

    def _explained(self, source: str, clip: Clip, label: Label) -> Explanation:
        row = self.labels.labels.index(label.label)
        maps: dict[str, Any] = {}
        why_not: dict[str, str] = {}
        for name, make in (("image", self._seen), ("motion", self._moved), ("audio", self.heard)):
            evidence = label.evidence.get(name)
            if evidence is None:
                why_not[name] = str(clip.absent.get(f"{name}_embedding", "not there")).replace("_", " ")
                continue
            added = evidence.contribution or 0.0
            if added < LEAST_ADDED:
                why_not[name] = "speaks against it" if added <= -LEAST_ADDED else "adds next to nothing"
                continue
            made = make(clip, row, added)
            maps[name] = None if isinstance(made, str) else made
            if isinstance(made, str):
                why_not[name] = made
            elif not made.heat.is_shown:
                why_not[name] = (
                    "its map would be the same for other words" if not made.heat.separates else "no place stands out"
                )
        info = clip.info
        return Explanation(
            source, info.start_ns / 1e9, info.end_ns / 1e9, label,
            maps.get("image"), maps.get("motion"), maps.get("audio"), why_not, (), (info.width, info.height),
        )  # fmt: skip

    def _seen(self, clip: Clip, row: int, added: float) -> "Seen | str":
        if self._patches is None:
            return self._no_patches
        tower = self._patches.tower
        heat = shared_out(seen_fields(clip, self._patches, contrasted(self.labels.sides["image"], row)), added)
        rows = seen_rows(clip, tower)
        frames, times_s = clip["frames"][rows], clip["frame_times_ns"][rows] / 1e9
        seen = Seen(heat, frames, times_s, seen_window(frames.shape[1], frames.shape[2], tower))
        if self._pixels is None or not heat.is_shown:
            return seen
        pictures = tower_input(tower, clip)
        return replace(seen, pixels=self._pixels.of(pictures[seen.best], heat.values[seen.best]))

    def heard(self, clip: Clip, row: int, added: float) -> "Heard | str":
        if self._hearing is None:
            return "this sound tower does not say when it hears what"
        patches, begins = self._hearing.log_mel(clip)
        fields = self._hearing.fields(patches, begins, contrasted(self.labels.sides["audio"], row))
        mel = self._hearing.mel
        bins = np.full((int(begins[-1]) + mel.patch_bins, mel.mel_bands), patches.min(), np.float32)
        for patch, begin in zip(patches, begins, strict=True):
            bins[begin : begin + mel.patch_bins] = patch
        loud = self._hearing.loudness(bins, *fields.shape[2:])
        heat = shared_out(fields, added, loud)
        return Heard(
            heat, clip.info.start_ns / 1e9, bins, mel.hop_samples / mel.sample_rate_hz, self._hearing.column_s,
            self._hearing.edges_hz(heat.values.shape[1]),
        )  # fmt: skip

    def _moved(self, clip: Clip, row: int, added: float) -> "Moved | str":
        tower = self._spec.motion
        if self._moving is None or tower is None:
            return "this motion tower does not say where it sees what"
        pictures = tower_input(tower, clip)
        heat = shared_out(self._moving.fields(pictures, contrasted(self.labels.sides["motion"], row, 3)), added)
        return Moved(heat, clip["flow"].astype(np.float32))


def _patches(spec: Any, settings: Any) -> tuple[PatchTower | None, str]:
    try:
        return PatchTower(spec, settings), ""
    except ModelError as error:
        return None, str(error)


@contextmanager
def explaining(config: Config, report: Report = lambda text: None, pixels: bool = False) -> Iterator[Explainer]:
    """Open what explains clips: the stages of a run up to the labels, and the towers once more, with their places.

    All labels of the config can be asked for. pixels: see `Seen`.

    Raises: ConfigError, ModelError: the model cannot be used.
    """
    labels = msgspec.structs.replace(config.labels, top_k=max(config.labels.top_k, 10_000))
    config = msgspec.structs.replace(config, groups=(GroupOptions(stages=STAGES),), labels=labels)
    with private_directory() as directory:
        plan = place(make_plan(config), directory)
        with PlainLoop(plan, report=report, improve=False) as loop:
            explainer = Explainer(loop, pixels, report)
            explainer.open()
            try:
                yield explainer
            finally:
                explainer.close()
