"""A line per run, in the archive itself: who labelled what, when."""

import contextlib
import json
from collections.abc import Mapping

from archive.store import Store
from pipeline.errors import OutputError

RUNS = ".percept/runs.jsonl"


def note_run(store: Store, facts: Mapping[str, object]) -> None:
    """A run that cannot be noted, on a full disk or in a read-only folder, is not held against it."""
    line = json.dumps(facts, ensure_ascii=False).encode() + b"\n"
    before = b""
    with contextlib.suppress(OSError), store.open(RUNS) as file:
        before = file.read()
    with contextlib.suppress(OutputError, OSError):
        store.put(RUNS, before + line)
