"""Collect the four pictures of the sample video from two packages (docs/sample.md names versions and licences).

    python -m recipes.percept_mini.sample_pictures GCOMPRIS_RCC_FOLDER SCIKIT_IMAGE_WHEEL -o pictures/

GCOMPRIS_RCC_FOLDER is `usr/share/gcompris-qt/rcc` of the Debian package `gcompris-qt-data`.
"""

import argparse
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

FROM_GCOMPRIS = {
    "explore_farm_animals.rcc": (
        "explore_farm_animals/resource/animals/dog.webp",
        "explore_farm_animals/resource/animals/sheep.webp",
    ),
    "categorization.rcc": ("categorization/resource/images/others/baseball.webp",),
}
FROM_SCIKIT_IMAGE = "skimage/data/coffee.png"
FOLDER, PACKED = 2, 1


def resources(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Yields path and content of every file in a Qt resource collection that is uncompressed or packed with zlib.

    Raises:
        ValueError: the data is not a Qt resource collection.
    """
    if data[:4] != b"qres":
        raise ValueError("not a Qt resource collection: it does not begin with 'qres'")
    version, tree, contents, names = struct.unpack(">IIII", data[4:20])
    node_bytes = 14 if version == 1 else 22

    def walk(index: int, path: str) -> Iterator[tuple[str, bytes]]:
        at = tree + index * node_bytes
        name_at, flags, first, second = struct.unpack(">IHII", data[at : at + 14])
        (length,) = struct.unpack(">H", data[names + name_at : names + name_at + 2])
        name = data[names + name_at + 6 : names + name_at + 6 + 2 * length].decode("utf-16-be")
        here = f"{path}/{name}" if index else ""
        if flags & FOLDER:
            for child in range(second, second + first):
                yield from walk(child, here)
            return
        (size,) = struct.unpack(">I", data[contents + second : contents + second + 4])
        content = data[contents + second + 4 : contents + second + 4 + size]
        if flags in (0, PACKED):
            yield here, zlib.decompress(content[4:]) if flags & PACKED else content

    yield from walk(0, "")


def collect(rcc: Path, wheel: Path, into: Path) -> None:
    into.mkdir(parents=True, exist_ok=True)
    for collection, wanted in FROM_GCOMPRIS.items():
        found = {path.split("activities/")[-1]: content for path, content in resources((rcc / collection).read_bytes())}
        for path in wanted:
            (into / Path(path).name).write_bytes(found[path])
    with zipfile.ZipFile(wheel) as file:
        (into / Path(FROM_SCIKIT_IMAGE).name).write_bytes(file.read(FROM_SCIKIT_IMAGE))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rcc", type=Path, metavar="GCOMPRIS_RCC_FOLDER")
    parser.add_argument("wheel", type=Path, metavar="SCIKIT_IMAGE_WHEEL")
    parser.add_argument("-o", "--output", type=Path, default=Path("pictures"))
    options = parser.parse_args()
    collect(options.rcc, options.wheel, options.output)


if __name__ == "__main__":
    main()
