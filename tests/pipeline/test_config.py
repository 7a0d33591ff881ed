"""Every problem of a config is reported with its file, key and value, all at once."""

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pipeline.build import make_plan
from pipeline.config import RANGES, Config, FollowOptions, load_config, make_config
from pipeline.errors import ConfigError
from tests.conftest import ROOT


def refused(tree: dict[str, Any], where: str = "live.toml") -> list[str]:
    with pytest.raises(ConfigError) as caught:
        make_config(tree, where)
    assert caught.value.exit_code == 2
    return str(caught.value).splitlines()


def sections() -> list[tuple[str, str, Any]]:
    """Section, key and default of every key of the config."""
    defaults = msgspec.to_builtins(Config())
    return [
        (section, key, value)
        for section, keys in defaults.items()
        if isinstance(keys, dict) and section != "stages"
        for key, value in keys.items()
    ]


@pytest.mark.parametrize(("section", "key", "default"), sections())
def test_a_wrong_type_is_named_with_file_key_and_value(section: str, key: str, default: Any) -> None:
    (problem,) = refused({section: {key: {"no": "value"}}})
    assert problem.startswith("live.toml: Expected `")
    assert re.search(rf"at `\$\.{section}\.{key}(\[\.\.\.\])?`", problem)
    assert "{'no': 'value'}" in problem


@pytest.mark.parametrize(("section", "key", "default"), sections())
def test_a_misspelt_key_is_refused_with_the_right_one(section: str, key: str, default: Any) -> None:
    wrong = key[:-1] + "x" + key[-1]
    (problem,) = refused({section: {wrong: default}})
    assert f"live.toml: Object contains unknown field `{wrong}` - at `$.{section}`" in problem
    assert f"did you mean {key!r}?" in problem


@pytest.mark.parametrize(("key", "low", "high"), RANGES)
def test_every_range_has_two_ends(key: str, low: float, high: float) -> None:
    section, _, name = key.partition(".")
    for value in (low - 1, high + 1):
        problems = refused({section: {name: type(low)(value)}})
        assert any(line.startswith(f"live.toml: {key} is ") and "; expected " in line for line in problems), problems
    if isinstance(low, float):
        assert any(key in line for line in refused({section: {name: float("nan")}}))


def test_every_number_has_a_range() -> None:
    numbers = {f"{section}.{key}" for section, key, value in sections() if type(value) in (int, float)}
    assert numbers <= {key for key, _, _ in RANGES}


@pytest.mark.parametrize(
    ("tree", "problem"),
    [
        ({"cilps": {}}, "live.toml: Object contains unknown field `cilps` - at `$` (did you mean 'clips'?)"),
        (
            {"queue": {"fps": 4}},
            "live.toml: Object contains unknown field `fps` - at `$.queue` (it belongs under [clips])",
        ),
        ({"queue": {"slots": "many"}}, "live.toml: Expected `int`, got `str` - at `$.queue.slots` (it is 'many')"),
        (
            {"model": {"device": "gpu"}},
            "live.toml: model.device is 'gpu'; expected auto, cpu, cuda or cuda:N (sm89 to build for one)",
        ),
        ({"decode": {"device": "gpu"}}, "live.toml: decode.device is 'gpu'; expected auto, cpu, cuda or cuda:N"),
        (
            {"decode": {"device": "cuda", "reader": "decord"}},
            "live.toml: decode.device needs the reader av; decode.reader is 'decord'",
        ),
        ({"clips": 5}, "live.toml: Expected `object`, got `int` - at `$.clips` (it is 5)"),
        ({"groups": [{"name": "x"}]}, "live.toml: Object missing required field `stages` - at `$.groups[0]`"),
        (
            {"groups": [{"stages": ["flow"]}, {"stages": ["track"], "worker": 3}]},
            "live.toml: Object contains unknown field `worker` - at `$.groups[1]` (did you mean 'workers'?)",
        ),
        ({"modalities": ["image", 5]}, "live.toml: Expected `str`, got `int` - at `$.modalities[1]` (it is 5)"),
        ({"modalities": []}, "live.toml: modalities is empty; expected one or more of image, motion, audio"),
        (
            {"modalities": ["sound", "imge"]},
            "live.toml: modalities has 'imge' (did you mean 'image'?); expected image, motion, audio",
        ),
        (
            {"clips": {"seconds": 4.0, "stride_seconds": 2.0}},
            "live.toml: clips.stride_seconds is 2.0; expected 4.0 or more: clips tile the source and may not overlap",
        ),
        (
            {"clips": {"start_s": 20.0, "end_s": 10.0}},
            "live.toml: clips.end_s is 10.0; expected more than start_s (20.0)",
        ),
        (
            {"events": {"enter": 0.2, "leave": 0.4}},
            "live.toml: events.leave is 0.4; expected at most enter (0.2). Omit it, and it follows enter",
        ),
        ({"groups": []}, "live.toml: groups is empty; expected at least one group of stages"),
        ({"groups": [{"stages": []}]}, "live.toml: groups[0].stages is empty; expected at least one stage"),
        (
            {"groups": [{"stages": ["flow"], "workers": -1}]},
            "live.toml: groups[0].workers is -1; expected from 0 to 64",
        ),
        ({"groups": [{"stages": ["flow"], "batch": 0}]}, "live.toml: groups[0].batch is 0; expected from 1 to 256"),
        ({"groups": [{"stages": ["flow"], "batch": 257}]}, "live.toml: groups[0].batch is 257; expected from 1 to 256"),
        (
            {"groups": [{"stages": ["flow"], "wait_ms": -1.0}]},
            "live.toml: groups[0].wait_ms is -1.0; expected from 0 to 10000",
        ),
        (
            {"groups": [{"stages": ["flow"], "wait_ms": float("nan")}]},
            "live.toml: groups[0].wait_ms is nan; expected from 0 to 10000",
        ),
        (  # a worker that waits for a batch must not look hung
            {"groups": [{"stages": ["flow"], "wait_ms": 600.0}], "deadlines": {"clip_s": 1.0}},
            "live.toml: groups[0].wait_ms is 600.0; expected from 0 to 500",
        ),
        (
            {"groups": [{"stages": ["flow"]}, {"stages": ["track"], "name": "flow"}]},
            "live.toml: groups[1].name is 'flow', also another group's; give each its own",
        ),
    ],
)
def test_a_problem_is_reported_with_its_key_and_value(tree: dict[str, Any], problem: str) -> None:
    assert problem in refused(tree)


