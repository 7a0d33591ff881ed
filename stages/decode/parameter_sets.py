"""What a packet of H.264, HEVC or AV1 says about the pictures after it: their size, format and colour are in it.

Decoders follow it by themselves. Whoever makes pictures of one size with a decoder that does not tell has to look.
"""

from collections.abc import Iterator

START = b"\x00\x00\x01"
SPS = {"h264": 7, "hevc": 33}
"""Types of the NAL units that hold a sequence parameter set (ITU-T H.264 table 7-1, H.265 table 7-1)."""
SEQUENCE_HEADER = 1
"""Type of an OBU (AV1 specification, 6.2.2)."""


def parameter_sets(codec: str, data: bytes, extradata: bytes) -> list[bytes]:
    """The sequence parameter sets, or sequence headers, in the data of a packet.

    codec: "h264", "hevc" or "av1"; extradata: of the stream, which tells how packets are divided.
    """
    if codec == "av1":
        return [obu for kind, obu in _obus(data) if kind == SEQUENCE_HEADER]
    return [unit for unit in _units(codec, data, extradata) if unit and _type(codec, unit) == SPS[codec]]


def _type(codec: str, unit: bytes) -> int:
    return unit[0] & 31 if codec == "h264" else unit[0] >> 1 & 63


def _units(codec: str, data: bytes, extradata: bytes) -> Iterator[bytes]:
    """NAL units: each after its length, as in MP4, or after a start code, as in MPEG-TS."""
    place_of_length = 4 if codec == "h264" else 21
    if extradata[:1] != b"\x01" or len(extradata) <= place_of_length:
        yield from (unit.rstrip(b"\x00") for unit in data.split(START)[1:])
        return
    width, place = (extradata[place_of_length] & 3) + 1, 0
    while place + width < len(data):
        begin = place + width
        place = begin + int.from_bytes(data[place:begin])
        yield data[begin:place]


def _obus(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Type and payload of the OBUs of a temporal unit."""
    place = 0
    while place < len(data):
        header = data[place]
        place += 2 if header & 4 else 1
        size = len(data) - place
        if header & 2:
            size, place = _leb128(data, place)
        yield header >> 3 & 15, data[place : place + size]
        place += size


def _leb128(data: bytes, place: int) -> tuple[int, int]:
    """A number of variable length, and the place after it."""
    value = 0
    for count, byte in enumerate(data[place : place + 8]):
        value |= (byte & 127) << 7 * count
        if byte < 128:
            return value, place + count + 1
    return value, len(data)
