"""Are odd sources read right, and ordinary ones still? One line each.

    python -m benchmarks.cases [--cases DIR] [--built DIR] [--only NAME ...] [--root DIR] [--no-video]

Odd cases are made by the scripts in `--cases` (by default ../shared/cases, next to the checkout), which need ffmpeg;
benchmarks/cases_expected.py says what is right for each. Ordinary films in many formats are made here
(benchmarks/cases_films.py). In all of them, picture and sound tell the second that is shown and heard. A line says how
late each is against the reported time (median and largest, in seconds), how many seconds are lost, how many decode
errors are counted, and what is wrong. Lines "… (video)" are about the labelled video: `percept run --video` writes it,
and it is looked at as a player does. The exit status is 1 if anything is wrong.

`--root` measures the reader of another checkout, so that before and after can be compared. `--built` keeps the media
for the next time.
"""

import argparse
import math
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks import report
from benchmarks.cases_expected import LONG_NAMES, READ, VIDEOS
from benchmarks.cases_films import FILMS, write
from benchmarks.cases_judge import Track, Verdict, judge
from benchmarks.cases_read import Look
from benchmarks.cases_run import OURS, build, labelled, look, look_at_video

HEAD = ("source", "", "clips", "end s", "picture late s", "lost s", "sound late s", "lost s", "errors", "what is wrong")
WIDTHS = (38, 5, 5, 8, 13, 6, 13, 6, 6, 0)


@dataclass(frozen=True)
class Line:
    """One line of the table."""

    name: str
    verdict: Verdict

    def cells(self) -> tuple[str, ...]:
        found, look = self.verdict, self.verdict.look
        extent = (str(len(look.sections)), f"{look.end_s:.2f}") if look.sections else ("", "")
        tracks = (cell for track in (found.picture, found.sound) for cell in track_cells(track))
        word = "wrong" if found.wrong else "right"
        return (self.name, word, *extent, *tracks, str(look.errors), "; ".join(found.wrong))

    def figures(self) -> dict[str, Any]:
        found, look = self.verdict, self.verdict.look
        tracks = {kind: known(asdict(getattr(found, kind))) for kind in ("picture", "sound")}
        return {"clips": len(look.sections), "end_s": look.end_s, "errors": look.errors, "wrong": found.wrong, **tracks}


def main(given: Sequence[str] | None = None) -> int:
    options = make_parser().parse_args(given)
    root, cases = options.root.resolve(), options.cases.resolve()
    if not (root / "stages" / "decode" / "reader.py").is_file():
        raise SystemExit(f"--root {root}: is no checkout of percept; expected stages/decode/reader.py in it")
    if not cases.is_dir():
        print(f"No odd cases: {cases} is missing. Give their folder with --cases.", file=sys.stderr)
    known_names = (*READ, *LONG_NAMES, *FILMS)
    if unknown := sorted({*options.only} - {*known_names}):
        raise SystemExit(f"--only {unknown[0]}: no such case; expected some of: {', '.join(known_names)}")
    wanted = {*(options.only or known_names)}
    os.environ.setdefault("SVT_LOG", "1")  # the AV1 encoder prints errors only
    lines = []
    with tempfile.TemporaryDirectory(prefix="percept-cases-") as scratch:
        built = (options.built or Path(scratch, "built")).resolve()
        print(row(HEAD))
        for line in all_lines(root, cases, built, Path(scratch), wanted, options.video):
            print(row(line.cells()), flush=True)
            lines.append(line)
    wrong = sum(bool(line.verdict.wrong) for line in lines)
    print(f"{len(lines) - wrong} right, {wrong} wrong; read by {root}")
    if root == OURS and not options.only and options.video and cases.is_dir():
        report.write("cases", {"right": len(lines) - wrong, "wrong": wrong, "lines": figures(lines)})
    return int(wrong > 0)


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    shared = OURS.parent / "shared" / "cases"
    parser.add_argument("--cases", type=Path, default=shared, help="the odd cases (default: %(default)s)")
    parser.add_argument("--built", type=Path, metavar="DIR", help="where the media are made and kept")
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="these cases and films alone")
    parser.add_argument("--root", type=Path, default=OURS, help="the checkout to measure (default: this one)")
    parser.add_argument("--video", action=argparse.BooleanOptionalAction, default=True, help="labelled videos too")
    return parser


def all_lines(
    root: Path, cases: Path, built: Path, scratch: Path, wanted: set[str], with_video: bool
) -> Iterator[Line]:
    """Odd cases that exist, and then ordinary films."""
    for folder in sorted(cases.glob("[a-z]*")) if wanted >= {*READ} else ():
        if folder.name not in {*READ, *LONG_NAMES}:
            yield failed(folder.name, "benchmarks/cases_expected.py does not say what is right")
    for name in (*READ, *LONG_NAMES):
        if name in wanted and (cases / name).is_dir():
            if failure := build(cases / name, built / name):
                yield failed(name, f"cannot be built: {failure}")
            else:
                yield from odd_lines(root, built / name, scratch, with_video)
    folder = built / "ordinary"
    folder.mkdir(parents=True, exist_ok=True)
    for name in FILMS:
        if name in wanted:
            expected = write(folder, name)
            yield Line(name, judge(look(root, folder, expected), expected))


def odd_lines(root: Path, folder: Path, scratch: Path, with_video: bool) -> Iterator[Line]:
    """The lines of one odd case."""
    name = folder.name
    for expected in READ.get(name, ()):
        title = name if len(READ[name]) == 1 else f"{name} {expected.file}"
        yield Line(title, judge(look(root, folder, expected), expected))
    if with_video and name in VIDEOS:
        expected = VIDEOS[name]
        yield Line(f"{name} (video)", judge(look_at_video(root, folder, expected, scratch), expected))
    if with_video and name in LONG_NAMES:
        yield failed(name, labelled(root, folder, LONG_NAMES[name], scratch))


def failed(name: str, why: str) -> Line:
    """The line of a case that is not measured; right if nothing went wrong."""
    return Line(name, Verdict(Look(), Track(), Track(), (why,) if why else ()))


def row(cells: Sequence[str]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(cells, WIDTHS, strict=True)).rstrip()


def track_cells(track: Track) -> tuple[str, str]:
    """Median and largest shift, and what is lost."""
    late = "" if math.isnan(track.median_s) else f"{track.median_s:+.2f} {track.largest_s:+.2f}"
    return late, "" if math.isnan(track.lost_s) else f"{track.lost_s:.1f}"


def figures(lines: Sequence[Line]) -> dict[str, Any]:
    return {line.name: line.figures() for line in lines}


def known(values: dict[str, float]) -> dict[str, float | None]:
    """JSON has no NaN."""
    return {name: None if math.isnan(value) else round(value, 3) for name, value in values.items()}


if __name__ == "__main__":
    sys.exit(main())
