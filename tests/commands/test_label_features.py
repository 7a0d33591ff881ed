"""`percept label --features` on the bundled sample, with the bundled model."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from archive.shard import facts_of, names_of_vectors, read_table, vectors_in
from commands.label import make_parser
from commands.labelling import asked_of
from commands.main import main
from commands.options import make_config
from engines.models.checkpoint import BUNDLED, read_model
from engines.networks.motion import load_motion
from engines.networks.picture import load_picture
from engines.networks.sound import load_sound
from pipeline.build import make_plan
from pipeline.clip import Clip
from pipeline.config import load_config
from pipeline.errors import ConfigError, ModelError
from pipeline.plain import Passed, PlainLoop
from pipeline.run import place, private_directory
from stages.tower_inputs import tower_input
from tests.commands.test_label import SAMPLE, label

CUT = ("--start", "3", "--end", "9", "-q")
SIZES = {"image": 1280, "motion": 128, "audio": 1024}


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`with` and `without`: the same seconds of the sample, which is there twice."""
    folder = tmp_path_factory.mktemp("features")
    (folder / "videos").mkdir()
    for name in ("a.mp4", "b.mp4"):
        shutil.copy(SAMPLE, folder / "videos" / name)
    for name, more in (("with", ["--features"]), ("without", [])):
        done = label(str(folder / "videos"), "-o", str(folder / name), "--labels", "dog, music", *CUT, *more)
        assert done.returncode == 0, done.stderr
    return folder


def rows_of(folder: Path, name: str = "videos/a.mp4.parquet") -> Any:
    return facts_of(str(folder / name), name), read_table(str(folder / name))


@pytest.fixture(scope="module")
def clips() -> list[Passed]:
    """What is decoded of these seconds, and what the towers read."""
    settings = ["clips.start_s=3", "clips.end_s=9", "model.engine=torch", "model.device=cpu"]
    with private_directory() as directory:
        plan = place(make_plan(load_config(None, settings)), directory)
        with PlainLoop(plan, arrays=("flow", "log_mel"), threads=1) as loop:
            return list(loop.run(str(SAMPLE)))


def computed(clips: list[Passed]) -> dict[str, np.ndarray]:
    """By modality, float32 "clips F": what PyTorch computes with the parts of the networks."""
    towers = read_model("percept-mini").towers()
    picture, motion, sound = (load(BUNDLED / "percept-mini") for load in (load_picture, load_motion, load_sound))
    seen: list[torch.Tensor] = []
    motion.classify.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))

    def of_pictures(given: torch.Tensor) -> torch.Tensor:
        field = picture.network.features(given)
        quarters = [field[:, :, top : top + 4, left : left + 4].mean((2, 3)) for top in (0, 3) for left in (0, 3)]
        return torch.stack([each / each.norm(dim=-1, keepdim=True) for each in quarters]).mean(0)

    def of_motion(given: torch.Tensor) -> torch.Tensor:
        motion(given)
        return seen.pop()

    found: dict[str, list[np.ndarray]] = {name: [] for name in SIZES}
    for passed in clips:
        clip = Clip(passed.info, passed.values, passed.absent)
        for name, function in (("image", of_pictures), ("motion", of_motion), ("audio", sound.features)):
            with torch.inference_mode():
                values: Any = function(torch.from_numpy(np.array(tower_input(towers[name], clip))))
                found[name].append(values.mean(0).numpy())
    return {name: np.stack(rows) for name, rows in found.items()}


@pytest.mark.slow
def test_features_are_what_pytorch_computes_on_the_same_clips(archives: Path, clips: list[Passed]) -> None:
    facts, table = rows_of(archives / "with")
    assert facts.features == SIZES
    assert facts.dims.keys() == set(names_of_vectors(table)), "search and relabel see the embeddings alone"
    for name, wanted in computed(clips).items():
        stored = vectors_in(table[f"{name}_features"]).astype(np.float32)
        assert stored.shape == wanted.shape == (len(clips), SIZES[name])
        lengths = np.linalg.norm(stored, axis=1), np.linalg.norm(wanted, axis=1)
        cosine = (stored * wanted).sum(1) / (lengths[0] * lengths[1])
        assert cosine.min() > 0.999, name
        np.testing.assert_allclose(lengths[0], lengths[1], rtol=1e-2)
        apart = (wanted / lengths[1][:, None]) @ (wanted / lengths[1][:, None]).T
        assert apart.min() < 0.999, "clips differ by more than that"


