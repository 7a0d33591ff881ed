"""`percept train` from real media to a model directory, with small random towers in the published format."""

import json
import subprocess
import sys
from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch

from commands.main import main
from engines.models.checkpoint import read_model
from engines.models.model_file import write_model
from engines.models.network import network
from engines.networks.fusion import load_fusion
from pipeline.stage import RunSettings
from stages.words.head_share import read_base
from stages.words.labels import build_label_set
from stages.words.open_set import OPEN_SET_FILE, SourceClips, write
from tests.media import Sound, make_video
from tests.tiny_models import make_tiny_clip, write_mov_like
from training.data.example import Example
from training.data.split import base_novel
from training.encoder import Encoder
from training.train.streams import StreamCache, stream_input

LABELS = ("a dog", "rain", "talking")
PITCH_HZ = dict(zip(LABELS, (300, 900, 2_700), strict=True))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("model")
    clip = make_tiny_clip(directory / "clip")
    (directory / "background.txt").write_text("a dog\nrain\npeople talking\na roof\n")
    return write_mov_like(directory, clip)


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clips")
    for label, pitch_hz in PITCH_HZ.items():
        (folder / label).mkdir()
        for number in range(4):

            def tone(times_s: np.ndarray, hz: int = pitch_hz + 10 * number) -> np.ndarray:
                return np.sin(2 * np.pi * hz * times_s)

            make_video(folder / label / f"{number}.mp4", seconds=2, fps=4, size=(64, 48), audio=Sound(tone=tone))
    return folder


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def train(clips: Path, model: Path, out: Path, cache: Path, *more: str) -> int:
    usual = [
        "--model",
        str(model),
        "--features",
        str(cache),
        "--engine",
        "torch",
        "--threads",
        "1",
        "--base-novel",
        "0.3",
    ]
    return main(["train", str(clips), "-o", str(out), "--steps", "4", "--every", "2", *usual, *more])


