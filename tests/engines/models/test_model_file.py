"""A written `model.toml` is read back equal."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from engines.models.checkpoint import read_model
from engines.models.model import FusionSpec, MelSpec, ModelSpec, TextSpec, TowerSpec
from engines.models.model_file import write_model


def full_spec(directory: Path, parts: str) -> ModelSpec:
    """A model that uses every kind of part and value."""
    tower = TowerSpec(network="clip_vision", directory=parts, space='odd "space", ä\\b', mean=(0.1, 1 / 3, 1e-7))
    sound = replace(tower, network="clap_audio", input="log_mel", mel=MelSpec(context_s=10.0), prompts=("a {}", "{}\n"))
    return ModelSpec(
        name="everything",
        version=3,
        directory=str(directory),
        texts={tower.space: TextSpec(network="clip_text", directory=parts, dim=16, pad_to_max=True)},
        image=replace(tower, prompt_weights=(1.0,), temperature=1.0),
        motion=replace(tower, input="flow_picture", flow_bound=2.5),
        audio=sound,
        fusion=FusionSpec(directory=parts, base_share=0.5),
        adapted="adapted.safetensors",
        open_set="open-set.json",
        background="",
    )


def test_a_written_model_is_read_back_equal(tmp_path: Path) -> None:
    spec = full_spec(tmp_path.resolve(), str(tmp_path.resolve() / "parts"))
    write_model(spec, tmp_path)
    assert read_model(str(tmp_path)) == spec
    assert 'directory = "parts"' in (tmp_path / "model.toml").read_text()


def test_relative_parts_are_resolved_against_the_model_they_were_read_from(tmp_path: Path) -> None:
    spec = full_spec((tmp_path / "first").resolve(), "parts")
    write_model(spec, tmp_path / "second")
    image = read_model(str(tmp_path / "second")).image
    assert image is not None
    assert Path(image.directory) == tmp_path.resolve() / "first" / "parts"


def test_a_model_written_to_another_directory_finds_its_files(tmp_path: Path) -> None:
    first = read_model("percept-mini")
    write_model(first, tmp_path)
    second = read_model(str(tmp_path))
    assert replace(second, directory=first.directory) == first
    assert (tmp_path / second.background).read_bytes() == (Path(first.directory) / first.background).read_bytes()


def test_an_existing_file_in_the_new_directory_is_kept(tmp_path: Path) -> None:
    (tmp_path / "background.txt").write_text("mine\n")
    write_model(read_model("percept-mini"), tmp_path)
    assert (tmp_path / "background.txt").read_text() == "mine\n"


def test_a_part_in_the_hub_cache_is_written_by_its_hub_id(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    commit = "0123456789" * 4
    snapshot = (tmp_path / "cache" / "models--some-body--some.model" / "snapshots" / commit).resolve()
    spec = full_spec(tmp_path, str(snapshot))
    write_model(spec, tmp_path / "model")
    assert f'"hub:some-body/some.model@{commit}"' in (tmp_path / "model" / "model.toml").read_text()
    snapshot.mkdir(parents=True)
    (snapshot / "model.safetensors").touch()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert read_model(str(tmp_path / "model")).texts == spec.texts
