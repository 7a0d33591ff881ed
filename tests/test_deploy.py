"""What is in deploy/, as far as it can be judged without Docker and without systemd as the first process.

The unit passes systemd's own checks, the Dockerfile a linter; the compose file names what exists; the demo camera
and the broker run for real, from the very lines that the containers run.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import pytest
import yaml

from tests.conftest import ROOT
from tests.test_dockerfile import hadolint

DEPLOY = ROOT / "deploy"
UNIT = (DEPLOY / "percept-watch.service").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose" / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
CAMERA = (DEPLOY / "camera" / "Dockerfile").read_text()
CAMERAS = tomllib.loads((DEPLOY / "compose" / "cameras.toml").read_text())


def analysed(tmp_path: Path, unit: str, *arguments: str) -> str:
    """What systemd-analyze says of a unit whose program exists."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("no systemd-analyze: apt install systemd")
    path = tmp_path / "percept-watch.service"
    path.write_text(unit.replace("/opt/percept/bin/percept", sys.executable))
    done = subprocess.run(["systemd-analyze", *arguments, str(path)], capture_output=True, text=True, timeout=60)
    return done.stdout + done.stderr


def test_systemd_finds_nothing_wrong_with_the_unit(tmp_path: Path) -> None:
    assert analysed(tmp_path, UNIT, "verify") == ""
    assert "Unknown key" in analysed(tmp_path, UNIT.replace("UMask=", "UMusk="), "verify")


def test_the_unit_gives_away_little(tmp_path: Path) -> None:
    (level,) = re.findall(r"exposure level for .*: ([\d.]+)", analysed(tmp_path, UNIT, "security", "--offline=true"))
    assert float(level) <= 2.0
    weak = (
        UNIT.replace("CapabilityBoundingSet=\n", "").replace("SystemCallFilter=", "#").replace("PrivateDevices=", "#")
    )
    (level,) = re.findall(r"exposure level for .*: ([\d.]+)", analysed(tmp_path, weak, "security", "--offline=true"))
    assert float(level) > 2.0


def test_the_unit_stops_the_watch_as_ctrl_c_does_and_reads_secrets_where_the_settings_say() -> None:
    assert "KillSignal=SIGINT" in UNIT
    (folder,) = re.findall(r"(?m)^LoadCredential=secrets:(\S+)$", UNIT)
    assert folder == "/etc/percept/secrets"
    settings = tomllib.loads((DEPLOY / "cameras.toml").read_text())
    (camera,) = settings["camera"]
    assert camera["password_file"] == "/run/credentials/percept-watch.service/secrets_door"


def test_the_linter_finds_nothing_in_the_camera() -> None:
    assert hadolint(CAMERA) == ""
    assert "DL3009" in hadolint(CAMERA.replace("&& rm -rf /var/lib/apt/lists/*", "&& true"))


def test_files_that_the_containers_are_made_of_exist() -> None:
    folder = DEPLOY / "compose"
    for service in SERVICES.values():
        if build := service.get("build"):
            context = (folder / build["context"]).resolve()
            assert (context / build.get("dockerfile", "Dockerfile")).is_file()
        for volume in service.get("volumes", []):
            name = volume.partition(":")[0]
            assert (folder / name).is_file() if name.startswith("./") else name in COMPOSE["volumes"]
    for source in re.findall(r"(?m)^COPY (?!--from)(\S+) ", CAMERA):
        assert (ROOT / source).is_file(), source


def test_secrets_that_containers_ask_for_are_made_and_nothing_else(tmp_path: Path) -> None:
    if shutil.which("mosquitto_passwd") is None:
        pytest.skip("no mosquitto_passwd: apt install mosquitto")
    script = shutil.copy(DEPLOY / "compose" / "make_secrets.sh", tmp_path)
    subprocess.run(["sh", script], check=True, timeout=30, capture_output=True)
    made = {path.name: path.read_text() for path in (tmp_path / "secrets").iterdir()}
    asked = {name for service in SERVICES.values() for name in service.get("secrets", [])}
    assert asked == {*made} == {*COMPOSE["secrets"]}
    assert all(each["file"] == f"./secrets/{name}" for name, each in COMPOSE["secrets"].items())
    assert made["camera_login"] == f"viewer:{made['camera_password']}"
    assert len(made["page_token"]) == 48
    assert made["mqtt_password"] not in made["mqtt_users"]
    assert (tmp_path / "secrets").stat().st_mode & 0o777 == 0o700
    again = subprocess.run(["sh", script], timeout=30, capture_output=True, text=True)
    assert again.returncode == 1
    assert made["page_token"] == (tmp_path / "secrets" / "page_token").read_text(), again.stderr


def test_the_containers_have_no_rights_that_they_do_not_need() -> None:
    for name, service in SERVICES.items():
        assert service["cap_drop"] == ["ALL"], name
        assert "no-new-privileges:true" in service["security_opt"], name
        assert service["mem_limit"], name
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", [])), name
    assert all(SERVICES[name]["read_only"] for name in ("percept", "camera"))


