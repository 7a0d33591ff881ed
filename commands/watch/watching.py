"""Watches: settings from the command line, the plan, and the supervisor with everything it needs."""

import argparse
import logging
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from commands.console import Console
from commands.main import installed_version
from commands.options import usable_config
from commands.watch.options import make_parser
from commands.watch.screen import watch_fields, watch_line
from live.folder import StateFolder
from live.plan import watch_config
from live.read_settings import check, from_arguments, read, read_shared
from live.secrets import Masker, url_of
from live.secrets import problems as secrets_missing
from live.settings import Camera, Page, Settings
from live.targets import read_labels
from pipeline.build import WATCH_ROLES, WATCH_SINK, make_plan
from pipeline.config import Config
from pipeline.errors import ConfigError, Problems
from pipeline.logs import LOGGER, log
from pipeline.plan import Plan
from pipeline.status import Account, OutputSpec
from stages.text.phrases import split_labels
from stages.words.word import default_labels, parse_labels

SETTINGS_SUFFIX = ".toml"


def main(arguments: list[str]) -> int:
    options = make_parser().parse_args(arguments)
    with Console.of(options, rows=False, is_shared=options.format == "jsonl" and sys.stdout.isatty()) as console:
        return _main(options, console)


class Request(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The input that the Python API sends on stdin: a command line would show the passwords in it to everybody."""

    sources: list[str]
    labels: list[str] | None = None


def _main(options: argparse.Namespace, console: Console) -> int:
    if options.request:
        request = msgspec.json.decode(sys.stdin.buffer.read(), type=Request)
        options.sources = request.sources
        if request.labels is not None:
            setattr(options, "labels.words", request.labels)
    if options.clean:
        return _clean(options, console)
    problems = Problems()
    settings, original = Settings(), None
    with problems.collected():
        settings, original = read_given(options)
    config = usable_config(options, problems, default="watch")
    with problems.collected():
        settings = with_labels(settings, config)
        for problem in [*check(settings), *secrets_missing(settings)]:
            problems.add(ConfigError(problem))
    problems.raise_all()
    masker = hide_secrets(settings)
    if options.test_alert:
        return _test_alert(settings, console)
    plan = watch_plan(config, settings)
    return _watch(options, console, plan, settings, original, masker)


def hide_secrets(settings: Settings) -> Masker:
    """Mask the secrets of the settings in every line that is logged from now on, also those of dead processes."""
    masker = Masker()
    masker.add_settings(settings)
    for handler in LOGGER.handlers:
        handler.addFilter(masker)
    return masker


def read_given(options: argparse.Namespace) -> tuple[Settings, Path | None]:
    """The settings, and the file that they are from, if they are from one.

    Raises: ConfigError
    """
    files = [source for source in options.sources if source.endswith(SETTINGS_SUFFIX)]
    others = [source for source in options.sources if source not in files]
    if not options.sources:
        raise ConfigError(
            "percept watch: no camera given; expected a URL, a device or a file that describes cameras, such as: "
            "percept watch rtsp://cam/1 --labels 'dog barking, person'"
        )
    if files and (others or len(files) > 1):
        raise ConfigError(f"{files[0]}: expected one file that describes cameras, and nothing beside it")
    original = Path(files[0]) if files else None
    if original is not None:
        settings = _read_file(original, options)
    else:
        words = getattr(options, "labels.words") or default_labels()
        settings = from_arguments(others, words, **shared_keys(options))
    page = with_page_options(settings.page, options)
    return msgspec.structs.replace(settings, page=page, directory=options.state or settings.directory), original


def _read_file(path: Path, options: argparse.Namespace) -> Settings:
    """The settings in a file. Raises: ConfigError: also for options that say what such a file says."""
    problems = Problems()
    settings = Settings()
    with problems.collected():
        settings = read(path)
    for problem in _without_effect(options, settings, path):
        problems.add(ConfigError(problem))
    problems.raise_all()
    return settings


def _without_effect(options: argparse.Namespace, settings: Settings, path: Path) -> Iterator[str]:
    """A sentence for each option that would be ignored, since cameras are in a file."""
    for key in ("realtime", "loop"):
        if getattr(options, key):
            yield f"--{key}: cameras are in a file; write {key} = true into {path}, under each [[camera]] that needs it"
    everywhere = f"into {path}, above all cameras or under one [[camera]]"
    if options.record:
        yield f"--record: cameras are in a file; write record = true {everywhere}"
    threshold = getattr(options, "events.enter")
    if threshold is not None:
        yield f"--min-probability: cameras are in a file; write threshold = {threshold} {everywhere}"
    if getattr(options, "labels.words") and settings.cameras and all(camera.labels for camera in settings.cameras):
        yield f"--labels: all cameras have labels of their own; change labels in {path}"


def shared_keys(options: argparse.Namespace) -> dict[str, Any]:
    """The keys that cameras on the command line have in common."""
    keys = {"realtime": options.realtime, "loop": options.loop, "record": options.record}
    threshold = getattr(options, "events.enter")
    return keys if threshold is None else keys | {"threshold": threshold}


def shared_camera(options: argparse.Namespace, original: Path | None) -> Camera:
    """What a camera has that is added while the watch runs. original: as `read_given` tells it."""
    return read_shared(original) if original else Camera(name="", **shared_keys(options))


def with_page_options(page: Page, options: argparse.Namespace) -> Page:
    changes = {key: value for key in ("port", "host") if (value := getattr(options, key)) is not None}
    if options.token_file:
        changes |= {"token_file": str(Path(options.token_file).expanduser().absolute()), "token_env": ""}
    return msgspec.structs.replace(page, **changes)


def with_labels(settings: Settings, config: Config) -> Settings:
    """Cameras without labels get those of --labels, or the default vocabulary; likewise with --clip-seconds, --fps,
    --find, --zone and --line.
    """
    words = config.labels.words
    labels = read_labels(words, Path(), "--labels") if words else default_labels()
    find = tuple(read_labels(config.follow.find, Path(), "--find")) if config.follow.find else ()
    default = Camera(name="default")
    usual = {"clip_seconds": config.clips.seconds, "fps": config.clips.fps}

    def filled(camera: Camera) -> Camera:
        missing = {key: value for key, value in usual.items() if getattr(camera, key) == getattr(default, key)}
        zones, lines = camera.zones or config.follow.zones, camera.lines or config.follow.lines
        words = {"labels": camera.labels or tuple(labels), "find": camera.find or find}
        return msgspec.structs.replace(camera, zones=zones, lines=lines, **words, **missing)

    return msgspec.structs.replace(settings, cameras=tuple(map(filled, settings.cameras)))


def words_of(words: tuple[str, ...]) -> tuple[str, ...]:
    labels, phrases = split_labels(parse_labels(list(words)))
    if phrases:
        raise ConfigError(f"labels: {', '.join(phrases)} is read in the pictures, which a watch does not do yet")
    return labels


def watch_plan(config: Config, settings: Settings) -> Plan:
    """The plan, without outputs and directory. Raises: ConfigError, ModelError."""
    plan = make_plan(watch_config(config, settings, words_of), max(1, len(settings.cameras)))
    return msgspec.structs.replace(plan, roles=WATCH_ROLES)


def _watch(
    options: argparse.Namespace,
    console: Console,
    plan: Plan,
    settings: Settings,
    original: Path | None,
    masker: Masker,
) -> int:
    from live.watch import WatchSupervisor
    from pipeline.run import place, private_directory, signals_of

    folder = StateFolder(settings.directory)
    with folder.opened(), private_directory() as directory:
        settings = msgspec.structs.replace(settings, directory=str(folder.path))
        zero_ns = time.monotonic_ns()
        plan = place(plan, directory, outputs(options, settings, folder, directory, zero_ns))
        supervisor = WatchSupervisor(
            plan,
            settings,
            folder,
            zero_ns=zero_ns,
            url_of=url_told(masker),
            check=check,
            save=saver(original, settings),
            test_alert=alerts_sent,
            shared=shared_camera(options, original),
            on_watch=lambda status: console.line(watch_line(status), "watching", watch_fields(status)),
            on_notice=console.notice,
            on_complete=lambda account: _report(console, account, folder),
        )
        with signals_of(supervisor):
            account = supervisor.run()
    return account.exit_code


def url_told(masker: Masker) -> Callable[[Camera], str]:
    """The URL of a camera with its secrets, which are masked from then on: cameras may be added while a watch runs."""

    def url(camera: Camera) -> str:
        found = url_of(camera)
        masker.add_url(found)
        return found

    return url


def outputs(
    options: argparse.Namespace, settings: Settings, folder: StateFolder, run: str, zero_ns: int
) -> list[OutputSpec]:
    kept = {
        "settings": msgspec.to_builtins(settings),
        "directory": str(folder.path),
        "run_directory": run,
        "run": Path(run).name,
        "zero_ns": zero_ns,
        "percept": installed_version(),
    }
    specs = [OutputSpec(kind="watch", sink=WATCH_SINK, path=str(folder.path), options=kept)]
    if options.format == "jsonl":
        specs.append(OutputSpec(kind="jsonl", path="-"))
    return specs


def saver(path: Path | None, original: Settings) -> Callable[[Settings], dict[str, Any]]:
    """Writes changed settings back. original: as they were at the start."""

    written = [original]

    def save(settings: Settings) -> dict[str, Any]:
        from live.write_settings import write

        if path is None:
            raise ConfigError("the cameras are from a command line; there is no file of settings to write to")
        notes = write(path, settings, written[-1])
        written[-1] = settings
        return {"path": str(path), "notes": notes}

    return save


def _report(console: Console, account: Account, folder: StateFolder) -> None:
    console.clear()
    if account.exit_code:
        for message in account.messages:
            log(logging.ERROR, message)
    console.say(
        f"watched {account.sources} camera{'s' * (account.sources != 1)}: {account.clips_in} clips, "
        f"{account.results} results, {account.errors} errors, {account.drops} dropped; kept in {folder.path}"
    )


def _clean(options: argparse.Namespace, console: Console) -> int:
    from commands.columns import size_text

    files = [source for source in options.sources if source.endswith(SETTINGS_SUFFIX)]
    if len(files) > 1 or files != options.sources:
        raise ConfigError(
            "--clean: a source is given that has no settings; expected --state FOLDER, one file that describes "
            "cameras, or nothing for the usual folder. Nothing is removed."
        )
    settings = read(files[0]) if files else Settings()
    folder = StateFolder(options.state or settings.directory)
    freed = folder.clean()
    console.say(f"{folder.path}: {size_text(freed)} removed")
    return 0


def alerts_sent(settings: Settings) -> list[dict[str, Any]]:
    """One alert of each kind, sent now."""
    from live.alerts import send_test_alert

    sent = send_test_alert(settings, installed_version())
    return [{"target": target, "ok": is_sent, "text": text} for target, is_sent, text in sent]


def _test_alert(settings: Settings, console: Console) -> int:
    from live.alerts import send_test_alert

    sent = send_test_alert(settings, installed_version())
    for target, is_sent, text in sent:
        (console.say if is_sent else console.warn)(f"{target}: {text}")
    if not sent:
        raise ConfigError("there is nothing to alert; expected [alerts.mqtt] or [[alerts.webhook]] in the settings")
    return 0 if all(is_sent for _, is_sent, _ in sent) else 1
