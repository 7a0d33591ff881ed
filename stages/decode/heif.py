"""Images of tiles in HEIF files (ISO/IEC 23008-12): phones and cameras write HEIC and large AVIF in this way.

FFmpeg gives every tile as a stream. How they belong together is in the file's `meta` box, which is read here.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.container import InputContainer

from pipeline.arrays import Array
from stages.decode.picture import Orientation

MOST_BYTES = 16 << 20
"""A longer `meta` box is none."""
MOST_TILES = 4096


@dataclass(frozen=True)
class Grid:
    """The main image of a file: tiles row by row, cut to a size, then turned upright."""

    rows: int
    columns: int
    width: int
    height: int
    """Of the image before it is turned."""
    tiles: tuple[int, ...]
    """The items, which are the ids of FFmpeg's streams."""
    turns: tuple[Orientation, ...] = ()


def read_grid(path: Path) -> Grid:
    """The grid that is the main image of a file.

    Raises: ValueError: there is none, or it is damaged. OSError.
    """
    try:
        meta = dict(boxes(read_meta(path)[4:]))
        item = unpack(">I" if meta[b"pitm"][0] else ">H", meta[b"pitm"][4:])[0]
        tiles = references(meta[b"iref"], item)
        _, flags, rows, columns, *size = unpack(">BBBBHH", (data := item_data(path, meta, item)))
        width, height = unpack(">II", data[4:]) if flags & 1 else size
        turns = tuple(turns_of(dict(boxes(meta[b"iprp"])), item))
    except (KeyError, IndexError, struct.error) as error:
        raise ValueError(f"its description is damaged ({type(error).__name__})") from error
    grid = Grid(rows + 1, columns + 1, width, height, tiles, turns)
    if not 0 < len(tiles) == grid.rows * grid.columns <= MOST_TILES or not width or not height:
        raise ValueError(f"{len(tiles)} tiles for {grid.rows} x {grid.columns}, {width}x{height} pixels")
    return grid


def join(container: InputContainer, grid: Grid, max_pixels: int) -> Any:
    """The picture of a grid, upright, as an `av` frame.

    Raises: ValueError: a tile is missing, or has another shape or format. av.error.FFmpegError.
    """
    streams = [stream for stream in container.streams.video if stream.id in grid.tiles]
    for stream in streams:
        stream.codec_context.options = {"max_pixels": str(max_pixels)}
        stream.codec_context.thread_type = "NONE"
    frames: dict[int, Any] = {}
    for packet in container.demux(streams):
        for frame in packet.decode():
            frames.setdefault(packet.stream.id, frame)
    if missing := set(grid.tiles) - set(frames):
        raise ValueError(f"{len(missing)} of {len(grid.tiles)} tiles cannot be decoded")
    tiles = [frames[number] for number in grid.tiles]
    if len({(tile.width, tile.height, tile.format.name) for tile in tiles}) > 1:
        raise ValueError("its tiles have different sizes or formats")
    return assembled(tiles, grid)


def assembled(tiles: list[Any], grid: Grid) -> Any:
    """Tiles of one size and format, as one frame."""
    first = tiles[0]
    transposed = sum(turn.transpose for turn in grid.turns) % 2
    size = (grid.height, grid.width) if transposed else (grid.width, grid.height)
    made = av.VideoFrame(*size, first.format.name)
    for number, plane in enumerate(made.planes):
        rows = [
            np.concatenate(
                [samples(tile.planes[number], first) for tile in tiles[start : start + grid.columns]], axis=1
            )
            for start in range(0, len(tiles), grid.columns)
        ]
        whole = np.concatenate(rows)
        height, width = (plane.width, plane.height) if transposed else (plane.height, plane.width)
        if whole.shape[0] < height or whole.shape[1] < width:
            raise ValueError("its tiles are smaller than the image")
        picture = whole[:height, :width, None]
        for turn in grid.turns:
            picture = turn.apply(picture)
        samples(plane, made)[:] = picture[:, :, 0]
    for name in ("colorspace", "color_range", "color_primaries", "color_trc"):
        setattr(made, name, getattr(first, name))
    return made


