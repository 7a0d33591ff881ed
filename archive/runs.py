"""A file per run, in the archive itself: who labelled what, when."""

import contextlib
import json
from collections.abc import Mapping

from archive.store import Store
from pipeline.errors import OutputError

FOLDER = ".percept/runs"


def note_run(store: Store, facts: Mapping[str, object]) -> None:
    """A run that cannot be noted, on a full disk or in a read-only folder, is not held against it.

    facts: they have at least `began`, in ISO 8601, `host` and `pid`, which name the file.
    """
    name = "-".join(str(facts[key]) for key in ("began", "host", "pid")).replace(":", "").replace("/", "_")
    with contextlib.suppress(OutputError, OSError):
        store.put(f"{FOLDER}/{name}.json", json.dumps(facts, ensure_ascii=False).encode() + b"\n")