def test_the_settings_name_what_the_other_containers_are() -> None:
    percept = SERVICES["percept"]
    (camera,) = CAMERAS["camera"]
    host, port, path = re.fullmatch(r"rtsp://([a-z]+):(\d+)/([a-z]+)", camera["url"]).groups()  # type: ignore[union-attr]
    assert f"{path}=/demo" in SERVICES[host]["command"]
    assert f"EXPOSE {port}" in CAMERA
    assert CAMERAS["alerts"]["mqtt"]["host"] in SERVICES
    named = re.findall(r'_file = "/run/secrets/(\w+)"', (DEPLOY / "compose" / "cameras.toml").read_text())
    assert {*named} == {*percept["secrets"]}
    assert percept["command"] == ["watch", "/config/cameras.toml"]
    (folders,) = re.findall(
        r"install --directory --owner percept --group percept (.*)", (ROOT / "Dockerfile").read_text()
    )
    assert CAMERAS["directory"] in folders.split()
    assert f"state:{CAMERAS['directory']}" in percept["volumes"]
    assert f":{CAMERAS['page']['port']}/healthz" in " ".join(percept["healthcheck"]["test"])


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[dict[str, str]]:
    """The broker of the compose file, at other paths and another port."""
    if shutil.which("mosquitto", path=f"{os.environ['PATH']}:/usr/sbin") is None:
        pytest.skip("no mosquitto: apt install mosquitto")
    from benchmarks.farm import free_port

    tmp_path.chmod(0o755)
    subprocess.run(["sh", shutil.copy(DEPLOY / "compose" / "make_secrets.sh", tmp_path)], check=True, timeout=30)
    port = free_port()
    text = (DEPLOY / "compose" / "mosquitto.conf").read_text()
    text = text.replace("listener 1883", f"user root\nlistener {port} 127.0.0.1")
    text = text.replace("/run/secrets", str(tmp_path / "secrets")).replace("/mosquitto/data", str(tmp_path))
    (tmp_path / "mosquitto.conf").write_text(text)
    program = shutil.which("mosquitto", path=f"{os.environ['PATH']}:/usr/sbin") or ""
    process = subprocess.Popen([program, "-c", str(tmp_path / "mosquitto.conf")], stdout=subprocess.DEVNULL)
    yield {"port": str(port), "password": (tmp_path / "secrets" / "mqtt_password").read_text()}
    process.terminate()
    process.wait(timeout=20)


def test_the_broker_lets_percept_in_and_nobody_else(broker: dict[str, str]) -> None:
    from paho.mqtt.client import Client
    from paho.mqtt.enums import CallbackAPIVersion

    def answer(password: str) -> str:
        answers: list[str] = []
        client = Client(CallbackAPIVersion.VERSION2)
        client.on_connect = lambda client, data, flags, reason, properties: answers.append(str(reason))
        if password:
            client.username_pw_set("percept", password)
        until_s = time.monotonic() + 30
        while time.monotonic() < until_s:
            try:
                client.connect("127.0.0.1", int(broker["port"]))
                break
            except ConnectionRefusedError:
                time.sleep(0.1)
        while not answers and time.monotonic() < until_s:
            client.loop(0.1)
        client.disconnect()
        return answers[0]

    assert answer(broker["password"]) == "Success"
    assert answer("another") == "Not authorized"
    assert answer("") == "Not authorized"


@pytest.mark.slow
def test_the_demo_camera_shows_the_sample_to_those_who_log_in(tmp_path: Path) -> None:
    if shutil.which("ffmpeg") is None or not list(
        Path("/usr/lib").glob("*/girepository-1.0/GstRtspServer-1.0.typelib")
    ):
        pytest.skip("no RTSP server: apt install gir1.2-gst-rtsp-server-1.0 python3-gi gstreamer1.0-plugins-bad ffmpeg")
    from benchmarks.farm import Farm

    (lines,) = re.findall(r"(?m)^RUN mkdir /demo \\\n((?:.*\\\n)*.*)$", CAMERA)
    places = {"/sample.mp4": str(ROOT / "engines/bundled/sample.mp4"), "/demo/": f"{tmp_path}/"}
    for command in lines.replace("\\\n", " ").split("&&")[1:]:
        words = shlex.split(command)
        for old, new in places.items():
            words = [word.replace(old, new, 1) if word.startswith(old) else word for word in words]
        subprocess.run(words, check=True, timeout=120, stdin=subprocess.DEVNULL)
    with Farm({"demo": tmp_path}, login="viewer:secret") as farm:
        with pytest.raises(av.error.HTTPUnauthorizedError):
            av.open(farm.url("demo"), timeout=(20, 20))
        with av.open(farm.url("demo").replace("//", "//viewer:secret@"), timeout=(20, 20)) as container:
            video, sound = container.streams.video[0], container.streams.audio[0]
            assert (video.width, video.height, sound.rate) == (1280, 720, 16_000)
            assert next(container.decode(video)).to_ndarray(format="gray").std() > 10
