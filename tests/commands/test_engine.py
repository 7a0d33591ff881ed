"""`percept engine`, and the engines in `percept check`, with a small model and a separate cache."""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from commands.engine.clean import chosen
from commands.main import main
from engines.building.quantize import missing as nncf_missing
from pipeline.clip import ClipInfo
from tests.engines.exported import exported_once
from tests.tiny_models import make_tiny_clip

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = str(ROOT / "engines" / "bundled" / "sample.mp4")
WITHOUT = """
import importlib.util, sys
find = importlib.util.find_spec
importlib.util.find_spec = lambda name, *rest: None if name in {missing!r} else find(name, *rest)
from commands.main import main
sys.exit(main({arguments!r}))
"""
"""A process in which some packages appear not to be installed."""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(make_tiny_clip(tmp_path_factory.mktemp("models") / "tiny-clip"))


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory, model: str) -> Path:
    """A cache with the model's ONNX Runtime engine, to be copied."""
    root = tmp_path_factory.mktemp("filled")
    exported = exported_once("clip_vision", Path(model)).parent
    shutil.copytree(exported, root / "exports" / exported.name)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PERCEPT_CACHE", str(root))
        assert main(["engine", "build", "--all", "--engine", "onnxruntime", "--model", model, "-q"]) == 0
    return root


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, filled: Path) -> Path:
    """A cache for one test, with one engine and its export."""
    shutil.copytree(filled, tmp_path / "cache")
    monkeypatch.setenv("PERCEPT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PERCEPT_CACHE", str(tmp_path / "empty"))
    return tmp_path / "empty"


def without(missing: set[str], *arguments: str) -> "subprocess.CompletedProcess[str]":
    code = WITHOUT.format(missing=missing, arguments=list(arguments))
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, "-P", "-c", code], capture_output=True, text=True, timeout=120, env=environment, check=False
    )


def entries_in(cache: Path, kind: str) -> list[Path]:
    return [path for path in (cache / kind).iterdir() if path.is_dir()]


def test_the_actions_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["engine"]) == 0
    out = capsys.readouterr().out
    assert all(f"\n  {action} " in out for action in ("list", "build", "clean", "verify", "bench", "quantize"))


def test_an_unknown_action_is_a_usage_error_with_a_hint(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["engine", "verifi"]) == 2
    assert "did you mean verify?" in capsys.readouterr().err


@pytest.mark.parametrize("action", ["list", "build", "clean", "verify", "bench", "quantize"])
def test_every_action_has_help(action: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["engine", action, "--help"])
    assert left.value.code == 0
    assert f"usage: percept engine {action}" in capsys.readouterr().out


def test_an_empty_cache_names_the_command_that_fills_it(empty: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["engine", "list"]) == 0
    assert capsys.readouterr().out.startswith(f"nothing in {empty} yet: percept engine build")
    assert main(["engine", "verify"]) == 0
    assert capsys.readouterr().out == f"nothing to verify in {empty}\n"


def test_the_list_has_engines_and_exports(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["engine", "list"]) == 0
    engines, exports = capsys.readouterr().out.split("\n\n")[:2]
    assert "clip_vision  tiny-clip  onnxruntime-fp32  cpu" in engines
    assert "passed: centred cosine 1.0000" in engines
    assert "clip_vision  fp32" in exports


