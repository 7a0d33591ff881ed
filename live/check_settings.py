"""Everything that is wrong with settings, found before anything starts or changes."""

import re
from collections.abc import Iterator, Sequence

from live import schedule
from live.condition_text import parse
from live.settings import Alerts, Camera, Mqtt, Page, Rule, Settings, Watched, Webhook
from live.sources import scheme_of, url_problems
from live.targets import label_texts, targets, things
from pipeline.config import did_you_mean
from pipeline.errors import ConfigError
from pipeline.places import NAME, places_problems, zone_problem
from stages.words.word import clean_labels

KINDS = ("label", "rule", "health", "connection", "test")
LOOPBACK = ("127.0.0.1", "localhost", "::1")
DAY_S = 86_400.0
RANGES: tuple[tuple[str, float, float], ...] = (
    ("threshold", 0.0, 1.0),
    ("hold_s", 0.0, DAY_S),
    ("false_alarms_per_day", 0.01, 10_000.0),
    ("clip_seconds", 0.5, 600.0),
    ("fps", 0.1, 120.0),
    ("stall_s", 1.0, 3_600.0),
    ("pre_s", 0.0, 60.0),
    ("post_s", 0.0, 60.0),
    ("longest_s", 1.0, 3_600.0),
    ("min_s", 0.0, DAY_S),
    ("timeout_s", 0.1, 300.0),
    ("days", 0.01, 36_500.0),
    ("gigabytes", 0.001, 1e6),
    ("results_megabytes", 0.01, 1e6),
)
"""Key, smallest and largest allowed value."""


def check(settings: Settings, complete: bool = True) -> list[str]:
    """Every problem of the settings, a sentence each that says what to do; empty if there is none.

    complete: every camera has labels. If not, those without get theirs elsewhere, and rules over them are not checked.
    """
    found = list(_names(settings.cameras))
    for camera in settings.cameras:
        found += [f"camera {camera.name}: {problem}" for problem in camera_problems(camera)]
        if complete and not camera.labels:
            found.append(f'camera {camera.name}: labels is empty; expected what to watch for, such as ["dog barking"]')
    found += [f"keep.{problem}" for problem in _out_of_range(settings.keep)]
    found += [f"page.{problem}" for problem in _page(settings.page)]
    found += _alerts(settings.alerts)
    return list(dict.fromkeys(found))


def camera_problems(camera: Camera) -> list[str]:
    """What is wrong with one camera, a sentence each that begins with the key."""
    found = [*_place(camera), *_out_of_range(camera), *_labels(camera)]
    if not camera.modalities:
        found.append("modalities is empty; expected one or more of image, motion, audio")
    found += places_problems(camera.zones, camera.lines)
    for index, mask in enumerate(camera.masks):
        if problem := zone_problem(mask):
            found.append(f"masks[{index}] {problem}")
    found += [f"schedule.{problem}" for problem in schedule.problems(camera.schedule)]
    found += _rules(camera)
    return found


def _names(cameras: Sequence[Camera]) -> Iterator[str]:
    seen: dict[str, str] = {}
    for camera in cameras:
        if not NAME.fullmatch(camera.name):
            yield (
                f"camera {camera.name!r}: expected a name of at most 64 letters, digits, -, _ and ., "
                "the first a letter or digit, such as front-door"
            )
        elif other := seen.get(camera.name.casefold()):
            same = "the same name" if other == camera.name else f"nearly the same name as {other!r}"
            yield f"camera {camera.name!r}: another camera has {same}; give each its own"
        seen[camera.name.casefold()] = camera.name


def _place(camera: Camera) -> Iterator[str]:
    given = [key for key in ("url", "url_env", "url_file") if getattr(camera, key)]
    if not given:
        yield 'url is missing; expected where the camera is, such as url = "rtsp://192.168.1.20/stream"'
    if len(given) > 1:
        yield f"{' and '.join(given)} are both given; expected one of them"
    if camera.password_env and camera.password_file:
        yield "password_env and password_file are both given; expected one of them"
    if (camera.password_env or camera.password_file) and not camera.user and "@" not in camera.url:
        yield "a password is given, but no user; add user"
    if camera.url:
        yield from url_problems(camera)