def test_all_problems_are_reported_at_once() -> None:
    assert len(refused({"queue": {"sots": 1, "credit": "x"}, "clips": {"fps": "y"}, "nothing": 1})) == 4
    assert len(refused({"queue": {"credit": 0}, "clips": {"fps": 0.0, "seconds": 0.1}, "modalities": ["x"]})) == 4


def test_a_file_that_is_missing_or_not_toml_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"-c .*/none\.toml: cannot be read \(No such file or directory\)\. Give the"):
        load_config(str(tmp_path / "none.toml"))
    with pytest.raises(ConfigError, match=r"cannot be read \(Is a directory\)"):
        load_config(str(tmp_path))
    path = tmp_path / "bad.toml"
    path.write_text("[clips\nfps = 4")
    with pytest.raises(ConfigError, match=r"bad\.toml: is not valid TOML: .*line 1"):
        load_config(str(path))
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match=r"bad\.toml: is not valid TOML"):
        load_config(str(path))


def test_an_override_sets_one_key_and_an_unknown_section_is_a_stage() -> None:
    config = load_config(None, ["clips.fps=4", "flow.short_side_px=160", "model.path=a/b", "labels.words=['x', 'y']"])
    assert config.clips.fps == 4
    assert config.model.path == "a/b"
    assert config.labels.words == ("x", "y")
    assert config.stages == {"flow": {"short_side_px": 160}}


@pytest.mark.parametrize("text", ["clips.fps", "=4", "clips.=4", "fps=4", ".fps=4", "modalities.image.x=4"])
def test_an_override_without_section_key_or_value_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="--set "):
        load_config(None, ["modalities=['image']", text])


@pytest.mark.parametrize("name", ["sampled", "configs/sampled.toml"])
def test_a_bundled_config_is_found_by_name_from_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_config(name) == load_config(str(ROOT / "configs" / "sampled.toml")) != Config()
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "sampled.toml").write_text("[clips]\nfps = 3.0\n")
    assert load_config("configs/sampled.toml").clips.fps == 3.0
    with pytest.raises(
        ConfigError, match=r"-c smapled: .* bundled one: default, gpu, label, sampled, sound-only, split, watch"
    ):
        load_config("smapled")


@pytest.mark.parametrize("path", sorted((ROOT / "configs").glob("*.toml")), ids=lambda path: path.name)
def test_every_config_of_ours_makes_a_plan(path: Path) -> None:
    plan = make_plan(load_config(str(path)))
    assert plan.groups
    again = msgspec.msgpack.decode(msgspec.msgpack.encode(plan), type=type(plan))
    assert (again.config, again.groups, again.layout) == (plan.config, plan.groups, plan.layout)


def test_the_default_config_file_lists_the_defaults() -> None:
    assert load_config(str(ROOT / "configs" / "default.toml")) == Config()


def test_what_is_told_of_tracks_follows_from_what_is_to_be_found() -> None:
    assert Config().follow.chosen == "all"
    assert FollowOptions(find="dog").chosen == "found"
    assert FollowOptions(find="dog", which="all").chosen == "all"
    (problem,) = Config(follow=FollowOptions(which="found")).problems()
    assert "follow.which is" in problem
    assert "--find" in problem
    (problem,) = Config(follow=FollowOptions(find="dog", which="none")).problems()
    assert "follow.find is given; without boxes it has no effect" in problem
    (problem,) = Config(follow=FollowOptions(find="dog"), modalities=("audio",)).problems()
    assert "follow.find is given, and modalities is audio; without pictures nothing is followed" in problem
