"""An output process that can be killed, and the part of the supervisor that sends again what was not confirmed."""

import multiprocessing
import random
import time
from multiprocessing.connection import Connection
from pathlib import Path

import live.delivery
from live.settings import Settings
from pipeline.result import ClipRecord, decode_json, encode_json
from tests.live.stream import make_sink

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["tests.live.stream", "paho.mqtt.client"])
AHEAD = 20
"""Records that are on the way to the process."""


def serve(pipe: Connection, directory: Path, of: Settings, leaving_s: float) -> None:
    """Write each record that comes, and confirm it; None: close, and confirm that."""
    live.delivery.LEAVING_S = leaving_s
    sink = make_sink(directory, of)
    sink.open()
    while True:
        line = pipe.recv_bytes()
        if line:
            sink.write(decode_json(line))
            sink.tick()
        else:
            sink.close(True)
        pipe.send_bytes(b"x")
        if not line:
            return


def write_through_kills(
    records: list[ClipRecord], directory: Path, of: Settings, kills: int, seed: int, leaving_s: float = 0.0
) -> int:
    """Write the records, killing the process so often at random instants. Returns how many kills there were."""
    chance = random.Random(seed)
    confirmed = killed = 0
    while confirmed < len(records) or killed < kills:
        pipe, end = _context.Pipe()
        process = _context.Process(target=serve, args=(end, directory, of, leaving_s))
        process.start()
        end.close()
        enough = confirmed + chance.randrange(len(records) // kills) if killed < kills else len(records)
        sent = confirmed
        while confirmed < enough:
            if sent < len(records) and sent - confirmed < AHEAD:
                pipe.send_bytes(encode_json(records[sent]))
                sent += 1
            if pipe.poll(0 if sent - confirmed < AHEAD and sent < len(records) else 10):
                pipe.recv_bytes()
                confirmed += 1
        if killed < kills:
            time.sleep(chance.choice((0.0, 0.001, 0.003, 0.06 * chance.random())))  # while it starts, or writes
            process.kill()
            killed += 1
            process.join(10)
            while pipe.poll():  # what was confirmed before the kill counts
                try:
                    pipe.recv_bytes()
                except (EOFError, ConnectionResetError):
                    break
                confirmed += 1
        else:
            pipe.send_bytes(b"")
            process.join(30)
            assert process.exitcode == 0
        pipe.close()
    return killed
