"""How well is read what is written in pictures (`percept run --text`)?

    python -m benchmarks.reading [--data ../shared/data]

A hundred captions, taken from labels of actions, are written on frames of real clips like subtitles: white with a black
edge, in the lower part, 4 to 7 % of the height. The frames are read by `percept run --text` as photos. The figure is
the character error: edits that the lines in the caption's place need to become the caption, over its characters,
without regard to case. Spaces count. The frames themselves also tell how often something is read where a person saw no
writing put, which is no error if it is there: such lines are only counted.
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import msgspec
import numpy as np

from benchmarks import report
from benchmarks.accuracy import DATA
from training.intervals import bootstrap, wilson

CAPTIONS = 100
HEIGHTS = (0.04, 0.07)
"""Of the letters' font, as a share of the picture's height."""
LONGEST_PX = 1280
SEED = 0
Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Caption:
    file: Path
    text: str
    box: Box
    """Where it is, in pixels."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA)
    options = parser.parse_args()
    if not options.data.is_dir():
        parser.error(f"--data {options.data}: does not exist; expected a folder with clips/ and text/")
    with tempfile.TemporaryDirectory(prefix="reading-") as folder:
        captions = list(written(options.data, Path(folder)))
        results = Path(folder) / "out.jsonl"
        started_s = time.monotonic()
        files = [str(caption.file) for caption in captions]
        command = ["run", *files, "--text", "--labels", "picture", "-o", str(results), "-q"]
        subprocess.run([sys.executable, "-m", "commands.main", *command], check=True, timeout=1800)
        elapsed_s = time.monotonic() - started_s
        records = [json.loads(line) for line in results.read_text().splitlines()]
        figures = judged(captions, {record["source"]: record.get("text", []) for record in records})
    figures["pictures_per_s"] = round(len(captions) / elapsed_s, 2)
    for name, value in figures.items():
        print(f"{name:32} {value}")
    report.write("reading", figures)


def written(data: Path, folder: Path) -> Iterator[Caption]:
    chosen = random.Random(SEED)
    words = sorted({line.strip() for path in sorted((data / "text").glob("*kinetics*")) for line in lines_of(path)})
    clips = [path for name in ("clips", "clips2") for path in sorted((data / name).glob("*.*")) if has_pictures(path)]
    for number in range(CAPTIONS):
        text = ", ".join(chosen.sample(words, chosen.randint(1, 2)))
        picture = frame_of(clips[number % len(clips)], chosen.random())
        height = chosen.uniform(*HEIGHTS)
        file = folder / f"{number:03}.png"
        yield Caption(file, *drawn(picture, text, height, file))


def lines_of(path: Path) -> Sequence[str]:
    return [line for line in path.read_text(encoding="utf-8").splitlines() if 3 < len(line) < 40 and line.isascii()]


def has_pictures(path: Path) -> bool:
    return path.suffix in (".mp4", ".webm", ".mkv", ".avi", ".mov")


def frame_of(path: Path, at: float) -> Any:
    """A frame of a clip, at most 1,280 pixels long."""
    from PIL import Image

    with av.open(str(path), metadata_errors="ignore") as film:
        frames = [frame for _, frame in zip(range(60), film.decode(video=0), strict=False)]
        picture = Image.fromarray(frames[int(at * len(frames))].to_ndarray(format="rgb24"))
    scale = LONGEST_PX / max(picture.size)
    return picture.resize((round(picture.width * scale), round(picture.height * scale)))


def drawn(picture: Any, text: str, height: float, file: Path) -> tuple[str, Box]:
    """The caption, in one or two lines, and its box."""
    from PIL import ImageDraw, ImageFont

    size_px = max(12, round(height * picture.height))
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(size_px)
    lines = [text]
    if draw.textlength(text, font=font) > 0.9 * picture.width:
        lines = wrapped(text)
    where = picture.width / 2, 0.92 * picture.height
    more: dict[str, Any] = {"font": font, "anchor": "md", "align": "center", "stroke_width": max(2, size_px // 14)}
    shown = "\n".join(lines)
    draw.multiline_text(where, shown, fill="white", stroke_fill="black", **more)
    box = draw.multiline_textbbox(where, shown, **more)
    picture.save(file)
    return " ".join(lines), tuple(map(float, box))  # type: ignore[return-value]


def wrapped(text: str) -> list[str]:
    words = text.split()
    half = len(words) // 2
    return [" ".join(words[:half]), " ".join(words[half:])]


def judged(captions: Sequence[Caption], read: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    pairs, elsewhere, whole = list[tuple[int, int]](), 0, 0
    for caption in captions:
        lines = read[str(caption.file)]
        inside = [line for line in lines if is_in(line["box"], caption.box)]
        elsewhere += len(lines) - len(inside)
        text = " ".join(line["text"] for line in in_reading_order(inside))
        errors = edits(caption.text.casefold(), text.casefold())
        whole += errors == 0
        pairs.append((errors, len(caption.text)))
        if errors:
            print(f"{caption.text!r}: read as {text!r}")
    table = np.array(pairs, float)
    low, high = bootstrap(table, lambda drawn: float(drawn[:, 0].sum() / drawn[:, 1].sum()), 0)
    return {
        "captions": len(captions),
        "character_error": {"value": float(table[:, 0].sum() / table[:, 1].sum()), "low": low, "high": high},
        "without_error": msgspec.to_builtins(wilson(whole, len(captions))),
        "lines_elsewhere": elsewhere,
    }


def is_in(box: Sequence[float], place: Box) -> bool:
    """Whether most of a line is in the caption's place."""
    wide = min(box[2], place[2]) - max(box[0], place[0])
    high = min(box[3], place[3]) - max(box[1], place[1])
    area = (box[2] - box[0]) * (box[3] - box[1])
    return wide > 0 and high > 0 and wide * high > 0.5 * area


def in_reading_order(lines: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """By rows, from left to right: of lines whose middles are closer than half their height, none is above."""
    ordered: list[dict[str, Any]] = []
    left = sorted(lines, key=lambda line: line["box"][1] + line["box"][3])
    while left:
        middle, half = (left[0]["box"][1] + left[0]["box"][3]) / 2, (left[0]["box"][3] - left[0]["box"][1]) / 2
        row = [line for line in left if abs((line["box"][1] + line["box"][3]) / 2 - middle) < half]
        ordered += sorted(row, key=lambda line: line["box"][0])
        left = [line for line in left if line not in row]
    return ordered


def edits(wanted: str, read: str) -> int:
    """Letters to insert, delete or replace: the distance of Levenshtein (1966)."""
    row = list(range(len(read) + 1))
    for number, letter in enumerate(wanted, 1):
        before, row[0] = row[0], number
        for place, other in enumerate(read, 1):
            before, row[place] = row[place], min(row[place] + 1, row[place - 1] + 1, before + (letter != other))
    return row[-1]


if __name__ == "__main__":
    main()