def _labels(camera: Camera) -> Iterator[str]:
    if camera.find:
        try:
            clean_labels(camera.find, "find")
        except ConfigError as error:
            yield str(error)
    if not camera.labels:
        return
    try:
        clean_labels(label_texts(camera.labels), "labels")
    except ConfigError as error:
        yield str(error)
    names: set[str] = set()
    for each in camera.labels:
        label = Watched(label=each) if isinstance(each, str) else each
        yield from (f"label {label.label!r}: {problem}" for problem in _out_of_range(label))
        for name in targets_of(label):
            if name in names:
                yield f"label {name!r} is there twice; remove one"
            names.add(name)


def targets_of(label: Watched) -> list[str]:
    """The name of a label in results; empty if it has none."""
    return list(targets(Camera(name="", labels=(label,))))


def _rules(camera: Camera) -> Iterator[str]:
    names, labels = set[str](), targets(camera)
    for rule in camera.rules:
        yield from (f"rule {rule.name!r}: {problem}" for problem in _rule(rule, camera))
        if rule.name in names:
            yield f"rule {rule.name!r} is there twice; give each its own name"
        if rule.name in labels:
            yield f"rule {rule.name!r} has the name of a label; give it its own"
        names.add(rule.name)


def _rule(rule: Rule, camera: Camera) -> Iterator[str]:
    if not rule.name.strip() or len(rule.name) > 100 or not rule.name.isprintable():
        yield "expected a name of at most 100 characters"
    try:
        if camera.labels:
            parse(rule.when, targets(camera), camera.zones, camera.lines, things(camera))
    except ConfigError as error:
        yield f"when: {error}"
    yield from _out_of_range(rule)


def _out_of_range(part: object) -> Iterator[str]:
    for key, low, high in RANGES:
        value = getattr(part, key, None)
        if value is not None and not low <= value <= high:  # True for a NaN
            yield f"{key} is {value}; expected from {low:g} to {high:g}"


def _page(page: Page) -> Iterator[str]:
    if not -1 <= page.port <= 65_535:
        yield f"port is {page.port}; expected from 1 to 65535, 0 for any free one, or -1 for no page"
    if page.token_env and page.token_file:
        yield "token_env and token_file are both given; expected one of them"
    if page.port != -1 and page.host not in LOOPBACK and not (page.token_env or page.token_file):
        yield (
            f"host is {page.host!r}, which others can reach; add token_env or token_file (--token-file), "
            'or use host = "127.0.0.1"'
        )


def _alerts(alerts: Alerts) -> Iterator[str]:
    for index, webhook in enumerate(alerts.webhooks):
        yield from (f"alerts.webhooks[{index}]: {problem}" for problem in _webhook(webhook))
    if alerts.mqtt:
        yield from (f"alerts.mqtt.{problem}" for problem in _mqtt(alerts.mqtt))


def _webhook(webhook: Webhook) -> Iterator[str]:
    if bool(webhook.url) == bool(webhook.url_env):
        yield "expected either url or url_env"
    if webhook.url and scheme_of(webhook.url) not in ("http", "https"):
        yield "url begins with another scheme; expected http:// or https://"
    if webhook.secret_env and webhook.secret_file:
        yield "secret_env and secret_file are both given; expected one of them"
    yield from _kinds(webhook.kinds)
    yield from _out_of_range(webhook)


def _mqtt(mqtt: Mqtt) -> Iterator[str]:
    if not mqtt.host.strip() or "/" in mqtt.host:
        yield f"host is {mqtt.host!r}; expected the name or address of a broker"
    if not 1 <= mqtt.port <= 65_535:
        yield f"port is {mqtt.port}; expected from 1 to 65535"
    if mqtt.password_env and mqtt.password_file:
        yield "password_env and password_file are both given; expected one of them"
    if (mqtt.password_env or mqtt.password_file) and not mqtt.user:
        yield "user is missing, but a password is given; add user"
    for key in ("topic", "discovery"):
        text = getattr(mqtt, key)
        if re.search(r"[+#\x00-\x1f]|^/|/$|//", text) or (key == "topic" and not text):
            yield f"{key} is {text!r}; expected levels of a topic such as home/percept, without + and #"
    yield from _kinds(mqtt.kinds)


def _kinds(kinds: Sequence[str]) -> Iterator[str]:
    for kind in kinds:
        if kind not in KINDS:
            yield f"kinds has {kind!r}{did_you_mean(kind, KINDS)}; expected some of {', '.join(KINDS)}"
