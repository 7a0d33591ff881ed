"""Templates that are weighted as clips arrive: the state is complete, so any worker can continue."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import psutil
import pytest

from engines.models.checkpoint import read_model
from engines.models.model_file import write_model
from pipeline.build import make_plan
from pipeline.clip import Clip, ClipInfo
from pipeline.config import Config, load_config
from pipeline.stage import Budget, Resources, RunSettings
from stages.classify import Classify
from stages.classify_stream import STACKS_FILE, ClassifyStream
from stages.words import scoring
from stages.words.label_side import LabelSide
from stages.words.labels import LABELS_FILE, LabelSet
from stages.words.template_stack import Stack, load_stacks, save_stacks, unit
from stages.words.word import BUNDLED_MODEL
from stages.words.zpe import decode_state

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = BUNDLED_MODEL.parent / "sample.mp4"
TEMPLATES, DIM = 3, 24
LOUD = {"image": {"contrast": 0.2, "corrupt_share": 0.0}, "audio": {"loudness_dbfs": -20.0}}
WORDS = unit(np.random.default_rng(3).normal(size=(20, DIM))).astype(np.float32)


def stack(labels: np.ndarray) -> Stack:
    """The first template yields the words' own vectors, the second adds noise, the third is noise alone."""
    noise = np.random.default_rng(4).normal(size=(2, 20, DIM))
    background = np.stack([WORDS, unit(WORDS + 0.3 * noise[0]), unit(noise[1])]).astype(np.float32)
    rows = background[:, labels]
    nothing = np.zeros(0, np.float32)
    return Stack(rows, background, background, np.zeros(DIM, np.float32), np.zeros((len(labels), DIM)), nothing)


@pytest.fixture
def settings(tmp_path: Path) -> RunSettings:
    """A run's directory as after `prepare`, made without a text tower."""
    stacks = dict.fromkeys(("image", "audio"), stack(np.array([2, 5, 9])))
    equal = np.full(TEMPLATES, 1 / TEMPLATES)
    plain = LabelSide(WORDS[:3], WORDS, np.ones((3, 20)), 0.1, 0.0)
    kept = scoring.competing(WORDS[[2, 5, 9]], WORDS).astype(np.float64)
    sides = {name: with_kept(one.side(plain, equal), kept) for name, one in stacks.items()}
    LabelSet(("dog", "rain", "car"), sides, tuple(map(str, range(20)))).save(tmp_path / LABELS_FILE)
    save_stacks(tmp_path / STACKS_FILE, stacks)
    return RunSettings(directory=str(tmp_path), top_k=3, templates="zpe")


def with_kept(side: LabelSide, kept: np.ndarray) -> LabelSide:
    return LabelSide(side.labels, side.background, kept, side.temperature, side.bias)


def opened(settings: RunSettings, kind: type[Classify] = ClassifyStream) -> Any:
    stage = kind(kind.Options(), settings, Budget())
    stage.open(Resources())
    return stage


def clip(index: int, source: int = 0, signals: Any = LOUD) -> Clip:
    random = np.random.default_rng(index)
    seen, heard = (unit(WORDS[random.integers(20)] + 0.1 * random.normal(size=DIM)).astype(np.float32) for _ in "ab")
    info = ClipInfo("a", source, index, index, index + 1)
    return Clip(info, {"image_embedding": seen, "audio_embedding": heard, "signals": signals}, {})


def test_the_first_clip_is_scored_with_nearly_equal_template_weights(settings: RunSettings) -> None:
    plain = opened(settings, Classify).process(clip(0))["labels"]
    streamed = opened(settings).process(clip(0))["labels"]
    assert [row["label"] for row in streamed] == [row["label"] for row in plain]
    for one, other in zip(streamed, plain, strict=True):
        assert one["probability"] == pytest.approx(other["probability"], abs=0.02)


def test_the_template_that_fits_the_words_best_gets_the_highest_weight(settings: RunSettings) -> None:
    stage, state = opened(settings), b""
    for index in range(250):
        state, outputs = stage.update(state, clip(index))
    for running in decode_state(state).values():
        assert running.clips == 250
        assert running.weights[0] > running.weights[1] > running.weights[2]
        assert running.weights[2] < 0.05
    assert len(outputs["labels"]) == 3


def test_another_worker_continues_from_the_state_with_the_same_results(settings: RunSettings) -> None:
    one, state, wanted = opened(settings), b"", []
    for index in range(30):
        state, outputs = one.update(state, clip(index))
        wanted.append(outputs)
    state, found = b"", []
    for index in range(30):
        worker = opened(settings) if index % 7 == 0 else worker  # noqa: F821
        worker.update(state, clip(index))  # its result is lost, as if its process had died
        state, outputs = worker.update(state, clip(index))
        found.append(outputs)
    assert found == wanted


def test_sources_do_not_affect_each_others_templates(settings: RunSettings) -> None:
    stage = opened(settings)
    alone = [stage.update(b"", clip(0, source=1))[1]]
    state, _ = stage.update(b"", clip(7, source=0))
    stage.update(state, clip(8, source=0))
    assert [stage.update(b"", clip(0, source=1))[1]] == alone


def test_silence_does_not_change_the_weights_of_templates_for_sound(settings: RunSettings) -> None:
    state, outputs = opened(settings).update(b"", clip(0, signals=LOUD | {"audio": {"loudness_dbfs": -90.0}}))
    assert set(decode_state(state)) == {"image"}
    assert set(outputs["labels"][0]["evidence"]) == {"image", "audio"}


