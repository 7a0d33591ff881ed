"""Things that are asked for by an example: a photo, or a box in a picture of a film."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.arrays import Array
from pipeline.errors import ConfigError, SourceError
from pipeline.result import CLOCK, clock_seconds
from pipeline.stage import RunSettings

EXAMPLES_FILE = "examples.npz"
FLAG = "--find-like"
WHOLE = (0.0, 0.0, 1.0, 1.0)
_TEXT = re.compile(rf"(?P<path>.+?)(?:@(?P<time>{CLOCK}))?(?::(?P<box>-?[\d.]+(?:,-?[\d.]+){{3}}))?")
SHORT_SIDE_PX = 640
"""The picture is read at this size at most, so that a small box has enough pixels."""


@dataclass(frozen=True)
class Example:
    """`photo.jpg`, `clip.mp4@12s` or `clip.mp4@1:05:0.1,0.2,0.4,0.9`."""

    path: str
    time_s: float = 0.0
    box: tuple[float, float, float, float] = WHOLE
    """x0, y0, x1, y1 in fractions of the upright picture."""

    @classmethod
    def parse(cls, text: str, flag: str = FLAG) -> "Example":
        """flag: the option that it is given with. Raises: ConfigError: it has a box that is none."""
        match = _TEXT.fullmatch(text)
        if match is None:
            raise ConfigError(f"{flag} {text!r}: expected FILE, FILE@TIME or FILE@TIME:x0,y0,x1,y1")
        time_s = clock_seconds(match["time"] or "0")
        if match["box"] is None:
            return cls(match["path"], time_s)
        try:
            x0, y0, x1, y1 = (float(value) for value in match["box"].split(","))
        except ValueError:
            raise ConfigError(f"{flag} {text!r}: expected four numbers in the box x0,y0,x1,y1") from None
        if not (0 <= x0 < x1 <= 1 and 0 <= y0 < y1 <= 1):
            raise ConfigError(
                f"{flag} {text!r}: expected a box x0,y0,x1,y1 in fractions of the picture, from 0 to 1, such as "
                "0.1,0.2,0.4,0.9"
            )
        return cls(match["path"], time_s, (x0, y0, x1, y1))

    def check_file(self, flag: str = FLAG) -> None:
        """Raises: ConfigError: there is no such file."""
        if "://" not in self.path and not Path(self.path).is_file():
            raise ConfigError(
                f"{flag} {self.path}: there is no such file; expected FILE, FILE@TIME or FILE@TIME:x0,y0,x1,y1"
            )

    @property
    def name(self) -> str:
        """What tracks are called that look like it."""
        return f"like {Path(self.path).name}"

    def picture(self, flag: str = FLAG) -> Array:
        """uint8 "H W 3" RGB, upright. flag: as for `parse`.

        Raises: SourceError: the file cannot be read. ConfigError: it has no picture at that time.
        """
        from pipeline.clip import Gap
        from stages.decode.reader import ReaderOptions, make_reader

        options = ReaderOptions(
            modalities=("image",),
            frame_rate_hz=25.0,
            short_side_px=SHORT_SIDE_PX,
            long_side_px=2 * SHORT_SIDE_PX,
            start_ns=round(self.time_s * 1e9),
        )
        with make_reader(self.path, 0, options) as reader:
            reader.open()
            for clip in reader.clips():
                if not isinstance(clip, Gap) and "frames" in clip.arrays:
                    return np.array(clip.arrays["frames"][0])
        raise ConfigError(f"{flag} {self.path}: has no picture at {self.time_s:g} s; choose another moment")


def check_examples(run: RunSettings) -> None:
    """Raises: ConfigError: an example is not written as one, its file is missing or has no picture at that time, or
    nobody can look at it. SourceError: its file cannot be read.
    """
    from engines.models.checkpoint import read_model

    for example in map(Example.parse, run.like):
        example.check_file()
        if "://" not in example.path:  # others may take long, or give their picture only once
            _picture(example)
    tower = read_model(run.model, run.audio_model).towers().get("image")
    if "image" not in run.modalities or tower is None or tower.input != "frames":
        raise ConfigError(
            "--find-like: examples are looked at by the model's picture tower; expected a model that has one, and "
            "image among --modalities"
        )


def _picture(example: Example) -> Array:
    """See `Example.picture`. Raises: ConfigError, SourceError: they name the option."""
    try:
        return example.picture()
    except SourceError as error:
        raise SourceError(f"{FLAG}: {error}") from error


def write_examples(run: RunSettings, report: Callable[[str], None]) -> None:
    """Encode the examples of a run for all its workers."""
    from engines.models.checkpoint import read_model
    from engines.models.tower import open_tower
    from stages.pictures import crop_pictures

    report(f"looking at {len(run.like)} example{'s' * (len(run.like) != 1)}")
    model = read_model(run.model, run.audio_model)
    tower = model.towers()["image"]
    engine = open_tower(model, "image", run, features=False)
    found: dict[str, list[Array]] = {}
    for example in map(Example.parse, run.like):
        picture = _picture(example)
        height, width = picture.shape[:2]
        box = np.array([[0.0, *example.box]]) * np.array([1.0, width, height, width, height])
        given = engine.run({engine.inputs[0].name: crop_pictures(picture[None], box, tower)})
        vector = given[engine.outputs[0].name].astype(np.float32)[0]
        found.setdefault(example.name, []).append(vector / max(float(np.linalg.norm(vector)), 1e-6))
    names, vectors = zip(*((name, each) for name, of_name in found.items() for each in of_name), strict=True)
    np.savez(Path(run.directory) / EXAMPLES_FILE, names=np.array(names), vectors=np.stack(vectors))


@dataclass(frozen=True)
class Examples:
    """Names, and unit vectors "E D"; several of one name are views of one thing."""

    names: tuple[str, ...]
    vectors: Array

    @classmethod
    def load(cls, path: Path) -> "Examples":
        with np.load(path) as file:
            return cls(tuple(file["names"].tolist()), file["vectors"])

    def name(self, looks: Array, least: float) -> tuple[str, float] | None:
        """The example that a unit vector "D" is most like, and the cosine of both; None if that is below `least`."""
        if len(looks) != self.vectors.shape[1]:
            return None
        likeness = self.vectors @ looks
        best = int(likeness.argmax())
        if likeness[best] < least:
            return None
        return self.names[best], min(1.0, float(likeness[best]))

    def similarity(self, name: str, looks: Array) -> float | None:
        """Cosine of a unit vector "D" with the nearest view of an example; None if there is none of this name."""
        rows = [row for row, each in enumerate(self.names) if each == name]
        return float((self.vectors[rows] @ looks).max()) if rows and len(looks) == self.vectors.shape[1] else None
