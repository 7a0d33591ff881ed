"""`percept watch ctl`: speak to the watch that runs, through its socket in the state folder."""

import argparse
import json
from pathlib import Path
from typing import Any

from commands.console import Console, add_console_options
from commands.options import Parser
from live.folder import StateFolder
from live.page.ctl import Control
from pipeline.errors import ConfigError
from pipeline.small_file import parse_toml

EXAMPLES = """examples:
  percept watch ctl status
  percept watch ctl labels door "person, dog barking"
  percept watch ctl find door "person, red car"
  percept watch ctl change door threshold=0.6 hold_s=10
  percept watch ctl change door 'lines={gate=[[0.5,0],[0.5,1]]}'
  percept watch ctl preview door "glass breaking"
  percept watch ctl add yard rtsp://cam/2
  percept watch ctl remove yard
  percept watch ctl events --camera door
  percept watch ctl save"""
ACTIONS = {
    "status": "cameras, queues and processes",
    "settings": "what is watched, without secrets",
    "labels": "CAMERA WORDS: look for other words",
    "find": "CAMERA WORDS: follow these things alone; all again: change CAMERA find=[]",
    "change": "CAMERA KEY=VALUE...: change keys of a camera, as in cameras.toml",
    "preview": "CAMERA WORDS: what the last minute would have said to these words",
    "add": "CAMERA URL [KEY=VALUE...]: watch one more camera",
    "remove": "CAMERA: watch it no more",
    "events": "the newest events",
    "save": "write the changes back to cameras.toml",
    "test-alert": "send one alert of each kind",
}


def make_parser() -> Parser:
    about = "\n".join(f"  {name:10} {text}" for name, text in ACTIONS.items())
    parser = Parser(
        prog="percept watch ctl",
        description=f"Speak to the watch that runs. A change takes effect with the next clip.\n\n{about}",
        epilog=EXAMPLES,
    )
    parser.add_argument("action", choices=tuple(ACTIONS), metavar="ACTION", help="one of the above")
    parser.add_argument("arguments", nargs="*", metavar="ARGUMENT", help="what the action needs")
    parser.add_argument("--state", metavar="FOLDER", default="", help="state folder of the watch")
    parser.add_argument("--camera", metavar="NAME", help="events of this camera only")
    parser.add_argument("--limit", type=int, default=20, metavar="N", help="number of events (default: 20)")
    parser.add_argument("--json", action="store_true", help="print the answer as JSON")
    add_console_options(parser)
    return parser


def main(arguments: list[str]) -> int:
    options = make_parser().parse_intermixed_args(arguments)
    with Console.of(options):
        answer = ask(options)
    if options.json or options.action == "settings":
        print(json.dumps(answer, indent=2, ensure_ascii=False))
    else:
        print("\n".join(in_words(options.action, answer)))
    return 0


def ask(options: argparse.Namespace) -> dict[str, Any]:
    """Raises: ConfigError, PerceptError: the arguments are wrong, no watch runs, or it says no."""
    _refuse_empty(options)
    watch = Control(StateFolder(options.state).path)
    answer: dict[str, Any]
    match options.action, options.arguments:
        case "status", []:
            answer = watch.status()
        case "settings", []:
            answer = watch.settings()
        case "labels", [camera, words]:
            answer = watch.change(camera, {"labels": _words(words)})
        case "find", [camera, words]:
            answer = watch.change(camera, {"find": _words(words, "find")})
        case "change", [camera, _, *_]:
            answer = watch.change(camera, _pairs(options.arguments[1:]))
        case "preview", [camera, words]:
            answer = watch.preview(camera, _words(words))
        case "add", [camera, url, *pairs]:
            answer = watch.add({"name": camera, "url": url, **_pairs(pairs)})
        case "remove", [camera]:
            answer = watch.remove(camera)
        case "events", []:
            query = {"limit": options.limit} | ({"camera": options.camera} if options.camera else {})
            answer = watch.events(**query)
        case "save", []:
            answer = watch.save()
        case "test-alert", []:
            answer = watch.test_alert()
        case _:
            raise ConfigError(f"{options.action}: expected {ACTIONS[options.action]}. See: percept watch ctl --help")
    return answer


