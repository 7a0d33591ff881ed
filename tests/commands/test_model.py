"""`percept model`: directories made of several models' towers."""

import shutil
from pathlib import Path

import pytest

from commands.main import main
from engines.models.checkpoint import read_model
from tests.tiny_models import make_tiny_clap, make_tiny_clip, make_tiny_siglip


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("models")
    make_tiny_clip(root / "tiny-clip")
    make_tiny_siglip(root / "tiny-siglip")
    make_tiny_clap(root / "tiny-clap")
    return root


def init(*arguments: str | Path) -> int:
    return main(["model", "init", *map(str, arguments)])


def test_towers_of_two_models_become_one_directory(
    models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    directory = tmp_path / "mine"
    assert init("--image", models / "tiny-clip", "--audio", models / "tiny-clap", directory) == 0
    spec = read_model(str(directory))
    assert spec.image
    assert spec.audio
    assert (spec.name, spec.image.space, spec.audio.space) == ("mine", "tiny-clip", "tiny-clap")
    assert spec.texts["tiny-clap"].network == "clap_text"
    assert Path(spec.audio.directory) == models / "tiny-clap"
    told = capsys.readouterr().out
    assert "sound, 48 kHz, 10 s" in told
    assert f"percept check --model {directory}" in told


def test_an_image_model_may_look_at_flow_and_at_sound(
    models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clip = models / "tiny-clip"
    assert init("--image", clip, "--motion", clip, "--sound-as-picture", clip, tmp_path / "mine") == 0
    spec = read_model(str(tmp_path / "mine"))
    assert spec.motion
    assert spec.audio
    assert spec.audio.mel
    assert list(spec.texts) == ["tiny-clip"]
    assert (spec.motion.input, spec.audio.input) == ("flow_picture", "log_mel_chunks")
    assert (spec.audio.network, spec.audio.mel.style) == ("clip_vision@112x1036", "kaldi")
    assert "it guesses until you train it" in capsys.readouterr().out


def test_a_copied_model_works_where_the_others_are_gone(models: Path, tmp_path: Path) -> None:
    shutil.copytree(models, tmp_path / "gone")
    parts = ["--image", tmp_path / "gone" / "tiny-siglip", "--audio", tmp_path / "gone" / "tiny-clap"]
    assert init(*parts, "--copy", tmp_path / "first") == 0
    shutil.rmtree(tmp_path / "gone")
    (tmp_path / "first").rename(tmp_path / "moved")
    spec = read_model(str(tmp_path / "moved"))
    for part in (*spec.towers().values(), *spec.texts.values()):
        assert Path(part.directory).is_relative_to(tmp_path / "moved")
        assert (Path(part.directory) / "model.safetensors").is_file()
    assert (Path(spec.texts["tiny-siglip"].directory) / "tokenizer.json").is_file()


def test_two_models_of_one_name_are_kept_apart(models: Path, tmp_path: Path) -> None:
    shutil.copytree(models / "tiny-siglip", tmp_path / "other" / "tiny-clip")
    parts = ["--image", models / "tiny-clip", "--motion", tmp_path / "other" / "tiny-clip"]
    assert init(*parts, "--copy", tmp_path / "mine") == 0
    spec = read_model(str(tmp_path / "mine"))
    assert spec.image
    assert spec.motion
    assert (spec.image.space, spec.motion.space) == ("tiny-clip", "tiny-clip 2")
    assert Path(spec.motion.directory).name == "tiny-clip-2"
    assert spec.texts["tiny-clip 2"].dim == 32


def test_the_bundled_model_lends_its_towers(models: Path, tmp_path: Path) -> None:
    assert init("--image", models / "tiny-clip", "--audio", "percept-mini", tmp_path / "mine") == 0
    spec, mini = read_model(str(tmp_path / "mine")), read_model("percept-mini")
    assert spec.audio
    assert mini.audio
    assert (spec.audio.directory, spec.audio.bias) == (mini.audio.directory, mini.audio.bias)


def test_a_directory_in_use_is_only_overwritten_when_asked(
    models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    assert init("--image", models / "tiny-clip", tmp_path) == 2
    assert "give --overwrite" in capsys.readouterr().err
    assert not (tmp_path / "model.toml").exists()
    assert init("--image", models / "tiny-clip", tmp_path, "--overwrite") == 0
    assert (tmp_path / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        ([], 2, "no tower asked for"),
        (["--image", "nope"], 4, "--image nope: no such directory"),
        (
            ["--audio", "{models}/tiny-clip"],
            4,
            "has no audio tower (it has: image). It may be meant for --sound-as-pict",
        ),
        (["--image", "{models}/tiny-clap"], 4, "has no image tower (it has: audio). It may be meant for --audio"),
        (["--sound-as-picture", "percept-mini"], 4, "concept_picture@112x1036"),
        (["--audio", "percept-mini", "--sound-as-picture", "percept-mini"], 2, "not allowed with argument --audio"),
    ],
)
def test_what_cannot_be_made_is_said(
    arguments: list[str], code: int, told: str, models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert init(*(each.format(models=models) for each in arguments), tmp_path / "mine") == code
    assert told in capsys.readouterr().err
    assert not (tmp_path / "mine").exists()


def test_a_model_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["model", "show", "percept-mini"]) == 0
    told = capsys.readouterr().out
    assert "concept_sound" in told
    assert "384" in told


def test_a_mistyped_action_is_guessed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["model", "int"]) == 2
    assert "did you mean init?" in capsys.readouterr().err
