"""`cameras.toml`: what it may look like, and that everything wrong with it is said at once."""

import os
from pathlib import Path

import msgspec
import pytest

from live.read_settings import check, from_arguments, read
from live.settings import Alerts, Camera, Keep, Mqtt, Page, Rule, Schedule, Settings, Watched, Webhook
from live.sources import name_for
from live.targets import targets
from pipeline.errors import ConfigError

GOOD = """\
labels = "@words.txt"
threshold = 0.6
clip_seconds = 2
directory = "state"

[page]
port = 8711
token_file = "token"

[keep]
days = 3

[alerts.mqtt]
host = "broker"

[[alerts.webhook]]
url = "https://hooks.example/x"

[schedule]
zone = "Europe/Berlin"
active = ["Mon-Fri 08:00-18:00"]

[[camera]]
name = "door"
url_env = "DOOR_URL"
labels = ["dog barking", { label = "glass breaking", threshold = 0.7, hold_s = 10 }, "person"]
masks = [[[0, 0], [0.2, 0], [0.2, 1]]]
threshold = 0.4
schedule = {}

[camera.zones]
rule = [[0, 0], [1, 0], [1, 1]]

[camera.lines]
camera = [[0.5, 0], [0.5, 1]]

[[camera.rule]]
name = "break-in"
when = "glass breaking and not person in rule or person over camera in"

[[camera]]
name = "yard"
url = "yard.mp4"
realtime = true
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "words.txt").write_text("rain\nanimal\n  dog|hound\n  cat\n")
    (tmp_path / "yard.mp4").write_bytes(b"")
    return tmp_path


def test_a_file_is_read_with_keys_for_all_cameras(folder: Path) -> None:
    (folder / "cameras.toml").write_text(GOOD)
    always = Schedule(zone="Europe/Berlin", active=("Mon-Fri 08:00-18:00",))
    assert read(folder / "cameras.toml") == Settings(
        cameras=(
            Camera(
                name="door",
                url_env="DOOR_URL",
                labels=("dog barking", Watched(label="glass breaking", threshold=0.7, hold_s=10.0), "person"),
                masks=(((0.0, 0.0), (0.2, 0.0), (0.2, 1.0)),),
                zones={"rule": ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0))},
                lines={"camera": ((0.5, 0.0), (0.5, 1.0))},
                threshold=0.4,
                rules=(Rule(name="break-in", when="glass breaking and not person in rule or person over camera in"),),
            ),
            Camera(
                name="yard",
                url=str(folder / "yard.mp4"),
                realtime=True,
                labels=("rain", "animal > dog|hound", "animal > cat"),
                threshold=0.6,
                schedule=always,
            ),
        ),
        directory=str(folder / "state"),
        page=Page(port=8711, token_file=str(folder / "token")),
        keep=Keep(days=3.0),
        alerts=Alerts(mqtt=Mqtt(host="broker"), webhooks=(Webhook(url="https://hooks.example/x"),)),
    )


def test_labels_have_the_names_of_results(folder: Path) -> None:
    (folder / "cameras.toml").write_text(GOOD)
    assert list(targets(read(folder / "cameras.toml").cameras[1])) == ["rain", "dog", "cat"]


def test_every_wrong_key_and_type_is_named_at_once(folder: Path) -> None:
    text = """