def _refuse_empty(options: argparse.Namespace) -> None:
    """Raises: ConfigError: an argument is there but empty, as of a variable of the shell that is not set."""
    given = {"--camera": options.camera, **{f"argument {at}": text for at, text in enumerate(options.arguments, 1)}}
    for name, text in given.items():
        if text is not None and not text.strip():
            raise ConfigError(
                f"{options.action}: {name} is empty; expected {ACTIONS[options.action]}. "
                "The names of cameras are shown by: percept watch ctl status"
            )


def _words(text: str, where: str = "labels") -> list[str]:
    from live.targets import read_labels

    return read_labels(text, Path(), where)


def _pairs(texts: list[str]) -> dict[str, Any]:
    """`threshold=0.6` as in TOML; what is no TOML value is a text."""
    pairs = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise ConfigError(f"{text!r}: expected KEY=VALUE, such as threshold=0.6")
        try:
            pairs[key] = parse_toml(f"value = {value}")["value"]
        except ValueError:
            pairs[key] = value
    return pairs


def in_words(action: str, answer: dict[str, Any]) -> list[str]:
    """The answer for a person."""
    if action == "status":
        return [_camera_line(camera) for camera in answer.get("status", answer)["cameras"]] or ["no cameras"]
    if action == "events":
        return [_event_line(event) for event in answer["events"]] or ["no events yet"]
    if action == "preview":
        return [_clip_line(clip) for clip in answer["clips"]] or ["no clips yet"]
    if action == "save":
        return [f"written to {answer['path']}", *answer.get("notes", [])]
    if action == "test-alert":
        sent = [f"{each['target']}: {each['text']}" for each in answer.get("sent", [])]
        return sent or ["there is nothing to alert; expected [alerts.mqtt] or [[alerts.webhook]] in the settings"]
    versions = ", ".join(f"{name} {version}" for name, version in answer.get("labels_versions", {}).items())
    return [f"done: version {answer.get('version', '?')}" + (f"; labels of {versions}" if versions else "")]


def _camera_line(camera: dict[str, Any]) -> str:
    drops = sum(camera["drops"].values())
    parts = [
        f"{camera['name']}: {camera['connection']}" + (f" ({camera['text']})" if camera["text"] else ""),
        f"{camera['clips']} clips",
        f"{camera['reused']} reused" if camera["reused"] else "",
        f"{drops} dropped" if drops else "",
        f"{camera['errors']} failed" if camera["errors"] else "",
        f"{camera['age_s']['p50']:.1f} s old" if camera["age_s"]["p50"] is not None else "",
        f"{camera['reconnects']} reconnects" if camera["reconnects"] else "",
        *(zone_text(name, zone) for name, zone in camera.get("zones", {}).items()),
        *(f"{name}: {line['in']} in, {line['out']} out" for name, line in camera.get("lines", {}).items()),
    ]
    return " · ".join(filter(None, parts))


def zone_text(name: str, zone: dict[str, Any]) -> str:
    """`drive: 12 visits, 8 s on average, 2 in it now`"""
    visits = f"{zone['visits']} visit{'s' * (zone['visits'] != 1)}"
    average = f", {zone['mean_s']:.0f} s on average" if zone["visits"] else ""
    return f"{name}: {visits}{average}" + (f", {zone['inside']} in it now" if zone["inside"] else "")


def _event_line(event: dict[str, Any]) -> str:
    length = f" for {event['duration_s']:.0f} s" if event.get("duration_s") else ""
    going_on = " (goes on)" if event["state"] == "open" else ""
    peak = f" {event['peak']:.0%}" if event.get("peak") else ""
    return f"{event['start']}  {event['camera']}: {event['name']}{peak}{length}{going_on}"


def _clip_line(clip: dict[str, Any]) -> str:
    labels = ", ".join(f"{each['label']} {each['probability']:.0%}" for each in clip["labels"])
    return f"{clip['start_s']:.0f} s: {labels or 'nothing'}"
