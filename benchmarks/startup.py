"""How long does it take to print the help, and the demo's first result (with the engines that set-up builds)?

python -m benchmarks.startup [--runs 7]
"""

import argparse
import statistics
import subprocess
import sys
import time

from benchmarks import media, report


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=7)
    options = parser.parse_args()
    command = [sys.executable, "-m", "commands.main"]
    helps = [report.execute([*command, "--help"]).seconds for _ in range(options.runs + 1)][1:]
    firsts = [first_line_s([*command, "run", str(media.SAMPLE)]) for _ in range(options.runs + 1)][1:]
    print(f"--help {statistics.median(helps):.2f} s; first result {statistics.median(firsts):.2f} s")
    report.write("startup", {"help_s": report.min_median_max(helps), "first_result_s": report.min_median_max(firsts)})


def first_line_s(command: list[str]) -> float:
    began = time.monotonic()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        process.stdout.readline()
        seconds = time.monotonic() - began
        process.stdout.read()
    return seconds


if __name__ == "__main__":
    main()
