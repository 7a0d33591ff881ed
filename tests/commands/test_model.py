"""`percept model`: model directories with towers of several models."""

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
    out = capsys.readouterr().out
    assert "sound, 48 kHz, 10 s" in out
    assert f"percept check --model {directory}" in out


def test_an_image_model_can_be_used_for_flow_and_for_sound(
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
    assert "towers were trained on photos and can only guess until you train them" in capsys.readouterr().out


def test_a_copied_model_works_without_the_original_ones(models: Path, tmp_path: Path) -> None:
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


def test_two_models_with_the_same_name_are_kept_apart(models: Path, tmp_path: Path) -> None:
    shutil.copytree(models / "tiny-siglip", tmp_path / "other" / "tiny-clip")
    parts = ["--image", models / "tiny-clip", "--motion", tmp_path / "other" / "tiny-clip"]
    assert init(*parts, "--copy", tmp_path / "mine") == 0
    spec = read_model(str(tmp_path / "mine"))
    assert spec.image
    assert spec.motion
    assert (spec.image.space, spec.motion.space) == ("tiny-clip", "tiny-clip 2")
    assert Path(spec.motion.directory).name == "tiny-clip-2"
    assert spec.texts["tiny-clip 2"].dim == 32


def test_towers_of_the_bundled_model_can_be_used(models: Path, tmp_path: Path) -> None:
    assert init("--image", models / "tiny-clip", "--audio", "percept-mini", tmp_path / "mine") == 0
    spec, mini = read_model(str(tmp_path / "mine")), read_model("percept-mini")
    assert spec.audio
    assert mini.audio
    assert (spec.audio.directory, spec.audio.bias) == (mini.audio.directory, mini.audio.bias)


def test_a_directory_in_use_is_not_overwritten_without_overwrite(
    models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    assert init("--image", models / "tiny-clip", tmp_path) == 2
    assert "use --overwrite" in capsys.readouterr().err
    assert not (tmp_path / "model.toml").exists()
    assert init("--image", models / "tiny-clip", tmp_path, "--overwrite") == 0
    assert (tmp_path / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ([], 2, "no tower given"),
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
def test_impossible_models_are_refused_with_the_reason(
    arguments: list[str], code: int, message: str, models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert init(*(each.format(models=models) for each in arguments), tmp_path / "mine") == code
    assert message in capsys.readouterr().err
    assert not (tmp_path / "mine").exists()


def test_a_model_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["model", "show", "percept-mini"]) == 0
    out = capsys.readouterr().out
    assert "concept_sound" in out
    assert "384" in out


def test_a_mistyped_action_gets_a_suggestion(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["model", "int"]) == 2
    assert "did you mean init?" in capsys.readouterr().err