treshold = 0.6
fps = "fast"
url = "rtsp://x"
[[camera]]
name = "door"
url = ["rtsp://me:hidden@cam"]
lables = ["dog"]
labels = ["dog", 5, {label = "x", treshold = 2}]
zones = {drive = [[0, 0], [1, 0, 3], [1, 1]]}
transport = "tpc"
[[camera]]
url = "rtsp://x"
[alerts.mqtt]
hsot = "x"
[pages]
"""
    (folder / "cameras.toml").write_text(text)
    with pytest.raises(ConfigError) as error:
        read(folder / "cameras.toml")
    lines = str(error.value).splitlines()
    assert all(line.startswith(f"{folder}/cameras.toml: ") for line in lines)
    for part in (
        "unknown field `treshold` - at `$` (did you mean 'threshold'?)",
        "Expected `float`, got `str` - at `$.fps`",
        "unknown field `url` - at `$` (it belongs under [[camera]])",
        "unknown field `lables` - at `$.cameras[0]` (did you mean 'labels'?) (camera door)",
        "at `$.cameras[0].labels[1]`",
        "unknown field `treshold` - at `$.cameras[0].labels[2]` (did you mean 'threshold'?)",
        "Expected `array` of length 2, got 3 - at `$.cameras[0].zones",
        "Invalid enum value 'tpc' - at `$.cameras[0].transport` (it is 'tpc'; expected auto, tcp, udp)",
        "missing required field `name` - at `$.cameras[1]`",
        "missing required field `host` - at `$.alerts.mqtt`",
        "unknown field `hsot` - at `$.alerts.mqtt` (did you mean 'host'?)",
        "unknown field `pages` - at `$` (did you mean 'page'?)",
    ):
        assert any(part in line for line in lines), part
    assert "hidden" not in str(error.value)


def test_every_wrong_value_is_named_at_once_and_says_what_to_do(folder: Path) -> None:
    text = """
[page]
host = "0.0.0.0"
[alerts.mqtt]
host = "broker"
topic = "a/#"
kinds = ["labels"]
[[alerts.webhook]]
url = "ftp://x"
[[camera]]
name = "../door"
url = "rtsp://me:hid/den@cam/1"
labels = ["dog", {label = "cat", threshold = 2}, "dog"]
zones = {drive = [[0, 0], [1, 0], [1, 1.5]], "a b" = [[0, 0], [1, 1], [0.5, 0.5]]}
masks = [[[0, 0], [1, 1]]]
schedule = {zone = "Europe/Berln", active = ["Mon 8-9"]}
clip_seconds = 0.1
modalities = []
[[camera.rule]]
name = "bark"
when = "dgo and cat"
[[camera.rule]]
name = "cat"
when = "cat for 3 s"
[[camera]]
name = "Yard"
labels = "@none.txt"
url = "rtsp://x"
url_env = "X"
realtime = true
[[camera]]
name = "yard"
url = "htttp://x"
labels = ["dog"]
[[camera]]
name = "shed"
url = "words.txt"
labels = ["dog"]
[[camera]]
name = "gate"
url = "/nowhere/film.mp4"
"""
    (folder / "cameras.toml").write_text(text)
    with pytest.raises(ConfigError) as error:
        read(folder / "cameras.toml")
    said = str(error.value)
    for part in (
        "camera '../door': expected a name of at most 64 letters",
        "camera 'yard': another camera has nearly the same name as 'Yard'",
        "write these signs percent-encoded",
        "label 'cat': threshold is 2.0; expected from 0 to 1",
        "label 'dog' is there twice",
        "zones.drive has a corner outside the picture",
        "zones has 'a b'",
        "zones.a b has no area",
        "masks[0] has 2 corners; expected from 3",
        "schedule.zone is 'Europe/Berln' (did you mean 'Europe/Berlin'?)",
        "schedule.active has 'Mon 8-9'",
        "clip_seconds is 0.1; expected from 0.5 to 600",
        "modalities is empty",
        "rule 'bark': when: 'dgo' is not a label of the camera (did you mean 'dog'?)\n    dgo and cat\n    ^~~",
        "rule 'cat' has the name of a label",
        "camera Yard: labels @none.txt: No such file or directory",
        "camera Yard: realtime is for files",
        "camera Yard: url and url_env are both given",
        "camera yard: url begins with htttp:// (did you mean 'http'?)",
        "camera shed: url is a file; add realtime = true",
        "camera gate: url is neither a URL",
        "page.host is '0.0.0.0', which others can reach; add token_env or token_file",
        "alerts.mqtt.topic is 'a/#'",
        "alerts.mqtt.kinds has 'labels' (did you mean 'label'?)",
        "alerts.webhooks[0]: url begins with another scheme",
    ):
        assert part in said, part
    assert "den@cam" not in said


def test_an_unknown_key_hides_no_other_mistake(folder: Path) -> None:
    text = """
