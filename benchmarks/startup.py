"""How long does it take to print the help, and the demo's first result: with the engines that set-up builds, and with
an empty cache, as after an installation?

python -m benchmarks.startup [--runs 7] [--first-runs 3]
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping

from benchmarks import media, report


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--first-runs", type=int, default=3, help="runs with an empty cache")
    options = parser.parse_args()
    command = [sys.executable, "-m", "commands.main"]
    helps = [report.execute([*command, "--help"]).seconds for _ in range(options.runs + 1)][1:]
    demo = [*command, "run", str(media.SAMPLE)]
    firsts = [first_and_last_s(demo, os.environ)[0] for _ in range(options.runs + 1)][1:]
    empty = [with_empty_cache(demo) for _ in range(options.first_runs)]
    first_ever, last_ever, built = (list(each) for each in zip(*empty, strict=True))
    print(
        f"--help {statistics.median(helps):.2f} s; first result {statistics.median(firsts):.2f} s; with an empty cache "
        f"{statistics.median(first_ever):.2f} s, last result {statistics.median(last_ever):.2f} s, "
        f"engines built {statistics.median(built):.2f} s"
    )
    seconds = {"help_s": helps, "first_result_s": firsts}
    seconds |= {"first_ever_result_s": first_ever, "first_ever_last_result_s": last_ever, "first_ever_end_s": built}
    report.write("startup", {name: report.min_median_max(each) for name, each in seconds.items()})


def with_empty_cache(command: list[str]) -> tuple[float, float, float]:
    """First result, last result, and the end, which waits until all engines are built."""
    with tempfile.TemporaryDirectory() as cache:
        return first_and_last_s(command, os.environ | {"PERCEPT_CACHE": cache})


def first_and_last_s(command: list[str], environment: Mapping[str, str]) -> tuple[float, float, float]:
    """Seconds until the first line, the last line, and the end of the process."""
    began_s = time.monotonic()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment) as process:
        assert process.stdout is not None
        times_s = [time.monotonic() - began_s for _ in process.stdout]
    return times_s[0], times_s[-1], time.monotonic() - began_s


if __name__ == "__main__":
    main()
