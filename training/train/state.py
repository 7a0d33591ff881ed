"""The state of a training on disk: written atomically, and restored only for the training it belongs to."""

import fcntl
import os
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import msgspec
import torch

from pipeline.errors import ConfigError, OutputError

CHECKPOINT = "checkpoint.pt"
IDENTITY = "identity.json"
RECORD = "training.json"
"""The file in the model directory that marks a finished training."""


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """The settings that a checkpoint must match to be resumed, by name."""

    facts: dict[str, str | int | float | bool]


def claim(folder: Path, identity: Identity) -> IO[str]:
    """Claim the folder for this training. The returned lock is held until it is closed or the process ends.

    Raises:
        ConfigError: it belongs to a training with other settings, which are named, or another process uses it.
        OutputError: it cannot be created.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / "lock").open("w")
    except OSError as error:
        raise OutputError(f"-o {folder.parent}: {error.strerror}; expected a writable folder") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        raise ConfigError(f"-o {folder.parent}: another process is training in it. Wait for it, or stop it.") from None
    try:
        _agree(folder, identity)
    except BaseException:
        lock.close()
        raise
    return lock


def _agree(folder: Path, identity: Identity) -> None:
    path = folder / IDENTITY
    if not path.is_file() and any(entry.name != folder.name for entry in folder.parent.iterdir()):
        raise ConfigError(f"-o {folder.parent}: contains other files. Choose a new folder.")
    if not (folder / CHECKPOINT).is_file() and not (folder.parent / RECORD).is_file():  # nothing can be lost
        write_whole(path, msgspec.json.format(msgspec.json.encode(identity)))
        return
    try:
        before = msgspec.json.decode(path.read_bytes(), type=Identity).facts
    except msgspec.DecodeError as error:
        raise ConfigError(f"{path}: not readable ({error}). Choose another -o, or delete {folder.parent}.") from error
    if differences := differing(before, identity.facts):
        raise ConfigError(
            f"-o {folder.parent}: contains a training with other settings: {'; '.join(differences)}. "
            "Use the same settings to resume it, or choose another -o."
        )


def differing(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """One text for each setting that differs: `learning rate was 0.001, is 0.01`."""
    names = [*before, *(name for name in now if name not in before)]
    return [
        f"{name} was {before.get(name, 'unknown')}, is {now.get(name, 'unknown')}"
        for name in names
        if before.get(name) != now.get(name)
    ]


def keep(path: Path, state: Mapping[str, Any]) -> None:
    """Write a state from which `restore` can resume.

    Raises:
        OutputError: it cannot be written. The previous file is unharmed.
    """
    new = path.with_suffix(".new")
    try:
        with new.open("wb") as file:
            torch.save(dict(state), file)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    except (OSError, RuntimeError) as error:  # torch wraps the error of the file
        new.unlink(missing_ok=True)
        raise OutputError(
            f"{path}: cannot be written: {_cause(error)}. The previous checkpoint is unharmed: free some space and run "
            "the same command again to resume."
        ) from error


def restore(path: Path) -> dict[str, Any] | None:
    """The state that `keep` wrote, on the CPU; None if there is none.

    Raises:
        OutputError: the file is damaged.
    """
    if not path.is_file():
        return None
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many types for a damaged file
        raise OutputError(
            f"{path}: cannot be read ({type(error).__name__}); expected a checkpoint. Delete it to start again."
        ) from error
    return state


def write_whole(path: Path, content: bytes) -> None:
    """Write atomically: a reader sees the old file or the new one.

    Raises:
        OutputError: it cannot be written.
    """
    new = path.with_name(f"{path.name}.new")
    try:
        new.write_bytes(content)
        new.replace(path)
    except OSError as error:
        new.unlink(missing_ok=True)
        raise OutputError(f"{path}: cannot be written: {error.strerror}") from error


def _cause(error: BaseException) -> str:
    known: BaseException | None = error
    while known is not None and not isinstance(known, OSError):
        known = known.__cause__ or known.__context__
    return (known.strerror or str(known)) if isinstance(known, OSError) else str(error).splitlines()[0]
