"""Writes AVIF images that are made of tiles, as phones write HEIC. Pillow encodes the tiles."""

import io
import struct
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

TILE = 128


def box(kind: bytes, *parts: bytes) -> bytes:
    data = b"".join(parts)
    return struct.pack(">I4s", 8 + len(data), kind) + data


def full_box(kind: bytes, version: int, flags: int, *parts: bytes) -> bytes:
    return box(kind, struct.pack(">I", version << 24 | flags), *parts)


def avif(picture: NDArray[np.uint8], **options: Any) -> bytes:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "avif", quality=95, **options)
    return file.getvalue()


def box_in(data: bytes, kind: bytes) -> bytes:
    """The first box of a kind, with its header; empty if there is none."""
    start = data.find(kind) - 4
    return data[start : start + struct.unpack_from(">I", data, start)[0]] if start >= 0 else b""


def turning(orientation: int) -> list[bytes]:
    """The properties with which an AVIF says an orientation of Exif."""
    exif = Image.Exif()
    exif[0x112] = orientation
    data = avif(np.zeros((16, 16, 3), np.uint8), exif=exif)
    return [found for kind in (b"irot", b"imir") if (found := box_in(data, kind))]


def write_grid(path: Path, picture: NDArray[np.uint8], orientation: int = 1, in_idat: bool = False) -> Path:
    """Write a picture "H W 3" as tiles of `TILE` pixels; those at the edges are filled up."""
    height, width = picture.shape[:2]
    rows, columns = -(-height // TILE), -(-width // TILE)
    padded = np.pad(picture, ((0, rows * TILE - height), (0, columns * TILE - width), (0, 0)), "edge")
    tiles = [
        avif(padded[row * TILE : (row + 1) * TILE, column * TILE : (column + 1) * TILE])
        for row in range(rows)
        for column in range(columns)
    ]
    grid = struct.pack(">BBBBHH", 0, 0, rows - 1, columns - 1, width, height)
    head = b""
    for _ in range(2):  # the second time with the right offsets
        head = heading(grid, tiles, (width, height), turning(orientation), len(head) + 8, in_idat)
    path.write_bytes(head + box(b"mdat", grid, *(tile[tile.index(b"mdat") + 4 :] for tile in tiles)))
    return path


def heading(
    grid: bytes, tiles: list[bytes], size: tuple[int, int], turns: list[bytes], offset: int, in_idat: bool
) -> bytes:
    """Everything before the data, which begins at `offset`. Item 1 is the grid."""
    items = range(2, 2 + len(tiles))
    lengths = [len(grid), *(len(tile) - tile.index(b"mdat") - 4 for tile in tiles)]
    places = np.cumsum([offset, *lengths])[:-1]
    located = [
        struct.pack(">HHHHII", item, int(in_idat and item == 1), 0, 1, 0 if in_idat and item == 1 else place, length)
        for item, place, length in zip((1, *items), places, lengths, strict=True)
    ]
    names = [full_box(b"infe", 2, 0, struct.pack(">HH", 1, 0), b"grid\0")]
    names += [full_box(b"infe", 2, 1, struct.pack(">HH", item, 0), b"av01\0") for item in items]
    sizes = [full_box(b"ispe", 0, 0, struct.pack(">II", *each)) for each in ((TILE, TILE), size)]
    properties = [box_in(tiles[0], b"av1C"), *sizes, *turns]
    of_grid = bytes([3, *(0x80 | 4 + number for number in range(len(turns)))])
    associations = [struct.pack(">HB", 1, len(of_grid)) + of_grid]
    associations += [struct.pack(">HBBB", item, 2, 0x81, 2) for item in items]
    meta = full_box(
        b"meta", 0, 0,
        full_box(b"hdlr", 0, 0, b"\0\0\0\0pict", bytes(13)),
        full_box(b"pitm", 0, 0, struct.pack(">H", 1)),
        full_box(b"iloc", 1, 0, struct.pack(">BBH", 0x44, 0, len(located)), *located),
        full_box(b"iinf", 0, 0, struct.pack(">H", len(names)), *names),
        full_box(b"iref", 0, 0, box(b"dimg", struct.pack(f">HH{len(items)}H", 1, len(items), *items))),
        box(
            b"iprp",
            box(b"ipco", *properties),
            full_box(b"ipma", 0, 0, struct.pack(">I", len(associations)), *associations),
        ),
        *([box(b"idat", grid)] if in_idat else []),
    )  # fmt: skip
    return box(b"ftyp", b"avif", bytes(4), b"mif1avifmiaf") + meta
