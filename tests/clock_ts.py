"""Changes transport streams: times of single streams, and several programmes in one file."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

SUFFIXES = {".ts", ".mts", ".m2t"}
LENGTH = 188
TICKS = 90_000
WRAP = 1 << 33
PAT, SDT = 0x00, 0x11
PMT_TABLE, PAT_TABLE = 2, 0


def packets_of(data: bytes | bytearray) -> Iterator[tuple[int, int]]:
    """Place and PID of each packet."""
    for place in range(0, len(data) - LENGTH + 1, LENGTH):
        yield place, (data[place + 1] & 0x1F) << 8 | data[place + 2]


def payload(data: bytes | bytearray, place: int) -> int | None:
    """Where a PES packet or a table begins in a packet; None if none does."""
    kind, begins = data[place + 3] >> 4 & 3, data[place + 1] & 0x40
    if not begins or not kind & 1:
        return None
    return place + 4 + (1 + data[place + 4] if kind & 2 else 0)


def patch_times(path: Path, clocks: Mapping[int, Callable[[float], float | None]], offset_s: float = 0.0) -> Path:
    """Give each PES packet of the PIDs the stamp that its clock (stamp in seconds -> new one) tells, modulo 2^33.

    `offset_s` is what stamps in the file have in excess of those of the clocks.
    """
    data = bytearray(path.read_bytes())
    for place, pid in packets_of(data):
        begin = payload(data, place) if pid in clocks else None
        if begin is None or data[begin : begin + 3] != b"\0\0\1" or not data[begin + 7] & 0x80:
            continue
        ticks = read_ticks(data, begin + 9)
        told_s = signed(ticks) / TICKS - offset_s
        stamp_s = clocks[pid](told_s)
        by = 0 if stamp_s is None else round((stamp_s - told_s) * TICKS)
        for field in range(1 + (data[begin + 7] >> 6 == 3)):
            write_ticks(data, begin + 9 + 5 * field, read_ticks(data, begin + 9 + 5 * field) + by)
    path.write_bytes(data)
    return path


def signed(ticks: int) -> int:
    return ticks - WRAP if ticks >= WRAP // 2 else ticks


def read_ticks(data: bytes | bytearray, at: int) -> int:
    one, two, three, four, five = data[at : at + 5]
    return (one >> 1 & 7) << 30 | two << 22 | three >> 1 << 15 | four << 7 | five >> 1


def write_ticks(data: bytearray, at: int, ticks: int) -> None:
    ticks %= WRAP
    mark = data[at] & 0xF0
    high, low = ticks >> 15 & 0x7FFF, ticks & 0x7FFF
    data[at : at + 5] = (mark | (ticks >> 30 & 7) << 1 | 1, high >> 7 & 0xFF, (high & 0x7F) << 1 | 1, low >> 7, 0)
    data[at + 4] = (low & 0x7F) << 1 | 1


def programmes(path: Path, parts: Sequence[Path]) -> Path:
    """One transport stream with the programmes of several, whose PIDs and programme numbers must differ.

    Write the parts with the muxer's options mpegts_start_pid, mpegts_pmt_start_pid and mpegts_service_id. Packets are
    mixed by their share of the file, so all parts should have one length.
    """
    entries: dict[int, int] = {}
    mixed: list[tuple[float, bytes]] = []
    for part in parts:
        data = part.read_bytes()
        for place, pid in packets_of(data):
            if pid == PAT:
                entries |= programmes_in(data, place)
            elif pid != SDT:
                mixed.append((place / len(data), data[place : place + LENGTH]))
    mixed.sort(key=lambda item: item[0])
    every = max(1, len(mixed) // 50)
    with path.open("wb") as file:
        for number, (_, packet) in enumerate(mixed):
            if number % every == 0:
                file.write(pat_packet(entries, number // every))
            file.write(packet)
    return path


def programmes_in(data: bytes, place: int) -> dict[int, int]:
    """Programme numbers and PIDs of their tables, from a packet of the programme association table."""
    begin = payload(data, place)
    assert begin is not None
    table = begin + 1 + data[begin]
    end = table + 3 + ((data[table + 1] & 0x0F) << 8 | data[table + 2]) - 4
    rows = (data[row : row + 4] for row in range(table + 8, end, 4))
    return {row[0] << 8 | row[1]: (row[2] & 0x1F) << 8 | row[3] for row in rows}


def pat_packet(entries: Mapping[int, int], counter: int) -> bytes:
    """A packet with the programme association table."""
    rows = b"".join(bytes((number >> 8, number & 255, 0xE0 | pid >> 8, pid & 255)) for number, pid in entries.items())
    length = 5 + len(rows) + 4
    table = bytes((PAT_TABLE, 0xB0 | length >> 8, length & 255, 0, 1, 0xC1, 0, 0)) + rows
    table += crc32(table).to_bytes(4, "big")
    return (bytes((0x47, 0x40, 0, 0x10 | counter & 15, 0)) + table).ljust(LENGTH, b"\xff")


def crc32(data: bytes) -> int:
    """The checksum of MPEG-2 tables (ISO 13818-1, annex A)."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte << 24
        for _ in range(8):
            crc = (crc << 1 ^ 0x04C11DB7 if crc & 0x80000000 else crc << 1) & 0xFFFFFFFF
    return crc
