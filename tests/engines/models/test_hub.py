"""Hub ids: which files are fetched, and the errors if that fails. The hub is a small local server."""

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from engines.models.assemble import assemble
from engines.models.checkpoint import read_model
from engines.models.hub import from_hub, weights_of
from engines.models.model_file import write_model
from pipeline.errors import ModelError
from tests.tiny_models import make_tiny_clip

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class FakeHub(BaseHTTPRequestHandler):
    """Answers like the hub for one repository, "some-body/good", and for some that it refuses."""

    files: Path
    asked: list[str]

    def do_GET(self) -> None:
        self.answer(body=True)

    def do_HEAD(self) -> None:
        self.answer(body=False)

    def answer(self, body: bool) -> None:
        path = self.path.partition("?")[0]
        if "/closed" in path:
            return self.send(403, b"{}", {"X-Error-Code": "GatedRepo"})
        if "/broken" in path:
            return self.send(500, b"{}")
        if "/good" not in path:
            return self.send(404, b"{}", {"X-Error-Code": "RepoNotFound"})
        if "/no-such-revision" in path:
            return self.send(404, b"{}", {"X-Error-Code": "RevisionNotFound"})
        if path.startswith("/api/models/"):
            return self.send_json(path)
        file = self.files / path.rpartition("/")[2]
        self.asked.append(file.name)
        self.send(200, file.read_bytes() if body else b"", {"X-Repo-Commit": COMMIT, "ETag": f'"{file.name}"'}, file)

    def send_json(self, path: str) -> None:
        names = sorted(file.name for file in self.files.iterdir())
        if "/tree/" in path:
            rows: Any = [{"type": "file", "path": name, "size": (self.files / name).stat().st_size, "oid": name}
                         for name in names]  # fmt: skip
        else:
            rows = {"id": "some-body/good", "sha": COMMIT, "siblings": [{"rfilename": name} for name in names]}
        self.send(200, json.dumps(rows).encode(), {"Content-Type": "application/json"})

    def send(self, code: int, content: bytes, headers: dict[str, str] | None = None, file: Path | None = None) -> None:
        self.send_response(code)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(file.stat().st_size if file else len(content)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[type[FakeHub]]:
    """A hub whose repository is a tiny CLIP with more weights files than needed; the local cache is empty."""
    from huggingface_hub import constants

    FakeHub.files, FakeHub.asked = make_tiny_clip(tmp_path / "repository"), []
    for name in ("open_clip_model.safetensors", "pytorch_model.bin", "flax_model.msgpack"):
        (FakeHub.files / name).write_bytes(b"x")
    server = ThreadingHTTPServer(("127.0.0.1", 0), FakeHub)
    Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    endpoint = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "ENDPOINT", endpoint)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", endpoint + "/{repo_id}/resolve/{revision}/{filename}")
    monkeypatch.setattr("huggingface_hub.hf_api.api.endpoint", endpoint)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_PROGRESS_BARS", True)
    yield FakeHub
    server.shutdown()
    server.server_close()


def test_a_model_is_fetched_once_with_weights_in_one_format(hub: type[FakeHub]) -> None:
    spec = read_model("some-body/good")
    assert spec.image is not None
    assert (spec.name, spec.image.size_px) == ("some-body/good", 32)
    assert {name for name in hub.asked if "model" in name} == {"model.safetensors"}
    hub.asked.clear()
    assert read_model("some-body/good") == spec
    assert hub.asked == []


def test_weights_of_an_unsupported_model_are_not_fetched(hub: type[FakeHub]) -> None:
    (hub.files / "config.json").write_text(json.dumps({"model_type": "telepathy"}))
    with pytest.raises(ModelError, match="model_type is 'telepathy'"):
        read_model("some-body/good")
    assert not [name for name in hub.asked if "safetensors" in name]


def test_a_model_with_only_pickled_weights_is_reported(hub: type[FakeHub]) -> None:
    (hub.files / "model.safetensors").unlink()
    with pytest.raises(ModelError, match=r"hf download some-body/good --local-dir") as refused:
        read_model("some-body/good")
    assert "pytorch_model.bin" in str(refused.value)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("some-body/closed", "requires accepting its terms.*hf auth login"),
        ("some-body/lost", "neither a directory here nor a repository on the hub. If it is private"),
        ("openai/clip-vit-bas-patch16", r"did you mean openai/clip-vit-base-patch16\?"),
        ("some-body/broken", "the hub answered 500"),
        ("some-body/good@no-such-revision", "no such revision"),
    ],
)
def test_a_refusal_of_the_hub_is_reported_with_what_to_do(name: str, message: str, hub: type[FakeHub]) -> None:
    with pytest.raises(ModelError, match=message):
        from_hub(name)


def test_an_unreachable_hub_and_offline_mode_are_different_errors(
    hub: type[FakeHub], monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr("huggingface_hub.hf_api.api.endpoint", "http://127.0.0.1:9")
    with pytest.raises(ModelError, match="the hub cannot be reached"):
        from_hub("some-body/good")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(ModelError, match="HF_HUB_OFFLINE is set"):
        from_hub("some-body/good")


def test_an_incomplete_download_is_completed(hub: type[FakeHub]) -> None:
    found = from_hub("some-body/good")
    (found / "model.safetensors").unlink()
    assert (from_hub("some-body/good") / "model.safetensors").is_file()


def test_open_clip_weights_are_fetched_if_there_is_no_other_format(tmp_path: Path) -> None:
    (tmp_path / "open_clip_config.json").write_text("{}")
    assert weights_of(tmp_path) == ["open_clip_model.safetensors"]


def test_an_assembled_model_names_hub_towers_by_id_and_commit(hub: type[FakeHub], tmp_path: Path) -> None:
    write_model(assemble("mine", {"image": "some-body/good", "motion": "some-body/good"}), tmp_path / "mine")
    assert f'directory = "hub:some-body/good@{COMMIT}"' in (tmp_path / "mine" / "model.toml").read_text()
    hub.asked.clear()
    spec = read_model(str(tmp_path / "mine"))
    assert spec.motion
    assert (list(spec.texts), Path(spec.motion.directory).name, hub.asked) == (["good"], COMMIT, [])


def test_a_model_moved_to_another_machine_fetches_its_towers(
    hub: type[FakeHub], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    write_model(assemble("mine", {"image": "some-body/good"}), tmp_path / "mine")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache of the other machine"))
    image = read_model(str(tmp_path / "mine")).image
    assert image
    assert (Path(image.directory) / "model.safetensors").is_file()