def test_a_head_is_trained_from_clips_and_written_as_a_model(
    clips: Path, model: Path, cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "mine"
    assert train(clips, model, out, cache) == 0
    first = capsys.readouterr().out
    assert "novel among all labels" in first
    assert f"percept run VIDEO --model {out}" in first
    spec = read_model(str(out))
    assert spec.fusion is not None
    assert read_base(Path(spec.fusion.directory) / spec.fusion.base) == set(json.loads(record(out))["base"])
    assert set(load_fusion(Path(spec.fusion.directory)).shape.dims) == {"image", "motion", "audio"}
    assert spec.image == read_model(str(model)).image
    assert not (out / "training" / "checkpoint.pt").exists()

    assert train(clips, model, out, cache) == 0  # again: nothing is trained, and the figures are the same
    assert capsys.readouterr().out == first
    assert train(clips, model, out, cache, "--lr", "0.5") == 2
    assert "learning rate was 0.001, is 0.5" in capsys.readouterr().err


def record(out: Path) -> str:
    return (out / "training.json").read_text()


@pytest.mark.parametrize(("what", "modality"), [("sound", "audio"), ("motion", "motion"), ("picture", "image")])
def test_a_tower_is_written_as_the_pipeline_loads_it(
    what: str, modality: str, clips: Path, model: Path, cache: Path, tmp_path: Path
) -> None:
    out = tmp_path / "mine"
    assert train(clips, model, out, cache, "--what", what, "--batch", "2", "--lr", "0.001") == 0
    before, after = read_model(str(model)), read_model(str(out))
    changed = {name for name in before.towers() if after.towers()[name] != before.towers()[name]}
    assert changed == {modality}
    tower = after.towers()[modality]
    assert Path(tower.directory) == out / modality
    trained = network(tower.network).load(Path(tower.directory)).state_dict()
    initial = network(tower.network).load(Path(before.towers()[modality].directory)).state_dict()
    assert any(not torch.equal(trained[name], initial[name]) for name in trained)
    # at a ratio of 1 the interpolated tower is the frozen one
    assert train(clips, model, tmp_path / "frozen", cache, "--what", what, "--batch", "2", "--ratio", "1") == 0
    again = network(tower.network).load(tmp_path / "frozen" / modality).state_dict()
    assert all(torch.equal(again[name], initial[name]) for name in initial)


@pytest.mark.parametrize("what", ["head", "sound"])
def test_the_open_set_score_is_removed_with_a_warning(
    what: str, clips: Path, model: Path, cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    calibrated, out = tmp_path / "calibrated", tmp_path / "mine"
    calibrated.mkdir()
    write(calibrated / OPEN_SET_FILE, 0.0, SourceClips({}, []), {})
    write_model(msgspec.structs.replace(read_model(str(model)), open_set=OPEN_SET_FILE), calibrated)
    assert read_model(str(calibrated)).open_set
    assert train(clips, calibrated, out, cache, "--what", what, "--batch", "2") == 0
    assert "the open-set score was calibrated on the original model and is removed" in capsys.readouterr().err
    assert read_model(str(out)).open_set == ""


def test_label_vectors_are_read_back_and_earlier_ones_are_kept(
    clips: Path, model: Path, cache: Path, tmp_path: Path
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    labels = ["--what", "labels", "--lr", "0.05", "--ema", "0"]
    assert train(clips, model, first, cache, *labels) == 0
    seed = next(s for s in range(1, 20) if base_novel(LABELS, s, 0.3) != base_novel(LABELS, 0, 0.3))
    assert train(clips, first, second, cache, *labels, "--seed", str(seed)) == 0
    run = RunSettings(engine="torch", cache_directory=str(cache))
    sides = [build_label_set(read_model(str(path)), LABELS, run, print).sides for path in (model, first, second)]
    moved = [set(json.loads(record(path))["base"]) for path in (first, second)]
    assert moved[0] != moved[1]
    for name in sides[0]:
        for row, label in enumerate(LABELS):
            before, once, twice = (side[name].labels[row] for side in sides)
            assert np.array_equal(before, once) == (label not in moved[0])
            assert np.allclose(once, twice, atol=1e-6) == (label not in moved[1])


@pytest.mark.parametrize("modality", ["image", "motion", "audio"])
def test_towers_have_the_same_input_as_in_the_pipeline(modality: str, clips: Path, model: Path, tmp_path: Path) -> None:
    run = RunSettings(model=str(model), engine="torch", cache_directory=str(tmp_path))
    example = Example(str(clips / "rain" / "1.mp4"), "rain")
    tower = read_model(str(model)).towers()[modality]
    cache = StreamCache(tmp_path, run, modality, tower)
    cache.fill([example], lambda done, total, failed: None)
    assert cache.clips(example) == 1
    with torch.inference_mode():
        inputs = torch.from_numpy(stream_input(tower, cache.get(example, 0)))
        tokens = network(tower.network).load(Path(tower.directory))(inputs).numpy()
    encoder = Encoder(run)
    expected = encoder.example(example).tokens[modality]
    encoder.close()
    np.testing.assert_allclose(tokens, expected, atol=1e-4)


def test_clips_that_cannot_be_decoded_are_skipped_with_a_warning(
    clips: Path, model: Path, cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = tmp_path / "clips"
    for label in LABELS:
        (broken / label).mkdir(parents=True)
        for path in (clips / label).iterdir():
            (broken / label / path.name).symlink_to(path)
    (broken / "rain" / "broken.mp4").write_bytes(b"no film")
    out = tmp_path / "mine"
    assert train(broken, model, out, cache, "--base-novel", "0") == 0
    assert "broken.mp4" in capsys.readouterr().err
    assert json.loads(record(out))["trained_on"]["not_decoded"] == 1


def test_no_decodable_clip_is_an_error(tmp_path: Path, model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for label in LABELS:
        (tmp_path / "clips" / label).mkdir(parents=True)
        for number in range(5):
            (tmp_path / "clips" / label / f"{number}.mp4").write_bytes(f"no film {label} {number}".encode())
    assert train(tmp_path / "clips", model, tmp_path / "out", tmp_path, "--base-novel", "0") == 3
    assert "none of 15 clips can be decoded" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--steps", "0", "--alpha", "2"], "--alpha 2: expected a share from 0 to 1; --steps 0: expected at least 1"),
        (["--steps", "3", "--epochs", "2"], "--steps and --epochs"),
        (["--pull", "-1"], "--pull -1: expected 0 or more"),
        (["--lr", "0"], "--lr 0: expected more than 0"),
        (["--base-novel", "1"], "--base-novel 1: nothing would be left"),
        (["--device", "cuda"], "device 'cuda': "),
        (["--device", "sm89"], "--device sm89: unknown; expected auto, cpu or cuda"),
    ],
)
def test_wrong_arguments_are_reported_before_anything_starts(
    arguments: list[str], message: str, clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if "cuda" in arguments and torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    assert main(["train", str(clips), "-o", str(tmp_path / "out"), "--base-novel", "0", *arguments]) in (2, 4)
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_the_help_does_not_import_torch() -> None:
    script = (
        "import sys; from commands.train import make_parser; make_parser().format_help(); print('torch' in sys.modules)"
    )
    assert (
        subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60).stdout
        == "False\n"
    )
