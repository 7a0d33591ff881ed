"""Clips of known motion as inputs of the motion tower: animated real photos, then the product's optical flow.

    python -m recipes.percept_mini.motion_data --data ../shared/data [--clips 7000]

Clips are made once and kept in `recipes/runs/motion`, in files of 250; existing files are not made again.
"""

from __future__ import annotations

import argparse
import hashlib
import tarfile
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np

from engines.models.model import TowerSpec
from engines.networks.motion import PICTURES, SIDE_PX
from pipeline.arrays import Array
from pipeline.clip import Clip, ClipInfo
from pipeline.stage import Budget, RunSettings
from recipes.percept_mini.motion_pictures import Film, Grey
from recipes.percept_mini.motion_scenes import KINDS, TEST, Grid, Random, draw
from recipes.percept_mini.motion_truth import speed_of, truth
from recipes.percept_mini.photo_words import PHOTO_WORDS
from stages.flow import Flow
from stages.pictures import evenly, flow_clips

RUNS = Path("recipes/runs/motion")
PER_FILE = 250
TOWER = TowerSpec(
    network="concept_motion",
    space="",
    input="flow_clip",
    size_px=SIDE_PX,
    fit="stretch",
    resample="bilinear",
    pictures_per_clip=PICTURES,
)
"""How flow becomes pictures: as in `[motion]` of model.toml, but in [0, 1]."""


def grey_photos(data: Path, held_out: bool) -> list[Grey]:
    """The photos for training, or the held-out sixth, chosen by class name.

    Photos that `benchmarks.accuracy` uses are in neither.
    """
    found = []
    with tarfile.open(data / "images" / "imagenet-1-per-class.tar") as archive:
        for member in archive:
            name = Path(member.name).stem.split("_", 1)[-1].replace("_", " ").lower()
            if not member.isfile() or name in PHOTO_WORDS or is_held_out(name) != held_out:
                continue
            content = archive.extractfile(member)
            assert content is not None
            packed = np.frombuffer(BytesIO(content.read()).getbuffer(), np.uint8)
            found.append(np.asarray(cv2.imdecode(packed, cv2.IMREAD_GRAYSCALE), np.uint8))
    return found


def is_held_out(name: str) -> bool:
    return hashlib.sha256(name.encode()).digest()[0] % 6 == 0


class Maker:
    """Makes the clips of a split; an index always gives the same clip."""

    def __init__(self, photos: list[Grey], grid: Grid, seed: int) -> None:
        self._photos, self._grid, self._seed = photos, grid, seed
        self._flow = Flow(Flow.Options(), RunSettings(threads=1), Budget())

    def clip(self, index: int) -> tuple[Array, Array, float]:
        """Flow pictures uint8 "T 3 S S", truth int8 "W", speed in short sides per second."""
        random = np.random.default_rng((self._seed, index))
        film, right, speed = self._film(index, random)
        pairs = max(1, round(film.scene.seconds * film.scene.frame_rate_hz) - int(random.integers(0, 2)))
        flow = np.concatenate([self._pair(film, number) for number in evenly(PICTURES, pairs)])
        return clip_pictures(flow), right, speed

    def _film(self, index: int, random: Random) -> tuple[Film, Array, float]:
        """The film, its truth and speed."""
        scene = draw(random, self._grid, KINDS[index % len(KINDS)])
        photo, *others = self._some_photos(random, 1 + len(scene.things))
        return Film(scene, photo, others, self._grid, random), truth(scene), speed_of(scene)

    def _some_photos(self, random: Random, count: int) -> list[Grey]:
        return [self._photos[number] for number in random.choice(len(self._photos), count)]

    def _pair(self, film: Film, number: int) -> Array:
        step_s = 1 / film.scene.frame_rate_hz
        frames = np.stack([film.frame(t * step_s) for t in (number, number + 1)])
        arrays = {
            "frames": np.repeat(frames[..., None], 3, axis=-1),
            "frame_times_ns": np.array([0, round(1e9 * step_s)], np.int64),
        }
        flow: Array = self._flow.process(Clip(ClipInfo("made", 0, 0, 0, 2_000_000_000), arrays))["flow"]
        return flow


def clip_pictures(flow: Array) -> Array:
    """Flow "P h w 2" -> uint8 "T 3 S S", repeated evenly if there are fewer than T pairs."""
    pictures: Array = np.rint(flow_clips(flow, TOWER)[0] * 255).astype(np.uint8)
    return pictures


def splits(data: Path, clips: int) -> dict[str, tuple[Maker, int]]:
    """The maker and the number of clips of each split. Choices are made on "check"; no photo is in two splits."""
    train, held_out = grey_photos(data, False), grey_photos(data, True)
    half = len(held_out) // 2
    return {
        "test": (Maker(held_out[half:], TEST, 3), len(KINDS) * 50),
        "check": (Maker(held_out[:half], Grid(), 2), len(KINDS) * 30),
        "train": (Maker(train, Grid(), 1), clips),
    }


def make(folder: Path, name: str, maker: Maker, count: int) -> None:
    """Write the missing files NAME-000.npz, NAME-001.npz, ...; each is complete or absent."""
    folder.mkdir(parents=True, exist_ok=True)
    for first in range(0, count, PER_FILE):
        path = folder / f"{name}-{first // PER_FILE:03}.npz"
        if path.exists():
            continue
        made = [maker.clip(index) for index in range(first, min(count, first + PER_FILE))]
        pictures, right, speeds = (np.stack(part) for part in zip(*made, strict=True))
        half = path.with_suffix(".part")
        with half.open("wb") as file:
            np.savez(file, pictures=pictures, truth=right, speed=speeds)
        half.replace(path)
        print(f"{path}: {len(made)} clips", flush=True)


def load(folder: Path, name: str) -> tuple[Array, Array, Array]:
    """Pictures uint8 "N T 3 S S", truth int8 "N W" and speeds "N" of the clips of a split made so far.

    Raises:
        FileNotFoundError: there are none; the message gives the command that makes them.
    """
    files = [np.load(path) for path in sorted(folder.glob(f"{name}-*.npz"))]
    if not files:
        raise FileNotFoundError(
            f"{folder}: no {name} clips. Make them with: python -m recipes.percept_mini.motion_data"
        )
    pictures, right, speeds = (np.concatenate([file[key] for file in files]) for key in ("pictures", "truth", "speed"))
    return pictures, right, speeds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with images/")
    parser.add_argument("--runs", type=Path, default=RUNS)
    parser.add_argument("--clips", type=int, default=7_000, help="training clips (default: %(default)s)")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    for name, (maker, count) in splits(options.data, options.clips).items():
        make(options.runs, name, maker, count)


if __name__ == "__main__":
    main()
