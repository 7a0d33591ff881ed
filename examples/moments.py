"""Find the moments of a word in all videos of a folder: python moments.py "birds singing" videos/"""

import sys
from pathlib import Path

import percept

LEAST = 0.5
"""Probability from which a clip counts."""


def main(word: str, folder: Path) -> None:
    videos = sorted(path for path in folder.rglob("*") if path.suffix.lower() in (".mp4", ".mkv", ".mov", ".webm"))
    if not videos:
        sys.exit(f"{folder}: no videos")
    open_moment: tuple[str, float, float] | None = None
    for result in percept.run(videos, labels=[word]):
        found = bool(result.labels) and result.labels[0].probability >= LEAST
        if open_moment and found and result.source == open_moment[0] and result.start_s == open_moment[2]:
            open_moment = (*open_moment[:2], result.end_s)
            continue
        if open_moment:
            show(*open_moment)
        open_moment = (result.source, result.start_s, result.end_s) if found else None
    if open_moment:
        show(*open_moment)


def show(source: str, start_s: float, end_s: float) -> None:
    print(f"{source}  {start_s:.1f}–{end_s:.1f} s")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(sys.argv[1], Path(sys.argv[2]))
