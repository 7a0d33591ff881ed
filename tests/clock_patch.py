"""Changes the timestamps in Matroska and Flash files, which no muxer would write."""

import struct
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

Clocks = Mapping[int, Callable[[float], float | None]]
"""By number of the stream: stamp in seconds -> the new one."""
SEGMENT, CLUSTER, TIMESTAMP, GROUP, BLOCK, SIMPLE_BLOCK = 0x18538067, 0x1F43B675, 0xE7, 0xA0, 0xA1, 0xA3
FLV_VIDEO, FLV_AUDIO = 9, 8
FLV_HEADER = 9
TICK_S = 0.001


def patch_matroska(path: Path, clocks: Clocks) -> Path:
    """Change the times of blocks (.mkv, .webm). A new stamp must be within 32 s of its cluster's."""
    data = bytearray(path.read_bytes())
    cluster = 0
    for kind, begin, end in elements(data, 0, len(data)):
        if kind == TIMESTAMP:
            cluster = int.from_bytes(data[begin:end], "big")
        elif kind in (BLOCK, SIMPLE_BLOCK) and (number := (data[begin] & 0x7F) - 1) in clocks:
            told_s = (cluster + struct.unpack_from(">h", data, begin + 1)[0]) * TICK_S
            stamp_s = clocks[number](told_s)
            if stamp_s is not None:
                struct.pack_into(">h", data, begin + 1, round(stamp_s / TICK_S) - cluster)
    path.write_bytes(data)
    return path


def elements(data: bytearray, begin: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Identifier, begin and end of the content of each element, with those in segments, clusters and groups."""
    while begin < end:
        length = 9 - data[begin].bit_length()
        kind = int.from_bytes(data[begin : begin + length], "big")
        begin += length
        length = 9 - data[begin].bit_length()
        size = int.from_bytes(data[begin : begin + length], "big") & (1 << 7 * length) - 1
        begin += length
        if kind in (SEGMENT, CLUSTER, GROUP):
            yield from elements(data, begin, begin + size)
        else:
            yield kind, begin, begin + size
        begin += size


def patch_flash(path: Path, clocks: Clocks, kinds: Mapping[int, int]) -> Path:
    """Change the times of tags (.flv). `kinds`: the number of the stream in tags of type `FLV_VIDEO` or `FLV_AUDIO`."""
    data = bytearray(path.read_bytes())
    place = FLV_HEADER + 4
    while place + 11 <= len(data):
        number = kinds.get(data[place], -1)
        if number in clocks and not is_flash_header(data, place):
            told_s = int.from_bytes(bytes((data[place + 7], *data[place + 4 : place + 7])), "big") * TICK_S
            stamp_s = clocks[number](told_s)
            stamp = round((told_s if stamp_s is None else stamp_s) / TICK_S) & 0xFFFFFFFF
            data[place + 4 : place + 8] = (stamp & 0xFFFFFF).to_bytes(3, "big") + bytes((stamp >> 24,))
        place += 11 + int.from_bytes(data[place + 1 : place + 4], "big") + 4
    path.write_bytes(data)
    return path


def is_flash_header(data: bytearray, place: int) -> bool:
    """Whether a tag holds the codec's header (packet type 0 of H.264 or AAC), not a picture or sound."""
    kind, first, second = data[place], data[place + 11], data[place + 12]
    return second == 0 and (first & 15 == 7 if kind == FLV_VIDEO else first >> 4 == 10)