def test_stacks_are_read_back_as_they_were_written(tmp_path: Path) -> None:
    made = stack(np.array([1, 2]))
    save_stacks(tmp_path / "s.npz", {"image": made})
    read = load_stacks(tmp_path / "s.npz")["image"]
    for name in Stack.__dataclass_fields__:
        np.testing.assert_array_equal(getattr(read, name), getattr(made, name))


def test_the_run_concludes_with_the_weights_over_all_sources(settings: RunSettings) -> None:
    stage = opened(settings)
    for source, count in enumerate((40, 10)):
        state = b""
        for index in range(count):
            state, _ = stage.update(state, clip(index + 100 * source, source))
    path = Path(settings.directory) / "three.txt"
    path.write_text("{}\na {}\nno {}\n")
    run = msgspec.structs.replace(settings, templates=f"zpe:{path}")
    (ending, content), *none = ClassifyStream(ClassifyStream.Options(), run, Budget()).conclude().items()
    written = json.loads(content)
    assert (ending, none) == (".templates.json", [])
    assert written["clips"] == {"image": 50, "audio": 50}
    assert written["templates"]["image"][0]["template"] == "{}"
    assert sum(row["weight"] for row in written["templates"]["audio"]) == pytest.approx(1.0, abs=1e-4)


@pytest.mark.parametrize("config", ["default", "gpu", "sound-only", "split"])
@pytest.mark.parametrize("choice", ["zpe", "zpe:FILE"])
def test_classify_runs_in_order_in_a_group_of_its_own(config: str, choice: str, tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text("a {}\n")
    choice = choice.replace("FILE", str(tmp_path / "t.txt"))
    plan = make_plan(load_config(config, [f"labels.templates={json.dumps(choice)}"]))
    (group,) = (group for group in plan.groups if "classify" in group.stages)
    assert (group.stages, group.ordered, group.workers) == (("classify",), True, 1)
    assert {name for other in make_plan(load_config(config)).groups for name in other.stages} == {
        name for other in plan.groups for name in other.stages
    }
    assert not any(other.ordered for other in plan.groups if "encode" in other.stages)


def test_without_zpe_the_plan_is_unchanged() -> None:
    assert make_plan(Config()).config == Config()


# The command, with a small background so that words are encoded quickly.


def small_model(folder: Path) -> Path:
    spec = read_model("percept-mini")
    folder.mkdir()
    words = (BUNDLED_MODEL / "background.txt").read_text().splitlines()
    (folder / "background.txt").write_text("\n".join(words[::40]))
    write_model(spec, folder)
    return folder


def run(folder: Path, name: str, *more: str) -> "subprocess.Popen[str]":
    (folder / "t.txt").write_text("a photo of {}\nthe sound of {}\ninvoice number 4711 regarding {}\n")
    command = [sys.executable, "-m", "commands.main", "run", str(SAMPLE), "--model", str(folder / "model")]
    command += [
        "--labels",
        "dog, sheep, rain",
        "--templates",
        f"zpe:{folder / 't.txt'}",
        "--clip-seconds",
        "1",
        "--modalities",
        "image,audio",
    ]
    command += ["-o", str(folder / name), "--engine", "torch", *more]
    environment = os.environ | {"PERCEPT_CACHE": str(folder / "cache")}
    return subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True, env=environment)


def rows(path: Path) -> list[tuple[int, dict[str, float]]]:
    read = map(json.loads, path.read_text().splitlines())
    return [(row["clip"], {label["label"]: label["probability"] for label in row["labels"]}) for row in read]


def best(path: Path) -> dict[str, str]:
    """The template with the highest weight, by modality."""
    written = json.loads(path.with_name(f"{path.name}.templates.json").read_text())
    return {modality: found[0]["template"] for modality, found in written["templates"].items()}


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_run_whose_workers_are_killed_has_the_same_results_and_weights(tmp_path: Path) -> None:
    small_model(tmp_path / "model")
    clean = run(tmp_path, "clean.jsonl")
    messages = clean.communicate(timeout=300)[1]
    assert clean.returncode == 0, messages
    chance = random.Random(5)
    with run(tmp_path, "killed.jsonl", "--set", "queue.credit=1") as process:
        killed = 0
        while process.poll() is None:
            try:
                servers = psutil.Process(process.pid).children()
                victims = [
                    w for s in servers if not any("output" in word for word in s.cmdline()) for w in s.children()
                ]
                started = (tmp_path / "killed.jsonl").exists() and (tmp_path / "killed.jsonl").stat().st_size
                if victims and started and killed < 3:
                    chance.choice(victims).send_signal(signal.SIGKILL)
                    killed += 1
            except psutil.NoSuchProcess:
                pass
            time.sleep(0.3)
        assert process.stderr is not None
        messages = process.stderr.read()
    assert process.returncode == 0, messages
    assert killed
    after = dict(rows(tmp_path / "killed.jsonl"))
    for index, labels in rows(tmp_path / "clean.jsonl"):
        assert after[index] == pytest.approx(labels, abs=1e-3)
    weights, again = best(tmp_path / "clean.jsonl"), best(tmp_path / "killed.jsonl")
    assert weights == again
    assert weights == {"image": "a photo of {}", "audio": "the sound of {}"}