@pytest.mark.slow
def test_everything_else_is_as_without(archives: Path) -> None:
    (facts, table), (plain_facts, plain) = rows_of(archives / "with"), rows_of(archives / "without")
    more = [name for name in table.schema.names if name not in plain.schema.names]
    assert more == [f"{name}_features" for name in SIZES]
    assert (plain_facts.features, facts.dims) == ({}, plain_facts.dims)
    assert facts.config != plain_facts.config
    assert facts.settings == (plain_facts.settings or {}) | {"stages.encode.features": True}
    for name in names_of_vectors(plain):
        one, other = (vectors_in(each[f"{name}_vector"]).astype(np.float32) for each in (table, plain))
        assert (one * other).sum(1).min() > 0.99
    for one, other in zip(table.to_pylist(), plain.to_pylist(), strict=True):
        assert one["absent"] == other["absent"]


@pytest.mark.slow
def test_an_archive_has_features_in_all_files_or_in_none(archives: Path) -> None:
    for name, more in (("with", ()), ("without", ("--features",))):
        done = label(str(archives / "videos"), "-o", str(archives / name), "--labels", "dog, music", *CUT, *more)
        assert done.returncode != 0
        assert "stages.encode.features was" in done.stderr


@pytest.mark.slow
def test_relabel_compact_search_and_report_go_on(
    archives: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(archives / "with", tmp_path / "labels")
    labels = str(tmp_path / "labels")
    before = rows_of(archives / "with")[1]
    assert rows_of(archives / "with", "videos/b.mp4.parquet")[0].same_as == "videos/a.mp4"
    assert main(["relabel", labels, "--labels", "rain, sheep, music", "-q"]) == 0
    assert main(["label", "-o", labels, "--compact", "-q"]) == 0
    (merged,) = (tmp_path / "labels" / "by-day").iterdir()
    facts, table = rows_of(merged.parent, merged.name)
    assert (facts.labels, facts.features) == (("rain", "sheep", "music"), SIZES)
    for name in SIZES:
        kept = vectors_in(before[f"{name}_features"])
        np.testing.assert_array_equal(vectors_in(table[f"{name}_features"]), np.concatenate([kept, kept]))
    capsys.readouterr()
    assert main(["search", labels, "a dog", "-q"]) == 0
    assert '"a.mp4"' in capsys.readouterr().out.replace("videos/", "")
    assert main(["report", labels, "-o", str(tmp_path / "report"), "-q"]) == 0
    assert (tmp_path / "report" / "index.html").is_file()


def asked(*arguments: str) -> Any:
    options = make_parser().parse_intermixed_args(["videos", "-o", "labels", "--features", *arguments])
    if options.config is None:
        options.config = "label"
    return asked_of(options, make_config(options))


def test_the_sizes_are_known_before_anything_is_labelled() -> None:
    assert asked().features == SIZES
    assert asked("--modalities", "audio").features == {"audio": 1024}


def test_settings_that_would_keep_no_features_are_refused() -> None:
    with pytest.raises(ConfigError, match="--features: no group of these settings runs the stage store"):
        asked("-c", "default")


def test_a_model_without_features_is_refused_before_anything_is_labelled(tmp_path: Path) -> None:
    text = (BUNDLED / "percept-mini" / "model.toml").read_text().replace("concept_motion", "open_clip_vision")
    shutil.copytree(BUNDLED / "percept-mini", tmp_path / "other")
    (tmp_path / "other" / "model.toml").write_text(text)
    with pytest.raises(ModelError, match=r"the motion tower of percept-mini@3 cannot give its features: .*clip_vision"):
        asked("--model", str(tmp_path / "other"))
    assert "motion" not in asked("--model", str(tmp_path / "other"), "--modalities", "image,audio").features