def samples(plane: Any, frame: Any) -> Array:
    """A plane as "H W", without the padding."""
    deep = frame.format.components[0].bits > 8
    lines = np.frombuffer(plane, np.uint16 if deep else np.uint8)
    return lines.reshape(plane.height, -1)[:, : plane.width]


def read_meta(path: Path) -> bytes:
    """The content of the `meta` box. Raises: ValueError: there is none."""
    with path.open("rb") as file:
        while len(head := file.read(8)) == 8:
            size, kind = unpack(">I4s", head)
            size, header = (unpack(">Q", file.read(8))[0], 16) if size == 1 else (size, 8)
            if kind == b"meta" and header <= size <= MOST_BYTES:
                return file.read(size - header)
            if size < header:
                break
            file.seek(size - header, 1)
    raise ValueError("it has no description")


def boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Kind and content of each box."""
    while len(data) >= 8:
        size, kind = unpack(">I4s", data)
        if not 8 <= size <= len(data):
            return
        yield kind, data[8:size]
        data = data[size:]


def unpack(layout: str, data: bytes) -> tuple[Any, ...]:
    """The fields at the start of some bytes."""
    return struct.unpack_from(layout, data)


def references(iref: bytes, item: int) -> tuple[int, ...]:
    """The items that an item is derived from (`dimg`)."""
    letter = "I" if iref[0] else "H"
    for kind, content in boxes(iref[4:]):
        source, count = unpack(f">{letter}H", content)
        if kind == b"dimg" and source == item:
            return unpack(f">{count}{letter}", content[struct.calcsize(f">{letter}H") :])
    raise ValueError("its main image is no grid")


def item_data(path: Path, meta: dict[bytes, bytes], item: int) -> bytes:
    """The first extent of an item, in the file or in the `idat` box."""
    iloc = meta[b"iloc"]
    version, sizes, more = iloc[0], *unpack(">BB", iloc[4:])
    offset_bytes, length_bytes, base_bytes = sizes >> 4, sizes & 15, more >> 4
    index_bytes = more & 15 if version else 0
    place = 6

    def number(count: int) -> int:
        nonlocal place
        place += count
        if place > len(iloc):
            raise IndexError(place)
        return int.from_bytes(iloc[place - count : place])

    for _ in range(number(2 if version < 2 else 4)):
        found = number(2 if version < 2 else 4)
        method = number(2) & 15 if version else 0
        number(2)
        base = number(base_bytes)
        for extent in range(number(2)):
            number(index_bytes)
            offset, length = base + number(offset_bytes), number(length_bytes)
            if found == item and not extent:
                if method == 1:
                    return meta[b"idat"][offset : offset + length]
                with path.open("rb") as file:
                    file.seek(offset)
                    return file.read(min(length, 64))
    raise KeyError(item)


def turns_of(iprp: dict[bytes, bytes], item: int) -> Iterator[Orientation]:
    """The properties that turn (`irot`, counter-clockwise) and mirror (`imir`) an item, in order."""
    properties, ipma = list(boxes(iprp[b"ipco"])), iprp[b"ipma"]
    letter, wide = ("I" if ipma[0] else "H"), ipma[3] & 1
    data = ipma[8:]
    for _ in range(unpack(">I", ipma[4:])[0]):
        found, count = unpack(f">{letter}B", data)
        data = data[struct.calcsize(f">{letter}B") :]
        indices = unpack(f">{count}{'H' if wide else 'B'}", data)
        data = data[count << wide :]
        for index in indices if found == item else ():
            place = index & (0x7FFF if wide else 0x7F)
            kind, content = properties[place - 1] if place else (b"", b"")  # 0: no property
            if kind == b"irot":
                yield QUARTERS[content[0] & 3]
            elif kind == b"imir":
                yield Orientation(mirror_x=bool(content[0] & 1), mirror_y=not content[0] & 1)


QUARTERS = (
    Orientation(),
    Orientation(transpose=True, mirror_y=True),
    Orientation(mirror_x=True, mirror_y=True),
    Orientation(transpose=True, mirror_x=True),
)
"""By quarter turns counter-clockwise."""
