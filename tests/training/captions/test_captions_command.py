"""`percept train --captions` from made pictures, clips and sounds to a model directory."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw
from safetensors.torch import load_file

from commands.main import main
from commands.train_captions import judgement
from engines.models.checkpoint import read_model
from engines.models.network import network
from engines.networks.picture import CONCEPTS_FILE
from pipeline.stage import RunSettings
from tests.media import Sound, make_video
from tests.tiny_models import make_tiny_clip, write_mov_like
from training.encoder import Encoder
from training.train.loop import CURVES, Training

COLOURS = {"red": (220, 30, 30), "green": (30, 170, 40), "blue": (30, 60, 220), "yellow": (235, 215, 40)}
SHAPES = ("circle", "square", "triangle")
SUFFIXES = ("png", "jpg", "webp")
EACH = 5


def shape(colour: str, form: str, seed: int) -> Image.Image:
    """A coloured shape somewhere on a grey ground."""
    random = np.random.default_rng(seed)
    picture = Image.new("RGB", (120, 96), tuple(random.integers(150, 200, 3).tolist()))
    size = int(random.integers(40, 60))
    x, y = int(random.integers(20, 100 - size)), int(random.integers(5, 90 - size))
    draw, ink = ImageDraw.Draw(picture), COLOURS[colour]
    if form == "circle":
        draw.ellipse((x, y, x + size, y + size), fill=ink)
    elif form == "square":
        draw.rectangle((x, y, x + size, y + size), fill=ink)
    else:
        draw.polygon([(x, y + size), (x + size, y + size), (x + size // 2, y)], fill=ink)
    return picture


def write_list(path: Path, lines: list[str]) -> Path:
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A list of 60 pictures of 12 kinds with a caption or two, and of 4 clips of a film."""
    folder = tmp_path_factory.mktemp("photos")
    lines = ["file,caption,start_s,end_s"]
    kinds = [(colour, form) for colour in COLOURS for form in SHAPES]
    for number in range(EACH * len(kinds)):
        colour, form = kinds[number % len(kinds)]
        name = f"{number}.{SUFFIXES[number % len(SUFFIXES)]}"
        shape(colour, form, number).save(folder / name)
        lines.append(f"{name},a {colour} {form},,")
        lines += [f"{name},there is a {form} in {colour},,"] if number % 2 else []
    make_video(folder / "film.mp4", seconds=8, fps=4, size=(64, 48))
    lines += [f"film.mp4,a bright box at {start} s,{start},{start + 2}" for start in (0, 2, 4, 6)]
    return write_list(folder / "list.csv", lines)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("model")
    clip = make_tiny_clip(directory / "clip")
    (directory / "background.txt").write_text("a dog\nrain\npeople talking\na roof\n")
    return write_mov_like(directory, clip)


def train(listed: Path, out: Path, cache: Path, *more: str) -> int:
    usual = ["--features", str(cache), "--engine", "torch", "--threads", "1", "--captions"]
    what = [] if "--what" in more else ["--what", "picture"]
    return main(["train", str(listed), "-o", str(out), *usual, *what, *more])


