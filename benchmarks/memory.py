"""How much memory does an hour of 720p need, and does it grow?

    python -m benchmarks.memory [--minutes 60] [--model percept-mini]

Proportional set size of the whole process tree including shared memory, sampled twice a second. The slope of the second
half is that of a least-squares line through its samples.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np

from benchmarks import media, report


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--model", default="percept-mini")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        hd = media.scaled(Path(folder, "720p.mp4"))
        video = media.looped(Path(folder, "long.mp4"), options.minutes * 60, hd)
        command = [sys.executable, "-m", "commands.main", "run", str(video), "--model", options.model]
        done = report.execute([*command, "-o", str(Path(folder, "out.jsonl"))], sample_memory=True)
    seconds, sizes = np.array(done.memory).T
    late = seconds > seconds[-1] / 2
    steady = late & (seconds < seconds[-1] * 0.98)
    slope = float(np.polyfit(seconds[steady], sizes[steady] / 1e6, 1)[0]) * 60
    first, last = (float(np.median(part)) / 1e6 for part in np.array_split(sizes[steady], 2))
    print(f"{options.minutes:.0f} min of 720p in {done.seconds:.0f} s: peak {done.peak_bytes / 1e6:.0f} MB; "
          f"second half {slope:+.1f} MB per minute of run ({first:.0f} -> {last:.0f} MB)")  # fmt: skip
    report.write(
        "memory",
        {
            "video_minutes": options.minutes,
            "run_s": done.seconds,
            "x_real_time": options.minutes * 60 / done.seconds,
            "peak_mb": done.peak_bytes / 1e6,
            "second_half_mb_per_minute": slope,
            "third_and_fourth_quarter_mb": [first, last],
        },
    )


if __name__ == "__main__":
    main()
