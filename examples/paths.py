"""Follow objects and print where they went: python paths.py talk.mp4 [WORD...]"""

import sys
from collections import defaultdict

import percept


def main(video: str, words: list[str]) -> None:
    boxes: dict[int, list[tuple[float, ...]]] = defaultdict(list)
    names: dict[int, str] = {}
    width = height = 1
    for result in percept.run(video, labels=words or None):
        width, height = result.width or width, result.height or height
        for track in result.tracks or ():
            boxes[track.id] += track.boxes
            names[track.id] = track.label or names.get(track.id, "something")
    for number, path in boxes.items():
        (begin_s, *first), (end_s, *last) = path[0], path[-1]
        route = f"{place(first, width, height)} to {place(last, width, height)}"
        print(f"{number:3} {names[number]:12} {begin_s:5.1f}–{end_s:.1f} s  from {route}")


def place(box: list[float], width: int, height: int) -> str:
    """The middle of a box, in percent of the picture from its left and its top."""
    x0, y0, x1, y1 = box
    return f"({(x0 + x1) / 2 / width:.0%}, {(y0 + y1) / 2 / height:.0%})"


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main(sys.argv[1], sys.argv[2:])
