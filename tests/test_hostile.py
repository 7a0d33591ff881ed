"""Odd and broken media through the real command, many in a call: no crash, no hang, a record for each, in order."""

import json
import subprocess
import sys
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.media import Sound, make_size_change, make_sound, make_video

ROOT = Path(__file__).resolve().parent.parent
SAMPLE = ROOT / "engines" / "bundled" / "sample.mp4"


def run(
    sources: Sequence[Path], labels: str = "dog, rain, people talking", *more: str
) -> tuple[int, list[dict[str, Any]], str]:
    """Exit code, records and stderr of one `percept run` over all sources."""
    command = [sys.executable, "-m", "commands.main", "run", *map(str, sources), "--labels", labels, *more]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, timeout=170, check=False)
    records = [json.loads(line) for line in done.stdout.splitlines()]
    return done.returncode, records, done.stderr.decode(errors="replace")


def by_source(records: Sequence[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for record in records:
        found.setdefault(record["source"], []).append(record)
    return found


@pytest.mark.slow
def test_every_hostile_file_gets_its_records_in_one_call(shared_data: Path) -> None:
    files = sorted(path for path in (shared_data / "hostile").iterdir() if path.suffix != ".json")
    code, records, stderr = run(files)
    assert code == 1, stderr
    assert "Traceback" not in stderr
    answered = by_source(records)
    assert list(answered) == [str(path) for path in files]
    for source, rows in answered.items():
        if rows[0]["clip"] == -1 and "gap" not in rows[0]:
            assert len(rows) == 1
            assert len(rows[0]["error"]) > len(source) + 10, "an error is more than a name"
        else:
            clips = [row["clip"] for row in rows if not row.get("gap")]
            assert clips == list(range(len(clips)))
    labelled = [source for source, rows in answered.items() if any(row.get("labels") for row in rows)]
    assert len(labelled) >= 70


def flat_grey(time_s: float, width: int, height: int) -> NDArray[np.uint8]:
    """Quick to draw at any size."""
    return np.full((height, width, 3), 90, np.uint8)


@pytest.mark.slow
def test_odd_media_are_no_error(tmp_path: Path) -> None:
    tone = Sound()
    made = {
        "no-sound": make_video(tmp_path / "no-sound.mp4", 2),
        "no-picture": make_sound(tmp_path / "no-picture.wav", 2),
        "silent": make_video(tmp_path / "silent.mp4", 2, audio=Sound(gain=0.0)),
        "one-frame": make_video(tmp_path / "one-frame.mp4", times_s=[0.0]),
        "uneven": make_video(tmp_path / "uneven.mp4", 2, vfr=True, audio=tone),
        "turned": make_video(tmp_path / "turned.mp4", 2, rotation=90),
        "wide-pixels": make_video(tmp_path / "wide-pixels.mp4", 2, pixel_aspect=Fraction(2)),
        "interlaced": make_video(tmp_path / "interlaced.mp4", 2, interlaced=True),
        "six-channels": make_video(tmp_path / "six.mp4", 2, audio=Sound(layout="5.1")),
        "one-pixel": make_video(tmp_path / "one-pixel.mov", 2, size=(1, 1), codec="png", pixel_format="rgb24"),
        "two-tracks": make_video(tmp_path / "two-tracks.mkv", 2, audio=[tone, Sound(gain=0.0)]),
        "late-picture": make_video(tmp_path / "late-picture.mkv", 3, start_s=3.0, audio=tone),
        "grows": make_size_change(tmp_path / "grows.ts", [(320, 240), (640, 360)]),
        "large": make_video(
            tmp_path / "large.mp4", 1, 2, (7680, 4320), options={"preset": "ultrafast"}, picture=flat_grey
        ),
    }
    code, records, stderr = run(list(made.values()))
    assert code == 0, stderr
    answered = by_source(records)
    assert list(answered) == [str(path) for path in made.values()]
    first = {name: answered[str(path)][0] for name, path in made.items()}
    assert all(rows and all("error" not in row for row in rows) for rows in answered.values())
    assert first["no-sound"]["absent"]["audio"] == "no_stream"
    assert first["no-picture"]["absent"]["image"] == "no_stream"
    assert (first["turned"]["width"], first["turned"]["height"]) == (240, 320)
    assert (first["wide-pixels"]["width"], first["wide-pixels"]["height"]) == (640, 240)
    assert (first["large"]["width"], first["large"]["height"]) == (7680, 4320)
    assert set(first["silent"]["labels"][0]["evidence"]) <= {"image", "motion", "audio"}


@pytest.mark.slow
def test_each_source_that_cannot_be_read_is_one_clear_record(tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").write_bytes(b"")
    (tmp_path / "garbage.mp4").write_bytes(bytes(range(256)) * 64)
    good = make_video(tmp_path / "good.mp4", 2)
    sources = [tmp_path / "missing.mp4", tmp_path / "empty.mp4", tmp_path / "garbage.mp4", good]
    code, records, stderr = run(sources)
    assert code == 1, stderr
    assert [row["source"] for row in records] == [str(source) for source in sources]
    assert [bool(row.get("error")) for row in records] == [True, True, True, False]
    assert len({row["error"].replace(row["source"], "") for row in records[:3]}) >= 2
    assert "Traceback" not in stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    "labels", ["dog", "dog, dog, rain, 犬, σκύλος, " + "x" * 400], ids=["one", "one twice, other scripts, a long one"]
)
def test_odd_labels_are_scored(labels: str) -> None:
    code, records, stderr = run([SAMPLE], labels, "--end", "2")
    assert code == 0, stderr
    assert len(records) == 1
    wanted = list(dict.fromkeys(label.strip() for label in labels.split(",")))
    for row in records:
        assert sorted(label["label"] for label in row["labels"]) == sorted(wanted)
        assert all(0 <= label["probability"] <= 1 for label in row["labels"])


@pytest.mark.parametrize("labels", ["", "x" * 10_000], ids=["none", "ten thousand letters"])
def test_labels_that_mean_nothing_are_refused_before_anything_starts(labels: str) -> None:
    code, records, stderr = run([SAMPLE], labels)
    assert (code, records) == (2, [])
    assert "label" in stderr


def test_a_folder_is_a_usage_error(tmp_path: Path) -> None:
    code, _, stderr = run([tmp_path])
    assert code == 2
    assert "folder" in stderr or "directory" in stderr
