"""The Python API. The machinery runs in a process of its own."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

import percept
from tests.commands.test_run import CONFIG
from tests.pipeline.runs import ROOT, children, wait_for


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "fake.toml"
    path.write_text(CONFIG)
    return path


def test_records_arrive_one_by_one_in_order(config: Path) -> None:
    results = list(percept.run(["fake:clips=3", "fake:clips=2"], config=config))
    assert [(result.source, result.clip) for result in results] == [
        *(("fake:clips=3", clip) for clip in range(3)),
        *(("fake:clips=2", clip) for clip in range(2)),
    ]
    assert results[1].labels
    assert results[1].labels[0].label == "mean 1"


def test_a_single_path_is_accepted(config: Path) -> None:
    assert len(list(percept.run(Path("fake:clips=2"), config=config))) == 2


def test_a_failed_clip_is_a_record(config: Path) -> None:
    results = list(percept.run("fake:clips=6,raise=3", config=config))
    assert [result.clip for result in results if result.error] == [3]


def test_leaving_the_loop_ends_everything(config: Path) -> None:
    before = set(children(os.getpid()))
    for result in percept.run("fake:clips=100000", config=config):
        if result.clip == 2:
            break
    wait_for(lambda: set(children(os.getpid())) <= before, timeout_s=20, what="the end of every process")


def test_errors_have_the_text_of_the_command_line(config: Path) -> None:
    with pytest.raises(percept.ConfigError, match=r"clips\.fps is 0\.0; expected"):
        list(percept.run("fake:clips=1", config=config, fps=0))
    with pytest.raises(percept.ConfigError, match="matches no file"):
        list(percept.run("nothing-*.mp4"))


def test_options_without_a_meaning_here_are_refused(config: Path) -> None:
    with pytest.raises(percept.ConfigError, match=r"events='events\.csv'"):
        percept.run("fake:clips=1", config=config, events=True)  # type: ignore[arg-type]
    for unknown in ("clip_second", "resume"):
        with pytest.raises(TypeError, match=f"unexpected keyword argument '{unknown}'"):
            percept.run("fake:clips=1", config=config, **{unknown: 3})  # type: ignore[arg-type]
    with pytest.raises(percept.ConfigError, match="no label found"):
        list(percept.run("fake:clips=1", labels=[], config=config))


def test_a_run_without_a_readable_source_yields_its_records_and_raises_an_error(config: Path) -> None:
    results = percept.run("fake:unopenable=1", config=config)
    assert "cannot be opened" in (next(results).error or "")
    with pytest.raises(percept.SourceError, match=r"cannot be opened\. Give a file that can"):
        next(results)


def test_settings_and_options_reach_the_config(config: Path) -> None:
    began_s = time.monotonic()
    list(percept.run("fake:clips=3", config=config, settings={"fake_model.busy_ms": 500.0}, modalities=["image"]))
    assert time.monotonic() - began_s > 0.9
    with pytest.raises(percept.ConfigError, match="modalities has 'smell'"):
        list(percept.run("fake:clips=1", config=config, modalities=["image", "smell"]))


def test_a_script_needs_no_guard_and_may_have_a_pipeline_of_its_own(config: Path, tmp_path: Path) -> None:
    (tmp_path / "pipeline.py").write_text("raise SystemExit('the wrong pipeline')")
    script = tmp_path / "script.py"
    script.write_text(
        "import percept\n"
        f"for result in percept.run('fake:clips=2', labels=['a, b', '@c'], config={str(config)!r}):\n"
        "    print(result.clip)\n"
    )
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, timeout=60, check=False, cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert (done.stdout, done.stderr) == ("0\n1\n", "")


def test_importing_percept_imports_nothing_heavy() -> None:
    heavy = "{'torch', 'cv2', 'av', 'zmq', 'onnxruntime', 'transformers'}"
    code = f"import sys, percept; sys.exit(','.join({heavy} & set(sys.modules)) or 0)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60, cwd=ROOT, check=False).returncode == 0
