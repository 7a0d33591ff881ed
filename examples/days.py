"""One CSV per day from recordings named by their start, such as 2026-03-01_22-30-00.mp4:

percept run '2026-*.mp4' --labels @words.txt -o all.jsonl && python days.py all.jsonl diary/
"""

import csv
import sys
from collections import defaultdict
from datetime import datetime, timedelta
from pathlib import Path

import percept

NAMED = "%Y-%m-%d_%H-%M-%S"
LEAST = 0.5
"""Probability from which a label counts."""


def main(results: str, folder: Path) -> None:
    days: dict[str, list[tuple[str, str, str, str]]] = defaultdict(list)
    for result in percept.read(results):
        begin = datetime.strptime(Path(result.source).stem, NAMED) + timedelta(seconds=result.start_s)
        for label in result.labels or ():
            if label.probability >= LEAST:
                row = (f"{begin:%H:%M:%S}", label.label, f"{label.probability:.2f}", result.source)
                days[f"{begin:%Y-%m-%d}"].append(row)
    folder.mkdir(exist_ok=True)
    for day, rows in days.items():
        with (folder / f"{day}.csv").open("w", newline="") as file:
            csv.writer(file).writerows([("time", "label", "probability", "file"), *rows])
        print(f"{folder / day}.csv: {len(rows)} rows")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(sys.argv[1], Path(sys.argv[2]))
