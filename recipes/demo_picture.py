"""Makes docs/demo.jpg: four pictures of the labelled sample video, one of each scene.

    python -m recipes.demo_picture [-o docs/demo.jpg]

Its words are those that are right for the sample (`docs/sample.md`), motions included, and some wrong ones.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import av
import cv2
import numpy as np

from pipeline.arrays import Array

ROOT = Path(__file__).resolve().parent.parent
SAMPLE = ROOT / "engines" / "bundled" / "sample.mp4"
WORDS = (
    "dog, sheep, cup of coffee, baseball, cat, guitar, birds singing, rain, people talking, siren, dog barking, "
    "thunder, zooming in, panning left, panning right, moving left, moving right"
)
TIMES_S = (1.0, 5.2, 9.0, 12.9)
GAP_PX = 6
QUALITY = 90


def main() -> None:
    parser = argparse.ArgumentParser(description="Make the picture of the README.")
    parser.add_argument("-o", "--output", type=Path, default=ROOT / "docs" / "demo.jpg")
    output: Path = parser.parse_args().output
    with tempfile.TemporaryDirectory() as folder:
        video = Path(folder) / "labelled.mp4"
        label_sample(video)
        picture = side_by_side(pictures_at(video, TIMES_S))
    cv2.imwrite(str(output), picture[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, QUALITY])


def label_sample(video: Path) -> None:
    """Write the labelled sample video, with hardly any compression."""
    command = [sys.executable, "-P", "-m", "commands.main", "run", str(SAMPLE), "--labels", WORDS, "-q"]
    command += ["-o", str(video.with_suffix(".jsonl")), "--video", str(video)]
    command += ["--set", "video.max_labels=3", "--set", "video.crf=8"]
    subprocess.run(command, check=True, env=os.environ | {"PYTHONPATH": str(ROOT)})


def pictures_at(video: Path, times_s: tuple[float, ...]) -> list[Array]:
    """The pictures that are shown at these ascending times, RGB."""
    with av.open(str(video)) as container:
        shown = [(frame.time or 0.0, frame.to_ndarray(format="rgb24")) for frame in container.decode(video=0)]
    return [[picture for at_s, picture in shown if at_s <= time_s][-1] for time_s in times_s]


def side_by_side(pictures: list[Array]) -> Array:
    """Two rows of two, with white gaps."""
    height, width = pictures[0].shape[:2]
    whole = np.full((2 * height + GAP_PX, 2 * width + GAP_PX, 3), 255, np.uint8)
    for index, picture in enumerate(pictures):
        row, column = divmod(index, 2)
        top, left = row * (height + GAP_PX), column * (width + GAP_PX)
        whole[top : top + height, left : left + width] = picture
    return whole


if __name__ == "__main__":
    main()
