"""The output of a watch, with real files; a real process where it is killed."""

import json
import sqlite3
from pathlib import Path

import pytest

from live.history import FILE
from live.settings import Alerts, Webhook
from tests.live.sink_process import write_through_kills
from tests.live.stream import camera, settings, stream

NOWHERE = Alerts(webhooks=(Webhook(url="http://127.0.0.1:9/never"),))


def lines(directory: Path) -> list[bytes]:
    return [line for path in sorted((directory / "state/results").iterdir()) for line in path.read_bytes().splitlines()]


def rows(directory: Path, query: str) -> list[tuple[object, ...]]:
    connection = sqlite3.connect(directory / "state" / FILE)
    try:
        return connection.execute(query).fetchall()
    finally:
        connection.close()


def kept(directory: Path) -> dict[str, object]:
    """Everything that is kept, without the time at which it was written."""
    return {
        "lines": lines(directory),
        "events": rows(directory, "SELECT id, camera, state, body FROM events ORDER BY id"),
        "clips": rows(directory, "SELECT camera, epoch, clip, state, labels FROM clips ORDER BY camera, epoch, clip"),
        "spool": [json.loads(str(body, "utf-8")) for (body,) in rows(directory, "SELECT body FROM spool ORDER BY id")],
        "cursors": rows(directory, "SELECT * FROM cursors ORDER BY camera"),
        "states": rows(directory, "SELECT * FROM states ORDER BY camera, part"),
    }


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1])
def test_a_process_that_is_killed_50_times_keeps_what_an_undisturbed_one_keeps(tmp_path: Path, seed: int) -> None:
    of = settings(camera("door"), camera("yard"), alerts=NOWHERE)
    records = stream(1500, "door", "yard")
    calm, killed = tmp_path / "calm", tmp_path / "killed"
    assert write_through_kills(records, calm, of, 0, seed) == 0
    assert write_through_kills(records, killed, of, 50, seed) == 50
    assert kept(killed) == kept(calm)
    assert len(lines(killed)) == len(records)
    assert len(rows(killed, "SELECT * FROM spool")) == 2 * len(rows(killed, "SELECT * FROM events")) > 300
