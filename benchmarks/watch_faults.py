"""How long does `percept watch` need to be well again after a fault, and is anything lost?

    python -m benchmarks.watch_faults [--only NAME ...] [--clips FOLDER] [--kills 200] [--minutes 10]

Each fault has a farm of real RTSP cameras and a watch of its own. `--kills` and `--minutes` are those of the random
kills. A fault that is known already in `benchmarks/results/watch_faults.json` is tried again only if it is named, or
with `--again`; each is written as soon as it is known. Needs ffmpeg, mosquitto, GStreamer and, for the full disk, root.
"""

import argparse
import inspect
import json
import tempfile
import time
import traceback
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks import faults_camera, faults_home, faults_network, faults_processes, report
from benchmarks.faults import Bench, Found

FAULTS: dict[str, tuple[Callable[[Bench], Found], str]] = {
    "killed": (faults_camera.killed, "< 5 s"),
    "stalled-5": (faults_camera.stalled_for_5_s, ""),
    "stalled-60": (faults_camera.stalled_for_60_s, ""),
    "password": (faults_camera.wrong_password, "told once"),
    "path": (faults_camera.path_missing, "told once"),
    "resolution": (faults_camera.resolution_changes, ""),
    "sound": (faults_camera.sound_lost, "labels go on"),
    "packets": (faults_network.packets_lost, ""),
    "clock": (faults_network.clock_jumps, "times stay right"),
    "broker": (faults_home.broker_away, "nothing lost"),
    "disk": (faults_home.disk_full, "no crash"),
    "worker": (faults_processes.worker_killed, "account exact"),
    "decoder": (faults_processes.decoder_killed, "account exact"),
    "output": (faults_processes.output_killed, "account exact"),
    "kills": (faults_processes.many_killed, "account exact"),
}
"""Name, function whose docstring says what happens, and what is wanted."""


def known() -> dict[str, Any]:
    path = report.RESULTS / "watch_faults.json"
    return dict(json.loads(path.read_text())["faults"]) if path.is_file() else {}


def try_one(name: str, bench: Bench) -> dict[str, Any]:
    """One fault as a row: what happened, what was wanted, what came of it."""
    function, wanted = FAULTS[name]
    began_s = time.monotonic()
    try:
        found = function(bench)
    except (Exception, SystemExit) as error:
        traceback.print_exc()
        found = Found(text=f"could not be tried: {str(error).splitlines()[0] if str(error) else type(error).__name__}")
    row = asdict(found) | {"fault": inspect.getdoc(function), "wanted": wanted}
    return row | {"seconds": round(time.monotonic() - began_s, 1)}


def show(rows: dict[str, dict[str, Any]]) -> None:
    for name in (each for each in FAULTS if each in rows):
        row = rows[name]
        recovery = "never" if row["recovery_s"] is None else f"{row['recovery_s']:.1f} s"
        print(f"{'ok  ' if row['ok'] else 'NOT '} {name:11} {recovery:>8}  {row['fault']}")
        wanted = f"; wanted: {row['wanted']}" if row["wanted"] else ""
        print(f"{'':26}{row['text']}{wanted}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=[*FAULTS], metavar="NAME", help=", ".join(FAULTS))
    parser.add_argument("--again", action="store_true")
    parser.add_argument("--clips", default="", metavar="FOLDER")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--minutes", type=float, default=10.0)
    options = parser.parse_args()
    rows = known()
    wanted = options.only or [name for name in FAULTS if options.again or name not in rows]
    for name in wanted:
        print(f"{name}: {inspect.getdoc(FAULTS[name][0])}", flush=True)
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            bench = Bench(Path(folder), options.clips, options.kills, options.minutes)
            rows[name] = try_one(name, bench)
        report.write("watch_faults", {"faults": rows})
        show({name: rows[name]})
    print()
    show(rows)


if __name__ == "__main__":
    main()