def record(out: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((out / "training.json").read_text())
    return found


def test_held_out_pictures_and_captions_find_each_other_more_often(
    photos: Path, cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "mine"
    assert train(photos, out, cache, "--ratio", "0", "--no-augment") == 0
    said = capsys.readouterr()
    assert "few items to learn from" in said.err
    assert "few items to measure on" in said.err
    assert "own caption first" in said.out
    assert f"percept run VIDEO --model {out}" in said.out
    assert "worse" not in said.out
    before, after = (record(out)[when] for when in ("before", "after"))
    for name in ("caption_1", "item_1"):
        assert after[name]["share"] > before[name]["share"] + 0.1
        assert after[name]["low"] < after[name]["share"] <= after[name]["high"]
    counts = record(out)
    assert counts["trained_on"]["items"] + counts["held_out"]["items"] == EACH * 12 + 4
    header = (out / "training" / CURVES).read_text().splitlines()[0]
    assert header == "step,loss,loss_captions,loss_cosine,lr,caption_1,caption_10,item_1,item_10"

    assert train(photos, out, cache, "--ratio", "0", "--no-augment") == 0  # again: the figures are only read
    assert capsys.readouterr().out == said.out
    assert train(photos, out, cache, "--ratio", "0.5", "--no-augment") == 2
    assert "frozen ratio was 0.0, is 0.5" in capsys.readouterr().err


def test_only_the_projection_of_percept_mini_is_learnt_and_a_run_uses_it(
    photos: Path, cache: Path, tmp_path: Path
) -> None:
    out = tmp_path / "mine"
    assert train(photos, out, cache, "--steps", "20", "--no-augment") == 0
    before, after = read_model("percept-mini"), read_model(str(out))
    assert {name for name in before.towers() if before.towers()[name] != after.towers()[name]} == {"image"}
    assert before.image is not None
    assert after.image is not None
    assert (after.image.temperature, after.image.bias) == (before.image.temperature, before.image.bias)
    assert (Path(after.image.directory) / after.image.vocabulary).is_file()
    files = [load_file(Path(tower.directory) / CONCEPTS_FILE) for tower in (before.image, after.image)]
    assert {name for name in files[0] if not torch.equal(files[0][name], files[1][name])} == {"projection"}
    picture = np.asarray(shape("red", "circle", 1))
    tokens = []
    for model in ("percept-mini", str(out)):
        encoder = Encoder(
            RunSettings(model=model, engine="torch", modalities=("image",), cache_directory=str(tmp_path))
        )
        tokens.append(encoder.photo(picture).tokens["image"])
        encoder.close()
    assert np.abs(tokens[1] - tokens[0]).max() > 1e-3


def test_an_interrupted_training_resumes_with_the_same_result(
    photos: Path, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--steps", "30", "--every", "10", "--batch", "16"]
    listed = write_list(photos.parent / "few.csv", photos.read_text().splitlines()[:28])
    whole, parted = tmp_path / "whole", tmp_path / "parted"
    assert train(listed, whole, cache, *options) == 0
    step = Training._step

    def interrupted(training: Training, number: int) -> dict[str, float]:
        if number == 17:
            raise KeyboardInterrupt
        return step(training, number)

    with monkeypatch.context() as at_step_17:
        at_step_17.setattr(Training, "_step", interrupted)
        assert train(listed, parted, cache, *options) == 130
    assert len(list((parted / "training").glob("parts-*/*.npy"))) > 10
    capsys.readouterr()
    assert train(listed, parted, cache, *options) == 0
    assert "resuming from step 10" in capsys.readouterr().err
    assert not list((parted / "training").glob("parts-*"))
    curves = [np.genfromtxt(out / "training" / CURVES, delimiter=",", skip_header=1) for out in (whole, parted)]
    np.testing.assert_allclose(curves[1], curves[0], atol=1e-6, rtol=0)
    projections = [load_file(out / "image" / CONCEPTS_FILE)["projection"] for out in (whole, parted)]
    assert torch.equal(projections[0], projections[1])


@pytest.mark.parametrize(("what", "modality"), [("picture", "image"), ("sound", "audio")])
def test_all_of_another_tower_is_learnt(
    what: str, modality: str, photos: Path, tiny: Path, cache: Path, tmp_path: Path
) -> None:
    listed, out = photos, tmp_path / "mine"
    if what == "sound":
        lines = ["file,caption"]
        for number in range(9):

            def tone(times_s: np.ndarray, hz: int = 300 * (number + 1)) -> np.ndarray:
                return np.sin(2 * np.pi * hz * times_s)

            make_video(tmp_path / f"{number}.mp4", seconds=2, fps=4, size=(64, 48), audio=Sound(tone=tone))
            lines.append(f"{number}.mp4,a tone of {300 * (number + 1)} hertz")
        listed = write_list(tmp_path / "sounds.csv", lines)
    options = ["--model", str(tiny), "--what", what, "--steps", "4", "--batch", "4", "--lr", "0.001"]
    assert train(listed, out, cache, *options) == 0
    before, after = read_model(str(tiny)).towers(), read_model(str(out)).towers()
    assert {name for name in before if before[name] != after[name]} == {modality}
    weights = [
        network(each[modality].network).load(Path(each[modality].directory)).state_dict() for each in (before, after)
    ]
    changed = [name for name in weights[0] if not torch.equal(weights[0][name], weights[1][name])]
    assert len(changed) > 10


def test_files_that_are_missing_or_no_pictures_cost_only_themselves(
    photos: Path, cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [line.replace(",,", "") for line in photos.read_text().splitlines() if not line.startswith("film")]
    lines = ["file,caption", *(f"{photos.parent}/{line}" for line in lines[1:40])]
    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    listed = write_list(tmp_path / "list.csv", [*lines, "gone.jpg,a red car", "broken.jpg,a blue car", "9.jpg,"])
    assert train(listed, tmp_path / "out", cache, "--steps", "2", "--no-augment") == 0
    err = capsys.readouterr().err
    assert "1 of" in err
    assert "gone.jpg" in err
    assert "broken.jpg" in err
    assert "1 line without a file or a caption: skipped" in err
    assert record(tmp_path / "out")["not_decoded"] == 1


def test_a_list_without_any_picture_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(6):
        (tmp_path / f"{number}.jpg").write_bytes(f"no picture {number}".encode())
    listed = write_list(
        tmp_path / "list.csv", ["file,caption", *(f"{number}.jpg,caption {number}" for number in range(6))]
    )
    assert train(listed, tmp_path / "out", tmp_path / "cache") == 3
    assert "none of 6 items can be decoded" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--what", "head"],
            "--captions: captions teach a tower, not --what head; expected --what picture or --what sound",
        ),
        (["--what", "motion"], "not --what motion"),
        (["--what", "labels"], "not --what labels"),
        (["--base-novel", "0.5", "--level", "1"], "--captions: --base-novel, --level: for labels only; leave it out"),
        (["--layout", "folder"], "--layout folder: for labels only"),
        (["--held-out", "0"], "--held-out: expected more than 0 and less than 1"),
        (["--steps", "3", "--epochs", "2"], "--steps and --epochs"),
        (["--what", "sound", "--modalities", "image"], "--what sound: percept-mini@3 has no audio tower"),
    ],
)
def test_wrong_arguments_are_reported_before_anything_starts(
    arguments: list[str], message: str, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(photos, tmp_path / "out", tmp_path / "cache", *arguments) in (2, 4)
    assert message in capsys.readouterr().err


def test_a_list_of_captions_without_the_option_says_what_to_do(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", str(photos), "-o", str(tmp_path / "out"), "--what", "picture"]) == 2
    assert "To learn from captions, use percept train --captions" in capsys.readouterr().err


def shares(caption: float, item: float) -> dict[str, Any]:
    return {"caption_1": {"share": caption}, "item_1": {"share": item}}


def test_a_result_that_is_worse_is_said_to_be() -> None:
    assert list(judgement(shares(0.2, 0.3), shares(0.2, 0.4))) == []
    (worse,) = judgement(shares(0.2, 0.3), shares(0.2, 0.1))
    assert worse.startswith("the result is worse than the model before (of a caption, its item first): keep that one")
    (mixed,) = judgement(shares(0.2, 0.3), shares(0.1, 0.4))
    assert mixed == "the result is worse than the model before in: own caption first"
