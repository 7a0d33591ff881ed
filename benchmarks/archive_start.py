"""How long does `percept label` take to find that there is nothing to do, in one folder of many sources?

    python -m benchmarks.archive_start [--files 50000] [--rounds 3]

The sources are sounds of half a second, and each has its file in the archive, as a run would have written it. `first`
is without the archive's index, as after a copy that left it behind; `again` is with it.
"""

import argparse
import shutil
import sys
import tempfile
import time
import wave
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow

from archive.fingerprint import fingerprint_of
from archive.shard import encoded, facts_of, metadata_of, read_table
from benchmarks import report
from benchmarks.against_run import children_cpu_s, orphans_adopted
from benchmarks.archive import PERCEPT, WORDS

RATE_HZ = 16_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=50_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="percept-start-") as name:
        sounds, archive = Path(name) / "sounds", Path(name) / "labels"
        command = [*PERCEPT, "label", str(sounds), "-o", str(archive), "--labels", WORDS]
        made = make(sounds, archive, options.files, command)
        print(f"{options.files} files made in {made:.0f} s", flush=True)
        first, again = [], []
        for _ in range(options.rounds):
            shutil.rmtree(archive / ".percept", ignore_errors=True)
            first.append(cost(command))
            again.append(cost(command))
    figures: dict[str, Any] = {"files": options.files}
    for title, rounds in (("first", first), ("again", again)):
        figures[title] = {key: report.min_median_max([one[key] for one in rounds]) for key in rounds[0]}
        print(f"{title}: " + ", ".join(f"{key} {value['median']:.1f}" for key, value in figures[title].items()))
    report.write("archive_start", figures)


def make(sounds: Path, archive: Path, count: int, command: list[str]) -> float:
    """Label one sound; then write the others, and the file that a run would have made of each. Returns seconds."""
    began_s = time.monotonic()
    sounds.mkdir()
    first = write(sounds, 0)
    report.execute(command)
    (labelled,) = archive.rglob("*.parquet")
    table = read_table(str(labelled))
    with labelled.open("rb") as file:
        facts = facts_of(file, labelled.name)
    place = table.schema.get_field_index("source")
    for number in range(1, count):
        path = write(sounds, number)
        own = msgspec.structs.replace(
            facts,
            source=facts.source.replace(first.name, path.name),
            name=facts.name.replace(first.name, path.name),
            fingerprint=fingerprint_of(str(path)),
        )
        column = pyarrow.array([own.source] * len(table), table.schema.field(place).type)
        rows = table.set_column(place, table.schema.field(place), column)
        target = labelled.with_name(labelled.name.replace(first.name, path.name))
        target.write_bytes(encoded(rows.replace_schema_metadata(metadata_of(own))))
    return time.monotonic() - began_s


def write(folder: Path, number: int) -> Path:
    """A quiet sound of its own."""
    path = folder / f"{number:06}.wav"
    noise = np.random.default_rng(number).normal(0, 300, RATE_HZ // 2).astype(np.int16)
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, RATE_HZ, 0, "NONE", ""))
        file.writeframes(noise.tobytes())
    return path


def cost(command: list[str]) -> dict[str, float]:
    before_s, began_s = children_cpu_s(), time.monotonic()
    with orphans_adopted():
        finished = report.execute(command)
    if "sources=0" in finished.stderr:
        sys.exit(f"nothing was found:\n{finished.stderr}")
    return {"wall_s": time.monotonic() - began_s, "cpu_s": children_cpu_s() - before_s}


if __name__ == "__main__":
    main()
