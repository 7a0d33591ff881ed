"""Make the sample video: four scenes of 4 s, each with its own picture, motion and sound, all with known labels.

    python -m recipes.percept_mini.make_sample PICTURES -o engines/bundled/sample.mp4

PICTURES contains dog.webp, sheep.webp, baseball.webp and coffee.png, as `sample_pictures.py` collects them;
docs/sample.md names their sources. Two sentences are spoken by `espeak-ng`, which must be installed.
"""

import argparse
import csv
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from recipes.percept_mini import sample_sounds

WIDTH, HEIGHT, FRAME_RATE = 480, 270, 24
SCENE_S = 4.0
VIDEO_BITS_PER_S, AUDIO_BITS_PER_S = 330_000, 64_000

Picture = NDArray[np.uint8]
Scene = Callable[[float], Picture]
"""Maps the time within the scene, in [0, 1), to a frame "270 480 3"."""

LABELS = (
    ("dog", "image", "birds singing", "audio"),
    ("sheep", "image", "rain", "audio"),
    ("cup of coffee", "image", "people talking", "audio"),
    ("baseball", "image", "siren", "audio"),
)


def load(path: Path) -> Picture:
    return np.asarray(Image.open(path).convert("RGB"))


def view(picture: Picture, center: tuple[float, float], width: float) -> Picture:
    """The part of the picture around `center` (shares of its size) that is `width` (a share) wide, as a frame."""
    h, w = picture.shape[:2]
    wide = width * w
    scale = WIDTH / wide
    shift = WIDTH / 2 - scale * center[0] * w, HEIGHT / 2 - scale * center[1] * h
    matrix = np.array([[scale, 0, shift[0]], [0, scale, shift[1]]], np.float32)
    blur = max(0.0, 0.5 / scale - 0.5)
    smooth = cv2.GaussianBlur(picture, (0, 0), blur) if blur > 0 else picture
    frame = cv2.warpAffine(smooth, matrix, (WIDTH, HEIGHT), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
    return np.asarray(frame, np.uint8)


def put(frame: Picture, cut: NDArray[np.float32], x: float, y: float, height: float, turn: float = 0.0) -> Picture:
    """The frame with a cut-out "h w 4" on top: RGB times opacity, then opacity in [0, 1].

    x, y (the cut-out's centre) and height are in pixels, `turn` in degrees.
    """
    h, w = cut.shape[:2]
    scale = height / h
    matrix = cv2.getRotationMatrix2D((w / 2, h / 2), turn, scale)
    matrix[:, 2] += (x - w / 2, y - h / 2)
    smooth = cv2.GaussianBlur(cut, (0, 0), max(0.3, 0.5 / scale - 0.5))
    over = cv2.warpAffine(smooth, matrix, (WIDTH, HEIGHT), flags=cv2.INTER_LINEAR, borderValue=(0, 0, 0, 0))
    opacity = over[..., 3:]
    return np.asarray(np.clip(frame * (1 - opacity) + over[..., :3], 0, 255), np.uint8)


def cut_out(picture: Picture, opacity: NDArray[Any]) -> NDArray[np.float32]:
    opacity = opacity.astype(np.float32)[..., None]
    return np.concatenate([picture * opacity, opacity], axis=2).astype(np.float32)


def dog(picture: Picture) -> Scene:
    return lambda t: view(picture, (0.50 + 0.04 * t, 0.41 - 0.03 * t), 0.98 - 0.16 * t)


def coffee(picture: Picture) -> Scene:
    return lambda t: view(picture, (0.44 + 0.12 * t, 0.50), 0.80)


def sheep(picture: Picture) -> Scene:
    """The cut-out sheep walks over its own meadow from left to right."""
    cv2.setRNGSeed(0)
    h, w = picture.shape[:2]
    mask = np.zeros((h, w), np.uint8)
    box = (int(0.20 * w), int(0.08 * h), int(0.54 * w), int(0.84 * h))
    cv2.grabCut(picture, mask, box, np.zeros((1, 65)), np.zeros((1, 65)), 6, cv2.GC_INIT_WITH_RECT)
    inside = ((mask == cv2.GC_FGD) | (mask == cv2.GC_PR_FGD)).astype(np.uint8)
    count, parts, stats, _ = cv2.connectedComponentsWithStats(inside)
    largest = 1 + int(np.argmax(stats[1:count, cv2.CC_STAT_AREA]))
    x, y, wide, high = (int(v) for v in stats[largest, :4])
    opacity = cv2.GaussianBlur((parts == largest).astype(np.float32), (0, 0), 1.5)
    cut = cut_out(picture, opacity)[y : y + high, x : x + wide]
    strip = picture[:, int(0.73 * w) :]
    meadow = np.concatenate([strip, strip[:, ::-1]] * 2, axis=1)

    def frame(t: float) -> Picture:
        ground = view(meadow, (0.5, 0.55), 0.95)
        bob = 3 * abs(np.sin(2 * np.pi * 3 * t))
        return put(ground, cut, 120 + 240 * t, 140 - bob, 205, 1.5 * np.sin(2 * np.pi * 3 * t))

    return frame


def baseball(picture: Picture, meadow: Picture) -> Scene:
    """The ball, cut out as a disc, bounces over the blurred meadow from right to left."""
    h, w = picture.shape[:2]
    rows, columns = np.mgrid[:h, :w]
    radius = 0.487 * w
    distance = np.hypot(columns - 0.502 * w, rows - 0.497 * h)
    cut = cut_out(picture, np.clip(radius - distance, 0, 1))
    strip = meadow[:, int(0.73 * meadow.shape[1]) :]
    ground = cv2.GaussianBlur(view(np.concatenate([strip, strip[:, ::-1]] * 2, axis=1), (0.5, 0.5), 0.6), (0, 0), 2.5)

    def frame(t: float) -> Picture:
        hop = abs(np.sin(np.pi * (3 * t + 0.3)))
        return put(np.asarray(ground, np.uint8), cut, 400 - 320 * t, 185 - 70 * hop, 165, 140 * t)

    return frame


def scenes(pictures: Path) -> list[Scene]:
    meadow = load(pictures / "sheep.webp")
    return [
        dog(load(pictures / "dog.webp")),
        sheep(meadow),
        coffee(load(pictures / "coffee.png")),
        baseball(load(pictures / "baseball.webp"), meadow),
    ]


def write(path: Path, made: list[Scene], samples: NDArray[np.float32]) -> None:
    """Write H.264 and AAC in MP4, index first; samples are mono float32 "S" in [-1, 1]."""
    with av.open(str(path), "w", options={"movflags": "+faststart"}) as container:
        container.metadata["title"] = "percept sample"
        video = container.add_stream("libx264", FRAME_RATE, options={"preset": "veryslow", "bf": "2"})
        video.width, video.height, video.pix_fmt, video.bit_rate = WIDTH, HEIGHT, "yuv420p", VIDEO_BITS_PER_S
        video.codec_context.gop_size = 2 * FRAME_RATE
        sound = container.add_stream("aac", sample_sounds.RATE_HZ, layout="mono")
        sound.bit_rate = AUDIO_BITS_PER_S
        per_scene = int(SCENE_S * FRAME_RATE)
        for index in range(per_scene * len(made)):
            picture = made[index // per_scene](index % per_scene / per_scene)
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, FRAME_RATE)
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        block = av.AudioFrame.from_ndarray(samples[None].astype(np.float32), format="fltp", layout="mono")
        block.sample_rate, block.pts, block.time_base = sample_sounds.RATE_HZ, 0, Fraction(1, sample_sounds.RATE_HZ)
        container.mux(sound.encode(block))
        container.mux(sound.encode(None))


def write_labels(path: Path) -> None:
    """Write the right answers: start_s, end_s, label, modality."""
    with path.open("w", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(("start_s", "end_s", "label", "modality"))
        for index, row in enumerate(LABELS):
            for label, modality in (row[:2], row[2:]):
                rows.writerow((index * SCENE_S, (index + 1) * SCENE_S, label, modality))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pictures", type=Path, metavar="PICTURES")
    parser.add_argument("-o", "--output", type=Path, default=Path("engines/bundled/sample.mp4"))
    options = parser.parse_args()
    names = ("birds", "rain", "talk", "siren")
    samples = np.concatenate([sample_sounds.make(name, SCENE_S) for name in names])
    write(options.output, scenes(options.pictures), samples)
    write_labels(options.output.with_suffix(".labels.csv"))
    print(f"{options.output}: {options.output.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
