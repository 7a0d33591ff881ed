"""The same sound, louder or quieter, gets the same probabilities, from files to results, with the bundled model."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

import percept

SAMPLE = Path(__file__).resolve().parent.parent / "engines" / "bundled" / "sample.mp4"
RATE_HZ = 32_000
CLIP = 2 * RATE_HZ
LABELS = ("dog", "sheep", "birds singing", "rain", "people talking", "siren", "applause")
FORMATS = {"pcm_s16le": ("s16", 32_767, np.int16), "pcm_f32le": ("flt", 1, np.float32)}

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def sound() -> Any:
    """The sample's sound: float32 "S", mono."""
    with av.open(str(SAMPLE)) as container:
        return np.concatenate([frame.to_ndarray()[0] for frame in container.decode(audio=0)])


def levels_dbfs(samples: Any) -> Any:
    """Level of each clip."""
    clips = samples[: len(samples) // CLIP * CLIP].reshape(-1, CLIP).astype(np.float64)
    return 10 * np.log10(np.mean(clips**2, axis=1))


def gains_db(samples: Any) -> tuple[float, float]:
    """The lowest and the highest gain that keep every clip above -55 dBFS and no peak clipped."""
    return -55.0 - float(levels_dbfs(samples).min()), -20 * float(np.log10(np.abs(samples).max() * 1.001))


def write(path: Path, samples: Any, codec: str, gain_db: float = 0.0, pictures: bool = False) -> Path:
    """A file with this sound, with the sample's pictures of the first seconds on demand."""
    kind, scale, dtype = FORMATS[codec]
    louder = samples * 10 ** (gain_db / 20) * scale
    packed = (np.rint(louder) if dtype is np.int16 else louder).astype(dtype)
    with av.open(str(path), "w") as container, av.open(str(SAMPLE)) as sample:
        copied = container.add_stream_from_template(sample.streams.video[0]) if pictures else None
        track = container.add_stream(codec, rate=RATE_HZ, layout="mono")
        for packet in sample.demux(video=0) if copied else ():
            if packet.pts is not None and packet.pts * packet.time_base < len(samples) / RATE_HZ:
                packet.stream = copied
                container.mux(packet)
        frame = av.AudioFrame.from_ndarray(packed[None], format=kind, layout="mono")
        frame.sample_rate, frame.pts = RATE_HZ, 0
        container.mux(track.encode(frame))
        container.mux(track.encode(None))
    return path


def probabilities(paths: Sequence[Path], **options: Any) -> list[Any]:
    """Probabilities "clips labels" of each file."""
    rows: dict[str, list[list[float]]] = {str(path): [] for path in paths}
    for result in percept.run(list(paths), LABELS, top_k=len(LABELS), **options):
        found = {row.label: row.probability for row in result.labels}
        rows[result.source].append([found[label] for label in LABELS])
    return [np.array(each) for each in rows.values()]


def test_a_change_of_gain_moves_no_probability(sound: Any, tmp_path: Path) -> None:
    low, high = gains_db(sound)
    assert low < -30
    cases = {"plain.wav": 0.0, "high.wav": high, "twenty.wav": -20.0, "low.wav": low}
    paths = [
        write(tmp_path / f"{codec}-{name}", sound, codec, gain) for codec in FORMATS for name, gain in cases.items()
    ]
    plain, *others = probabilities(paths, modalities="audio")
    assert plain.shape == (8, len(LABELS))
    assert plain[6:, LABELS.index("siren")].min() > 0.5
    for path, other in zip(paths[1:], others, strict=True):
        assert np.abs(other - plain).max() < 0.05, path.name


def test_nor_does_it_together_with_pictures(sound: Any, tmp_path: Path) -> None:
    siren = sound[-2 * CLIP :]
    low, _ = gains_db(siren)
    cases = {
        "plain.mov": (siren, "pcm_f32le", 0.0),
        "low.mov": (siren, "pcm_s16le", low),
        "silent.mov": (0 * siren, "pcm_s16le", 0.0),
        "hiss.mov": (hiss(len(siren), -70.0), "pcm_f32le", 0.0),
    }
    paths = [write(tmp_path / name, *case, pictures=True) for name, case in cases.items()]
    plain, quiet, silent, hissing = probabilities(paths, engine="torch")
    assert plain.shape == (2, len(LABELS))
    assert np.abs(quiet - plain).max() < 0.05
    assert np.abs(hissing - silent).max() < 1e-6
    assert plain[:, LABELS.index("siren")].min() > 0.5 > 0.1 > silent[:, LABELS.index("siren")].max()


def hiss(samples: int, level_dbfs: float) -> Any:
    made = np.random.default_rng(3).normal(0, 1, samples)
    return (made * 10 ** (level_dbfs / 20) / made.std()).astype(np.float32)
