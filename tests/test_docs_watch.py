"""What docs/watch.md shows is true: its settings are read, its conditions understood, its code does what it says."""

import ast
import re
import time
from pathlib import Path

import pytest

from live.check_settings import check
from live.condition_text import parse
from live.folder import README, StateFolder
from live.page.app import call_table
from live.page.door import Door
from live.page.metrics import metrics
from live.read_settings import read
from live.settings import Alerts, Camera, Keep, Mqtt, Page, Rule, Schedule, Watched, Webhook
from live.status import Age, CameraStatus, ProcessStatus, QueueStatus, Status
from live.webhook import signature
from pipeline.status import LineCount, ZoneNow
from tests.conftest import ROOT

PAGE = (ROOT / "docs" / "watch.md").read_text()
(TOML,) = re.findall(r"```toml\n# cameras.toml\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("YARD_URL", "rtsp://yard/1")
    path = tmp_path / "cameras.toml"
    path.write_text(TOML)
    return path


def test_the_annotated_settings_are_right(file: Path) -> None:
    settings = read(file)
    door, yard = settings.cameras
    assert (door.name, yard.url_env) == ("door", "YARD_URL")
    assert door.password_file == str(file.parent / "secrets" / "door")
    assert [rule.name for rule in door.rules] == ["break-in", "somebody waits", "somebody comes"]
    assert yard.labels == ("person", "dog barking")
    assert check(settings) == []


def test_values_that_stand_for_the_default_are_the_default(file: Path) -> None:
    settings = read(file)
    door, yard = settings.cameras
    usual = Camera(name="")
    for key in ("pre_s", "post_s", "longest_s", "threshold", "hold_s"):
        assert getattr(door, key) == getattr(usual, key), key
    for key in ("stall_s", "clip_seconds", "fps", "modalities", "policy", "reuse"):
        assert getattr(yard, key) == getattr(usual, key), key
    assert (settings.keep, settings.page) == (Keep(), Page())
    assert settings.alerts.mqtt == Mqtt(host="127.0.0.1")
    assert settings.alerts.webhooks[0].kinds == Webhook().kinds


def test_every_key_is_named() -> None:
    for kind in (Camera, Rule, Watched, Schedule, Keep, Page, Mqtt, Webhook, Alerts):
        for key in kind.__struct_fields__:
            names = (key, key.removesuffix("s"))
            assert any(re.search(rf"\b{name}\b", PAGE) for name in names), f"{kind.__name__}.{key}"


def test_the_conditions_of_the_page_are_understood() -> None:
    table = re.search(r"\| condition \| is true \|\n\|---\|---\|\n(.*?)\n\n", PAGE, re.DOTALL)
    assert table
    texts = [text for row in table[1].splitlines() for text in re.findall(r"`([^`]*)`", row.split("|")[1])]
    texts += re.findall(r'`("rock and roll".*?)`', PAGE)
    labels = ["glass breaking", "person", "dog barking", "rock and roll"]
    assert len(texts) >= 9
    for text in texts:
        parse(text, labels, ["drive"], ["gate"])


def test_the_code_that_checks_a_signature_accepts_ours_and_no_other() -> None:
    (code,) = [text for text in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL) if "hmac" in text]
    found: dict[str, object] = {}
    exec(compile(ast.parse(code), "docs/watch.md", "exec"), found)
    is_from_percept = found["is_from_percept"]
    assert callable(is_from_percept)
    body, now = b'{"event": {}}', int(time.time())
    header = signature("secret", now, body)
    assert is_from_percept("secret", header, body)
    assert not is_from_percept("another", header, body)
    assert not is_from_percept("secret", header, body + b" ")
    assert not is_from_percept("secret", signature("secret", now - 301, body), body)
    assert not is_from_percept("secret", "t=,v1=", body)
    assert not is_from_percept("secret", "nonsense", body)


def test_what_is_kept_is_what_the_folder_says_itself(tmp_path: Path) -> None:
    with StateFolder(str(tmp_path / "state")).opened():
        told = (tmp_path / "state" / "README.txt").read_text()
    assert told == README
    for line in told.splitlines()[2:]:
        name = line.split()[0].rstrip("/")
        assert name in PAGE, name


def test_settings_of_deploy_are_right(tmp_path: Path) -> None:
    for path in (ROOT / "deploy" / "cameras.toml", ROOT / "deploy" / "compose" / "cameras.toml"):
        assert len(read(path).cameras) == 1


def test_the_metrics_of_the_page_are_those_that_there_are() -> None:
    camera = CameraStatus(
        name="door",
        age_s=Age(p50=1.0, p99=2.0),
        drops={"superseded": 1},
        measures={"change": 0.1},
        zones={"drive": ZoneNow()},
        lines={"gate": LineCount()},
    )
    status = Status(
        cameras=(camera,),
        processes=(ProcessStatus(name="output"),),
        queues={"label": QueueStatus()},
        engines={"image": "onnxruntime-fp32"},
        stage_s={"flow": 1.0},
    )
    given = set(re.findall(r"(?m)^(percept_\w+?)(?:\{.*)? ", metrics(status).decode()))
    (table,) = re.findall(r"\| metric \| labels \| what \|\n\|---\|---\|---\|\n(.*?)\n\n", PAGE, re.DOTALL)
    told = set(re.findall(r"`(percept_\w+)`", table))
    told |= {f"percept_camera_{end}" for end in re.findall(r"`…_(\w+)`", table)}
    assert told == given


def test_calls_of_the_page_exist() -> None:
    paths = openapi_paths()
    for method, path in re.findall(
        r"curl (?:-N |-X (\w+) )?[^\n]*?(?:\\\n[^\n]*?)?http://127\.0\.0\.1:8710(/[\w/]+)", PAGE
    ):
        assert (method or "GET", path.replace("/cameras/door", "/cameras/{name}")) in paths
    assert ("GET", "/api/v1/openapi.json") in paths


def openapi_paths() -> set[tuple[str, str]]:
    """Method and path of every call."""
    return {(call.method, call.path) for call in call_table(Nobody(), Door(), "1")}  # type: ignore[arg-type]


class Nobody:
    """A backend that nobody asks: the table of calls only names its handlers."""
