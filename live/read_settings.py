"""Reads `cameras.toml`, and makes the same settings of the arguments of a command.

labels = "@words.txt"            # like any key of a camera: for all cameras that have none of their own

[[camera]]
name = "door"
url_env = "DOOR_URL"
labels = ["dog barking", {label = "glass breaking", threshold = 0.7, hold_s = 10}]

[[camera.rule]]
name = "break-in"
when = "glass breaking and not dog barking"
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from live.check_settings import check as check
from live.settings import Camera, Settings
from live.sources import is_file, name_for, scheme_of
from live.targets import read_labels
from pipeline.config import did_you_mean, known_part, misfits
from pipeline.errors import ConfigError
from pipeline.logs import redact
from pipeline.small_file import parse_toml, read_small_file

ALIASES = {"camera": "cameras", "rule": "rules", "webhook": "webhooks"}
"""Keys that may be in the singular, as in [[camera]]."""
SINGLE = ("page", "keep", "alerts", "mqtt", "schedule")
"""Tables of which there is one."""
OWN = ("name", "url", "url_env", "url_file")
"""Keys that each camera has for itself."""
SHARED = tuple(name for name in Camera.__struct_fields__ if name not in OWN)
FILES = ("url_file", "password_file", "token_file", "secret_file", "directory")

NAMES = ("zones", "lines")
"""Tables whose keys are names, not keys of settings."""
FILES_ONLY = ("realtime", "loop")

Tree = dict[str, Any]


def read(path: str | Path) -> Settings:
    """The settings in a file. Paths in it are relative to its folder. Cameras may have no labels yet: see `check`.

    Raises:
        ConfigError: names the file, the key and what was expected; a line per problem.
    """
    path = Path(path).expanduser()
    settings, found = settings_of(read_toml(path), path)
    if not settings.cameras:
        found.append("no camera is there; add a table [[camera]] with name, url and labels")
    _raise([*found, *check(settings, complete=False)], f"{path}: ")
    return settings


def read_shared(path: Path) -> Camera:
    """The keys that a file has for all its cameras, as a camera without a name. Raises: ConfigError: as for `read`."""
    tree = in_plural(read_toml(path))
    shared = {key: tree[key] for key in SHARED if key in tree}
    return settings_of({**shared, "cameras": [{"name": ""}]}, path)[0].cameras[0]


def from_arguments(sources: Sequence[str], labels: str | Sequence[str], **shared: Any) -> Settings:
    """Settings of cameras whose names are made of their URLs. shared: keys of `Camera`, for all of them; those that are
    for files only, for the files among them.

    Raises:
        ConfigError: a line per problem.
    """
    words = tuple(read_labels(labels, Path(), "--labels"))
    live = {key: value for key, value in shared.items() if key not in FILES_ONLY}
    cameras: list[Camera] = []
    for source in sources:
        name = name_for(source, [camera.name for camera in cameras])
        url, keys = (str(Path(source).absolute()), shared) if is_file(source) else (source, live)
        cameras.append(Camera(name=name, url=url, labels=words, **keys))
    settings = Settings(cameras=tuple(cameras))
    _raise(check(settings))
    return settings


def read_toml(path: Path) -> Tree:
    """Raises: ConfigError: the file cannot be read, or is not TOML."""
    try:
        return parse_toml(read_small_file(path).decode("utf-8-sig"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}). Give the path of a TOML file.") from None
    except ValueError as error:  # of TOML, or of UTF-8
        raise ConfigError(f"{path}: is not valid TOML: {error}") from None


def settings_of(tree: Tree, path: Path) -> tuple[Settings, list[str]]:
    """The settings in the tree of a file, not checked yet, and what is wrong with its files of labels.

    Raises:
        ConfigError: a line per key that is unknown or has a value of a wrong type; if all types are right, also a line
            per problem that `check` finds. Where brackets are wrong, only that.
    """
    _raise(list(_wrong_brackets(tree)), f"{path}: ")
    tree = in_plural(tree)
    for table in _tables(tree):
        _resolve(table, path)
    shared = {key: tree.pop(key) for key in SHARED if key in tree}
    cameras = tree.get("cameras", [])
    tables = [each for each in cameras if isinstance(each, dict)] if isinstance(cameras, list) else []
    problems = [problem for table in (shared, *tables) for problem in _read_words(table, path)]
    wrong = list(misfits({"name": "", **shared}, Camera, "", _hint))
    shared = known_part(shared, Camera)
    is_usable = not any(misfits({"name": "", **shared}, Camera, ""))
    for table in tables:
        table |= {key: value for key, value in shared.items() if key not in table and is_usable}
    wrong += misfits(tree, Settings, "", _hint)
    if wrong:
        known = known_part(tree, Settings)
        is_usable = is_usable and not any(misfits(known, Settings, ""))
        others = check(msgspec.convert(known, Settings), complete=False) if is_usable else []
        _raise([*problems, *(redact(_with_name(text, cameras)) for text in wrong), *others], f"{path}: ")
    return msgspec.convert(tree, Settings), problems


def in_plural(tree: Any) -> Any:
    """The tree with [[camera]], [[rule]] and the like under the names that `Settings` has."""
    if isinstance(tree, list):
        return [in_plural(each) for each in tree]
    if not isinstance(tree, dict):
        return tree
    names = {key: ALIASES.get(key, key) for key in tree}
    return {
        key if names[key] in tree else names[key]: each if key in NAMES else in_plural(each)
        for key, each in tree.items()
    }


def _wrong_brackets(tree: Any, above: str = "") -> Iterator[str]:
    """A sentence for each [camera] and `camera = "..."` that should be [[camera]], [[page]] that should be [page], and
    [[camera]] beside [[cameras]].
    """
    for key, each in tree.items() if isinstance(tree, dict) else ():
        singular = next((name for name, plural in ALIASES.items() if key in (name, plural)), key)
        path = f"{above}{singular}"
        if key in ALIASES and ALIASES[key] in tree:
            yield f"[[{path}]] and [[{above}{ALIASES[key]}]] are both there; write [[{path}]] for all of them"
        if (key != singular or key in ALIASES) and isinstance(each, dict):
            yield f"[{above}{key}] is one table; write [[{path}]], with double brackets, since there may be several"
        if singular in ALIASES and not isinstance(each, list | dict):
            keys = "name and url" if singular == "camera" else "its keys"
            yield f"{above}{key} is one value; write [[{path}]], and {keys} below it"
        if key in SINGLE and isinstance(each, list) and any(isinstance(part, dict) for part in each):
            yield f"[[{path}]] is a list of tables; write [{path}], with single brackets, once"
        if key not in NAMES:
            for part in each if isinstance(each, list) else [each]:
                yield from _wrong_brackets(part, f"{path}.")


def _tables(tree: Any) -> Iterator[Tree]:
    """All tables of a tree."""
    if isinstance(tree, dict):
        yield tree
    for each in tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ():
        yield from _tables(each)


def _resolve(table: Tree, path: Path) -> None:
    """Make the paths in a table those from the folder of the file."""
    for key in FILES:
        if isinstance(file := table.get(key), str) and file:
            table[key] = str(path.parent / Path(file).expanduser())
    url = table.get("url")
    if isinstance(url, str) and url and not scheme_of(url) and (path.parent / url).is_file():
        table["url"] = str(path.parent / url)


def _read_words(camera: Tree, path: Path) -> Iterator[str]:
    """Put labels and words to find in place of the text that says where they are. Says what is wrong with them."""
    of = f"camera {_name(camera)}: " if "name" in camera else ""
    for key in ("labels", "find"):
        words = camera.get(key)
        if isinstance(words, str):
            try:
                camera[key] = read_labels(words, path.parent, f"{of}{key}")
            except ConfigError as error:
                camera[key] = [words]
                yield str(error)


def _hint(wrong: str, known: list[str]) -> str:
    if "cameras" in known:
        known = [*(key for key in known if key != "cameras"), "camera", *SHARED]
    if wrong in OWN and wrong not in known:
        return " (it belongs under [[camera]])"
    return did_you_mean(wrong, known) or f"; known: {', '.join(known)}"


def _name(table: Any) -> str:
    name = table.get("name", "") if isinstance(table, dict) else ""
    return name if isinstance(name, str) and name else "without a name"


def _with_name(problem: str, cameras: Any) -> str:
    """The text of a problem, with the name of the camera that it is about."""
    match = re.search(r"`\$\.cameras\[(\d+)\]", problem)
    return f"{problem} (camera {_name(cameras[int(match.group(1))])})" if match else problem


def _raise(problems: Sequence[str], where: str = "") -> None:
    if problems:
        raise ConfigError("\n".join(f"{where}{problem}" for problem in problems))