def test_the_list_can_be_printed_as_json(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["engine", "list", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert listed["cache"] == str(cache)
    assert [entry["kind"] for entry in listed["entries"]] == ["engine", "export"]
    assert listed["entries"][0]["gate"]["passed"] is True
    assert listed["total_bytes"] == sum(entry["size_bytes"] for entry in listed["entries"])


def test_usable_entries_are_kept_and_the_command_to_remove_them_is_printed(
    cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (cache / "networks").mkdir()
    (cache / "engines" / "abc.bad-0").mkdir()
    assert main(["engine", "clean"]) == 0
    out = capsys.readouterr().out
    assert "removed of earlier versions left over" in out
    assert "removed set aside left over" in out
    assert "percept engine clean --all" in out
    assert not (cache / "networks").exists()
    assert len(entries_in(cache, "engines")) == len(entries_in(cache, "exports")) == 1


@pytest.mark.parametrize("selector", [["--all"], ["--older-than", "0"], ["--model", "{model}"]])
def test_a_selector_removes_engines_and_their_exports(cache: Path, model: str, selector: list[str]) -> None:
    assert main(["engine", "clean", *(word.format(model=model) for word in selector)]) == 0
    assert not entries_in(cache, "engines")
    assert not entries_in(cache, "exports")


@pytest.mark.parametrize("selector", [["--bad"], ["--all", "--older-than", "3"], ["--model", "percept-mini"]])
def test_entries_outside_the_selection_are_kept(cache: Path, selector: list[str]) -> None:
    assert main(["engine", "clean", *selector]) == 0
    assert entries_in(cache, "engines")
    assert entries_in(cache, "exports")


def test_a_negative_age_is_a_usage_error(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["engine", "clean", "--older-than", "-1"]) == 2
    assert "expected a number of days" in capsys.readouterr().err


def test_an_export_is_kept_as_long_as_one_of_its_engines_is() -> None:
    def entry(kind: str, key: str, export: str = "", failed: bool = False) -> Any:
        return SimpleNamespace(kind=kind, key=key, export=export, failed=failed, useless="", built_at_s=time.time() - 9)

    shared = [entry("engine", "a", "x", failed=True), entry("engine", "b", "x")]
    own = entry("engine", "c", "y", failed=True)
    exports = [entry("export", "x"), entry("export", "y"), entry("export", "z")]
    options = argparse.Namespace(model=None, all=False, bad=True, older_than=None)
    assert [each.key for each in chosen([*shared, own, *exports], options)] == ["a", "c", "y"]


def test_verify_prints_figures_and_reports_a_wrong_entry_by_exit_code(
    cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["engine", "verify", "-v"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("passed: clip_vision onnxruntime-fp32 cpu engine: max abs ")
    assert [f"tokens at batch {batch}: max abs" in out for batch in (1, 8, 16)] == [True] * 3
    (export,) = entries_in(cache, "exports")
    with (export / "network.onnx").open("ab") as file:
        file.write(b"\0")
    assert main(["engine", "verify"]) == 4
    out = capsys.readouterr().out
    assert "damaged: export: it does not match its meta.json; set aside" in out
    assert "1 of 2 wrong. Build again with: percept engine build" in out


def test_bench_times_the_selected_engines(cache: Path, model: str, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["engine", "bench", "--model", model, "--engine", "onnxruntime", "--batch", "1,2", "--seconds", "0.03"]
    assert main(arguments) == 0
    heads, row, _ = capsys.readouterr().out.splitlines()
    assert heads.split()[:7] == ["towers", "engine", "device", "batch", "1", "batch", "2"]
    assert row.split()[:3] == ["image", "onnxruntime-fp32", "cpu"]
    assert main([*arguments, "--json"]) == 0
    (timed,) = json.loads(capsys.readouterr().out)["rows"]
    assert set(timed["items_per_s"]) == {"1", "2"}


def test_a_wrong_batch_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["engine", "bench", "--batch", "0,8"]) == 2
    assert "expected batch sizes from 1 to 1024" in capsys.readouterr().err


def test_quantize_needs_clips(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["engine", "quantize", "percept-mini"]) == 2
    assert "no clips given" in capsys.readouterr().err


@pytest.mark.slow
def test_quantize_calibrates_on_clips_and_prints_what_it_changes(
    cache: Path, model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if why := nncf_missing():  # not importorskip: importing nncf would report to an analytics service
        pytest.skip(why)
    words = ["--labels", "dog, rain", "--samples", "16", "-o", str(tmp_path / "copy")]
    code = main(["engine", "quantize", model, SAMPLE, *words])
    out = capsys.readouterr().out
    assert "image clip_vision: int8, " in out
    assert "int8 against fp32: cosine " in out
    assert ("passed its gate. Use it with: percept run" in out) == (code == 0)
    assert {"network.xml", "network.bin", "meta.json"} <= {path.name for path in (tmp_path / "copy").iterdir()}
    assert main(["engine", "list"]) == 0
    assert "openvino-int8" in capsys.readouterr().out


def test_a_missing_extra_names_the_command_that_installs_it(cache: Path, model: str) -> None:
    build = without({"openvino"}, "engine", "build", "--all", "--engine", "openvino", "--model", model)
    assert build.returncode == 4
    assert "pip install 'percept-av[openvino]'" in build.stderr
    quantize = without({"nncf"}, "engine", "quantize", model, SAMPLE)
    assert quantize.returncode == 4
    assert "pip install 'percept-av[quantize]'" in quantize.stderr


def test_check_prints_the_engine_of_each_tower_and_why_preferred_ones_were_passed_over(cache: Path, model: str) -> None:
    for_model = ("--model", model, "--labels", "dog, rain")
    assert without({"openvino"}, "engine", "build", "--model", model).returncode == 0
    done = without({"openvino"}, "check", "--load", *for_model)
    assert done.returncode == 0, done.stderr
    engines = done.stdout.split("\nengines\n")[1].split("\n\n")[0]
    assert "image  onnxruntime-fp32 on cpu  passed: centred cosine 1.0000" in engines
    assert "openvino: OpenVINO is not installed. Run: pip install 'percept-av[openvino]'" in engines
    assert re.search(r"encode engine_reason +image: OpenVINO is not installed\n", done.stdout)


def test_results_have_the_reason_why_a_preferred_engine_was_passed_over() -> None:
    from pipeline.messages import Finished
    from pipeline.result import encode_json
    from pipeline.sink_process import RecordMaker

    done = Finished(info=ClipInfo(source="a.mp4", source_index=0, epoch=0, index=0, start_ns=0, end_ns=1))
    make = RecordMaker(()).record
    assert b"engine_reason" not in encode_json(make(done, {"engine": "torch-fp32"}))
    assert make(done, {"engine": "torch-fp32", "engine_reason": "not this"}).engine_reason == "not this"
