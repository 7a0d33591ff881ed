"""What may be changed while a watch runs: commands, checked before anything happens."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import msgspec

from live.plan import label_names
from live.settings import Camera, Settings
from pipeline.config import Config

READER_KEYS = (
    *("url", "url_env", "url_file", "user", "password_env", "password_file", "transport", "realtime", "loop"),
    *("clip_seconds", "fps", "modalities", "zones", "masks", "reuse", "stall_s", "record", "pre_s", "post_s"),
    "longest_s",
)
"""Keys of a camera whose change needs a new reader."""
NOT_ADDED = ("name", "user", "password_env", "password_file", "realtime", "loop")
"""Keys that a camera which is added never has from the others: a password would go to whatever address is added."""


class Refused(Exception):
    """A command that cannot be done. `status`: 400 it is wrong, 404 there is no such camera, 409 not now."""

    def __init__(self, text: str, status: int = 400) -> None:
        super().__init__(text)
        self.status = status


class Words(NamedTuple):
    """What a camera is asked for."""

    labels: tuple[str, ...]
    find: tuple[str, ...]

    @classmethod
    def of(cls, camera: Camera) -> "Words":
        return cls(label_names(camera), camera.find)


@dataclass(frozen=True)
class Change:
    """New settings, and what they mean for one camera."""

    settings: Settings
    before: Camera | None
    after: Camera | None

    @property
    def words(self) -> Words | None:
        """The camera's labels and what is to be found there, if they are others now."""
        if self.after is None:
            return None
        words = Words.of(self.after)
        return None if self.before is not None and words == Words.of(self.before) else words

    @property
    def needs_reader(self) -> bool:
        """Whether the camera must be opened again."""
        return self.before is not None and self.after is not None and any(
            getattr(self.before, key) != getattr(self.after, key) for key in READER_KEYS
        )  # fmt: skip


class Control:
    """Turns commands into changes. `check` returns everything that is wrong with settings.

    shared: keys of a camera that is added and does not say them. If no labels are there either, it gets the config's.
    """

    def __init__(self, config: Config, check: Callable[[Settings], list[str]], shared: Camera | None = None) -> None:
        self._config = config
        self._check = check
        given: dict[str, Any] = msgspec.to_builtins(shared) if shared else {}
        self._shared = {key: value for key, value in given.items() if key not in NOT_ADDED}

    def change(self, settings: Settings, name: str | None, part: Mapping[str, Any]) -> list[Change]:
        """Change keys of one camera, or of all.

        Raises: Refused
        """
        if "name" in part:
            raise Refused("name: a camera cannot be renamed; remove it, and add it under its new name")
        names = [name] if name is not None else [camera.name for camera in settings.cameras]
        changes = []
        for each in names:
            before = self._named(settings, each)
            after = self._camera(msgspec.to_builtins(before) | dict(part), each)
            if after.policy != before.policy:
                raise Refused("policy: it can only be changed in the settings, before the start", 409)
            self._fits(after)
            cameras = tuple(after if camera.name == each else camera for camera in settings.cameras)
            settings = msgspec.structs.replace(settings, cameras=cameras)
            changes.append(Change(settings, before, after))
        self._refuse_wrong(settings)
        return changes

    def add(self, settings: Settings, part: Mapping[str, Any]) -> Change:
        """Raises: Refused"""
        words = self._config.labels.words
        labels = (words,) if isinstance(words, str) else words
        camera = self._camera({"labels": labels} | self._shared | dict(part), str(part.get("name", "")))
        if any(each.name == camera.name for each in settings.cameras):
            raise Refused(f"{camera.name}: there is such a camera already", 409)
        self._fits(camera)
        settings = msgspec.structs.replace(settings, cameras=(*settings.cameras, camera))
        self._refuse_wrong(settings)
        return Change(settings, None, camera)

    def remove(self, settings: Settings, name: str) -> Change:
        """Raises: Refused"""
        before = self._named(settings, name)
        cameras = tuple(camera for camera in settings.cameras if camera.name != name)
        return Change(msgspec.structs.replace(settings, cameras=cameras), before, None)

    def _named(self, settings: Settings, name: str) -> Camera:
        for camera in settings.cameras:
            if camera.name == name:
                return camera
        have = ", ".join(camera.name for camera in settings.cameras) or "none"
        raise Refused(f"there is no camera {name!r}; expected one of: {have}", 404)

    def _camera(self, part: Mapping[str, Any], name: str) -> Camera:
        try:
            return msgspec.convert(dict(part), Camera)
        except msgspec.ValidationError as error:
            raise Refused(f"{name or 'camera'}: {error}") from None

    def _fits(self, camera: Camera) -> None:
        """Slots are as large as the cameras at the start needed them."""
        clips, asked = self._config.clips, self._config.modalities
        if camera.clip_seconds > clips.seconds or camera.fps > clips.fps:
            raise Refused(
                f"{camera.name}: while this watch runs, clips have at most {clips.seconds:g} s and {clips.fps:g} "
                "frames a second; restart it for more",
                409,
            )
        if more := [name for name in camera.modalities if name not in asked]:
            raise Refused(f"{camera.name}: {', '.join(more)} was not asked for at the start; restart the watch", 409)

    def _refuse_wrong(self, settings: Settings) -> None:
        if problems := self._check(settings):
            raise Refused("; ".join(problems))
