"""What a clip costs at each stage, as earlier runs with the same model measured it on this machine."""

import hashlib
import logging
import os
from collections.abc import Mapping
from pathlib import Path

import msgspec

from pipeline.config import Config
from pipeline.machine import CPU_INFO, core_count, cpu_name
from pipeline.status import Account

LEAST_CLIPS, LEAST_S = 30, 5.0
"""A run that measured less than this tells nothing."""
NEW = 0.5
"""Weight of the newest run: what costs depend on most, the size of pictures, is usually that of the run before."""
log = logging.getLogger("percept.costs")


class Costs(msgspec.Struct, frozen=True):
    ms: dict[str, float]
    """Of one process, for a clip, by stage; "decode" is one of them."""
    clips: int = 0
    """Of the last run that measured them."""


def known_costs(cache: Path, config: Config) -> Costs | None:
    """What runs like this one cost; None if there was none."""
    try:
        return msgspec.json.decode(_file(cache, config).read_bytes(), type=Costs)
    except (OSError, msgspec.MsgspecError):
        return None


def remember_costs(cache: Path, config: Config, account: Account) -> None:
    """Keep what a run has measured, for the next one."""
    labelled = account.results - account.reused
    if labelled < LEAST_CLIPS or sum(account.stage_s.values()) < LEAST_S:
        return
    clips = {"decode": max(1, account.clips_in)}
    new = {name: 1000 * took_s / clips.get(name, labelled) for name, took_s in account.stage_s.items()}
    before = known_costs(cache, config)
    costs = Costs(_mixed(before.ms if before else {}, new), labelled)
    file = _file(cache, config)
    part = file.with_suffix(f".{os.getpid()}.part")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(msgspec.json.encode(costs))
        part.replace(file)
    except OSError as error:
        log.debug("costs are not kept: %s", error)


def _mixed(before: Mapping[str, float], new: Mapping[str, float]) -> dict[str, float]:
    return {name: round(NEW * ms + (1 - NEW) * before.get(name, ms), 3) for name, ms in new.items()}


def _file(cache: Path, config: Config) -> Path:
    """One for each machine, model, and way of looking at clips."""
    clips, stages = config.clips, [group.stages for group in config.groups]
    about = (
        *(cpu_name(_text(CPU_INFO)), core_count(), config.model, config.modalities, stages, config.stages),
        *(clips.seconds, clips.fps, config.decode.reader, config.decode.threads, config.decode.device),
    )
    return cache / "costs" / f"{hashlib.sha256(repr(about).encode()).hexdigest()[:16]}.json"


def _text(file: Path) -> str:
    try:
        return file.read_text()
    except OSError:
        return ""
