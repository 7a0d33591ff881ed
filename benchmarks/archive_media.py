"""Many short files for benchmarks of archives: copies of real clips whose content no two share."""

import struct
from itertools import cycle, islice
from pathlib import Path

import av

from benchmarks import media

CLIPS = Path(__file__).resolve().parents[2] / "shared" / "data" / "clips"
LONGEST_S = 10.0


def short_files(folder: Path, count: int) -> float:
    """Write `count` files under 10 s, and return their length together in seconds.

    They are copies of the real clips beside the checkout, or cuts of the bundled sample without those.
    """
    return copies(folder, count, real_clips() or cuts_of_sample(folder.parent / "cuts", (4.0, 6.0, 8.0, 9.5)))


def tiny_files(folder: Path, count: int) -> float:
    """The same of files of 1 to 2.5 s, cuts of the bundled sample, where not their content but their number matters."""
    return copies(folder, count, cuts_of_sample(folder.parent / "cuts", (1.0, 1.5, 2.0, 2.5)))


def copies(folder: Path, count: int, given: list[Path]) -> float:
    """Write `count` files that differ from these in some bytes that readers pass over; see `short_files`."""
    folder.mkdir(parents=True, exist_ok=True)
    lengths = {path: length_s(path) for path in given}
    total_s = 0.0
    for number, path in enumerate(islice(cycle(given), count)):
        (folder / f"{number:05}.mp4").write_bytes(path.read_bytes() + free_box(number))
        total_s += lengths[path]
    return total_s


def long_files(folder: Path, count: int, seconds: float) -> float:
    """Write `count` files of 720p with a key frame every two seconds, and return their length together in seconds."""
    folder.mkdir(parents=True, exist_ok=True)
    whole = media.scaled(folder.parent / "720p.mp4")
    for number in range(count):
        path = media.looped(folder / f"{number:05}.mp4", seconds, whole)
        path.write_bytes(path.read_bytes() + free_box(number))
    return count * seconds


def real_clips() -> list[Path]:
    return [path for path in sorted(CLIPS.glob("*.mp4")) if length_s(path) < LONGEST_S] if CLIPS.is_dir() else []


def cuts_of_sample(folder: Path, lengths_s: tuple[float, ...]) -> list[Path]:
    """The sample's beginning, in some lengths."""
    folder.mkdir(parents=True, exist_ok=True)
    whole = media.scaled(folder / "whole.mp4", 640, 360)
    return [media.looped(folder / f"{seconds}.mp4", seconds, whole) for seconds in lengths_s]


def length_s(path: Path) -> float:
    with av.open(str(path), metadata_errors="ignore") as container:
        return (container.duration or 0) / 1e6


def free_box(number: int) -> bytes:
    """A box of MP4 that readers pass over, so that the bytes of each file are its own."""
    return struct.pack(">I4sQ", 16, b"free", number)
