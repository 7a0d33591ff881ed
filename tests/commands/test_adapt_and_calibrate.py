"""`percept adapt` and `percept calibrate` from end to end, with the bundled sound tower on synthetic sounds."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from commands import adapt, calibrate
from engines.models.checkpoint import read_model
from pipeline.errors import ConfigError, ModelError
from pipeline.stage import RunSettings
from stages.words.labels import build_label_set
from tests.media import Sound, make_sound
from tests.training.calibrate.test_calibrate import result

pytestmark = pytest.mark.timeout(300)

KINDS: dict[str, Callable[[np.ndarray, float], np.ndarray]] = {
    "whistle": lambda times, pitch: np.sin(2 * np.pi * (1800 + 300 * pitch) * times),
    "rain": lambda times, pitch: np.random.default_rng(int(10 * pitch)).uniform(-1, 1, len(times)),
    "drum": lambda times, pitch: np.sin(2 * np.pi * (60 + 10 * pitch) * times) * np.exp(-8 * (times % 0.5)),
}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three sounds of each kind."""
    root = tmp_path_factory.mktemp("few")
    for kind, tone in KINDS.items():
        (root / "clips" / kind).mkdir(parents=True)
        for number in range(3):

            def sound(times: np.ndarray, tone: Callable = tone, pitch: float = number) -> np.ndarray:
                return tone(times, pitch)

            made = Sound(codec="pcm_s16le", rate_hz=16_000, layout="mono", tone=sound)
            make_sound(root / "clips" / kind / f"{kind} {number}.wav", 2.0, made)
    return root


def run(main: Callable[[list[str]], int], root: Path, *arguments: str) -> int:
    cache = f"model.cache_directory={json.dumps(str(root / 'cache'))}"
    more = ["--modalities", "audio", "--engine", "torch", "--features", str(root / "features"), "-q", "--set", cache]
    return main([*arguments, *more])


def odds(model: Path | str, root: Path) -> dict[str, bytes]:
    """Log-odds of three labels for one embedding. The label "siren" is never adapted."""
    settings = RunSettings(model=str(model), cache_directory=str(root / "cache"), modalities=("audio",))
    labels = build_label_set(read_model(str(model)), ("rain", "siren", "Whistle"), settings, lambda text: None)
    embedding = np.random.default_rng(0).standard_normal((1, labels.sides["audio"].labels.shape[1]))
    values = labels.sides["audio"].compare(embedding / np.linalg.norm(embedding))[2][0]
    return {label: value.tobytes() for label, value in zip(labels.labels, values, strict=True)}


@pytest.mark.slow
def test_labels_are_adapted_and_listed_and_undone(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = root / "adapted"
    assert run(adapt.main, root, "percept-mini", str(root / "clips"), "-o", str(model)) == 0
    out = capsys.readouterr().out
    assert "9 examples of 3 labels, 3 of each" in out
    assert "adapted labels, held-out examples" in out
    assert f"percept adapt --undo {model}" in out
    before, after = odds("percept-mini", root), odds(model, root)
    assert after["siren"] == before["siren"]
    if "not moved" not in out:
        assert after["rain"] != before["rain"]
        assert after["Whistle"] != before["Whistle"]
    assert adapt.main(["--list", str(model)]) == 0
    assert "made from percept-mini@" in (listed := capsys.readouterr().out)
    assert "step 1" in listed
    assert adapt.main(["--undo", str(model)]) == 0
    assert odds(model, root) == before
    with pytest.raises(ConfigError, match="was not adapted"):
        adapt.main(["--undo", str(model)])


@pytest.mark.slow
def test_a_calibrated_model_detects_clips_that_no_label_fits(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = root / "calibrated"
    given = ("percept-mini", str(root / "clips"), "-o", str(model), "--false-alarms", "0.2")
    assert run(calibrate.main, root, *given) == 0
    out = capsys.readouterr().out
    for part in ("expected calibration error, held out", "AUROC", "for 20 % false alarms", "temperature"):
        assert part in out
    spec, plain = read_model(str(model)), read_model("percept-mini")
    assert spec.audio is not None
    assert plain.audio is not None
    assert (spec.audio.temperature, spec.audio.bias) != (plain.audio.temperature, plain.audio.bias)
    assert spec.made_from == f"{plain.id}, calibrated"
    settings = RunSettings(model=str(model), cache_directory=str(root / "cache"), modalities=("audio",))
    labels = build_label_set(spec, ("rain", "siren"), settings, lambda text: None)
    assert labels.open_set is not None
    found = labels.open_set.judge({"audio": np.array([-50.0, -50.0])}, {"audio": 0.9})
    assert found["none_of_these"] is True
    assert set(found) == {"score", "threshold", "none_of_these"}


def test_a_calibration_that_is_worse_on_held_out_clips_is_written_only_with_force(
    root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = root / "worse"
    worse = result(log_loss=(1.0, 1.25), error=(0.1, 0.2))
    monkeypatch.setattr("training.calibrate.calibrate.calibrate", lambda *given: worse)
    given = ("percept-mini", str(root / "clips"), "-o", str(model))
    assert run(calibrate.main, root, *given) == 1
    first, *_, last = capsys.readouterr().out.splitlines()
    assert first.startswith(
        "worse (calibration error and log loss) on held-out clips: calibration error 10.0% -> 20.0%"
    )
    assert last.startswith(f"not written: {model}")
    assert not model.exists()
    assert run(calibrate.main, root, *given, "--force") == 0
    assert "written: " in capsys.readouterr().out
    assert read_model(str(model)).open_set


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["percept-mini"], "CLIPS is missing"),
        (["percept-mini", "clips"], "-o MODEL2 is missing"),
        (["percept-mini", "clips", "--undo"], "--undo: expected only MODEL"),
        (["percept-mini", "--undo", "--list"], "expected only one of them"),
        (["percept-mini", "--undo"], "was not adapted"),
        (["nothere", "clips", "-o", "new"], "--model nothere: no such directory"),
    ],
)
def test_missing_or_wrong_arguments_are_reported(arguments: list[str], message: str) -> None:
    with pytest.raises((ConfigError, ModelError), match=message):
        adapt.main([*arguments, "-q"])


@pytest.mark.parametrize("option", ["--list", "--undo"])
def test_a_missing_model_is_reported_with_its_option(option: str) -> None:
    with pytest.raises(ModelError, match=f"^{option} nothere: no such directory"):
        adapt.main([option, "nothere", "-q"])


def test_other_models_are_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "existing").mkdir()
    (tmp_path / "existing" / "file").touch()
    with pytest.raises(ConfigError, match="already exists; expected a new directory"):
        adapt.main(["percept-mini", "clips", "-o", str(tmp_path / "existing"), "-q"])
    with pytest.raises(ConfigError, match="bundled models cannot be changed"):
        adapt.main(["percept-mini", "clips", "-o", str(read_model("percept-mini").directory), "-q"])


def test_a_budget_that_is_not_a_share_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"--false-alarms 5: expected a share between 0 and 1"):
        calibrate.main(["percept-mini", "clips", "-o", str(tmp_path / "new"), "--false-alarms", "5", "-q"])