treshold = 0.6
labels = ["dog", {label = "cat", treshold = 0.5}]
schedule = {zone = "Europe/Berln", activ = ["daily 00:00-24:00"]}
[pages]
[page]
port = 70000
[[camera]]
name = "door"
url = "rtsp://h:99999/1"
colour = "red"
zones = {drive = [[0, 0], [1, 0], [1, 1.5]]}
[[camera.rule]]
name = "bark"
when = "dgo"
mins = 3
"""
    (folder / "cameras.toml").write_text(text)
    with pytest.raises(ConfigError) as error:
        read(folder / "cameras.toml")
    said = str(error.value)
    for key in ("treshold", "activ", "pages", "colour", "mins"):
        assert f"unknown field `{key}`" in said
    assert said.count("unknown field `activ`") == 1, "what holds for all cameras is told once"
    for part in (
        "page.port is 70000",
        "camera door: url has a wrong port",
        "camera door: zones.drive has a corner outside",
        "camera door: schedule.zone is 'Europe/Berln'",
        "camera door: rule 'bark': when: 'dgo' is not a label",
    ):
        assert part in said, part
    assert all(line.startswith((f"{folder}/cameras.toml: ", "    ")) for line in said.splitlines())


def test_a_file_that_cannot_be_read_is_an_error(folder: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        read(folder / "none.toml")
    (folder / "bad.toml").write_text("labels = [")
    with pytest.raises(ConfigError, match="is not valid TOML"):
        read(folder / "bad.toml")
    (folder / "empty.toml").write_text("labels = ['dog']")
    with pytest.raises(ConfigError, match="no camera is there"):
        read(folder / "empty.toml")


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        ("[camera]\nname = 'door'", ["[camera] is one table; write [[camera]]"]),
        ("[cameras]\nname = 'door'", ["[cameras] is one table; write [[camera]]"]),
        ("[[camera]]\nname = 'door'\n[[cameras]]\nname = 'yard'", ["[[camera]] and [[cameras]] are both there; write"]),
        (
            "[[camera]]\nname = 'door'\n[camera.rule]\nname = 'x'\n[alerts.webhook]\nurl = 'http://x'",
            ["[camera.rule] is one table; write [[camera.rule]]", "[alerts.webhook] is one table; write"],
        ),
        (
            "[[page]]\nport = 1\n[[alerts.mqtt]]\nhost = 'x'\n[[camera]]\nname = 'door'\n[[camera.schedule]]\n"
            "zone = 'UTC'",
            ["[[page]] is a list of tables; write [page]", "write [alerts.mqtt]", "write [camera.schedule]"],
        ),
        ("camera = 'rtsp://x'", ["camera is one value; write [[camera]], and name and url below it"]),
        ("[[camera]]\nname = 'door'\nrules = 3", ["camera.rules is one value; write [[camera.rule]], and its keys"]),
        ("[[camera]]\nname = 'door'\nzones.rule = {x = 1}\nzones.cameras = {}", ["Expected `array`"]),
    ],
)
def test_wrong_brackets_are_said_with_the_right_ones(text: str, problems: list[str], tmp_path: Path) -> None:
    (tmp_path / "cameras.toml").write_text(text)
    with pytest.raises(ConfigError) as error:
        read(tmp_path / "cameras.toml")
    said = str(error.value)
    assert all(problem in said for problem in problems), said
    assert len(said.splitlines()) >= len(problems)


def test_a_file_that_would_hang_or_nests_without_end_is_refused(folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    with pytest.raises(ConfigError, match=r"pipe: cannot be read \(it is a named pipe, not a regular file\)"):
        read(folder / "pipe")
    with pytest.raises(ConfigError, match=r"--labels @.*pipe: it is a named pipe, not a regular file"):
        from_arguments(["rtsp://x"], f"@{folder}/pipe")
    (folder / "deep.toml").write_text("labels = " + "[" * 5_000 + "]" * 5_000)
    with pytest.raises(ConfigError, match=r"deep\.toml: is not valid TOML: lists and tables are nested in more than"):
        read(folder / "deep.toml")


def test_arguments_make_cameras_with_names_without_secrets(folder: Path) -> None:
    sources = ["rtsp://me:hidden@cam:554/live/1?token=x", "rtsp://cam/live/1", "/dev/video0", "0", f"{folder}/yard.mp4"]
    settings = from_arguments(sources, f"@{folder}/words.txt", realtime=True, threshold=0.7)
    assert [camera.name for camera in settings.cameras] == ["cam-live-1", "cam-live-1-2", "video0", "video0-2", "yard"]
    assert settings.cameras[0].labels == ("rain", "animal > dog|hound", "animal > cat")
    assert {camera.threshold for camera in settings.cameras} == {0.7}
    assert [camera.realtime for camera in settings.cameras] == [False] * 4 + [True]
    assert from_arguments(["rtsp://x"], "dog, cat").cameras[0].labels == ("dog", "cat")
    assert from_arguments(["rtsp://x"], ["dog"]).cameras[0].labels == ("dog",)


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("http://h/stream.m3u8", "h-stream.m3u8"),
        ("rtsp://u:p@[fe80::1]:554/x", "fe80-1-x"),
        ("rtsp://u:p/q@cam/x", "cam-x"),
        ("udp://@239.0.0.1:1234", "239.0.0.1"),
        ("rtsp://", "camera"),
        ("../..", "camera"),
        ("rtsp://cam/" + "a" * 100, "cam-" + "a" * 36),
    ],
)
def test_a_name_is_made_of_host_and_path(url: str, name: str) -> None:
    assert name_for(url, []) == name
    assert name_for(url, [name.upper()]) == f"{name}-2"


def test_wrong_arguments_are_named_at_once() -> None:
    with pytest.raises(ConfigError) as error:
        from_arguments(["gopher://x", "/nowhere"], "dog", fps=1000.0)
    assert [line.split(":")[0] for line in str(error.value).splitlines()] == ["camera x"] * 2 + ["camera nowhere"] * 2


def test_cameras_of_a_file_may_get_their_labels_elsewhere_but_not_go_without(folder: Path) -> None:
    (folder / "cameras.toml").write_text(
        '[[camera]]\nname = "door"\nurl = "0"\n[[camera.rule]]\nname = "r"\nwhen = "dog and cat"\n'
    )
    settings = read(folder / "cameras.toml")
    assert check(settings) == ['camera door: labels is empty; expected what to watch for, such as ["dog barking"]']
    door = msgspec.structs.replace(settings.cameras[0], labels=("dog",))
    (problem,) = check(msgspec.structs.replace(settings, cameras=(door,)))
    assert "'cat' is not a label" in problem


@pytest.mark.parametrize("port", ["99999", "0", "65536", "x", "-1", "٣", "9" * 5_000], ids=lambda port: port[:6])
def test_a_port_that_is_none_is_a_problem(port: str) -> None:
    for place in (f"h:{port}/1", f"me:word@h:{port}", f"[fe80::1]:{port}/1?a=b:9"):
        (problem,) = check(Settings(cameras=(Camera(name="door", url=f"rtsp://{place}", labels=("dog",)),)))
        assert problem.startswith("camera door: url has a wrong port after the host; expected from 1 to 65535")
        assert "word" not in problem


@pytest.mark.parametrize(
    "place",
    ["h", "h/1:99999", "h:/1", "h:1", "h:65535/1", "[fe80::1]/1", "[::1]:554/1", "me:99999@h/1", "@:1234", "@h:9?a=b"],
)
def test_a_url_needs_no_port(place: str) -> None:
    assert check(Settings(cameras=(Camera(name="door", url=f"rtsp://{place}", labels=("dog",)),))) == []


def test_good_settings_have_no_problems() -> None:
    camera = Camera(name="door", url="0", labels=("dog",), rules=(Rule(name="r", when="dog for 3 s"),))
    assert check(Settings(cameras=(camera,))) == []
    assert check(Settings()) == []
