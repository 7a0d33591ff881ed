"""A run over an archive: what is done is left alone, the rest is claimed and labelled, and an account is given."""

import argparse
import logging
import os
import socket
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from archive.follow import Follow, is_old
from archive.index import known_files
from archive.labels import words_hash
from archive.links import Links
from archive.plan import Work, plan_work
from archive.run_claims import RunClaims, RunHolder
from archive.runs import note_run
from archive.settings import config_hash, settings_of
from archive.store import store_of
from archive.supply import ArchiveSupply
from archive.tally import Tally, account_lines
from archive.verdict import Asked, Known, Wanted, verdict_of
from commands.account import speed_text
from commands.archive_sources import look_again
from commands.beside import KINDS, Beside
from commands.console import Console
from commands.labelling_on import label_on
from commands.main import INTERRUPTED, installed_version
from commands.progress import Pace
from engines.models.checkpoint import read_model
from engines.models.fusion import fused_modalities
from engines.models.model import ModelSpec
from engines.models.tower import features_size
from pipeline.config import Config
from pipeline.errors import ConfigError, OutputError
from pipeline.logs import log
from pipeline.run import private_directory, run
from pipeline.status import Account, OutputSpec, Status
from stages.words.word import default_labels, parse_labels

if TYPE_CHECKING:
    from rich.text import Text

SHOWN = 5
EXPORTED = ("done", "unsure")
"""Verdicts on sources whose stored rows are those of a run, most likely."""
TIDY_S = 3600.0
"""Unfinished files and claims of that age are those of runs that were killed."""


def asked_of(options: argparse.Namespace, config: Config) -> Asked:
    """Raises: ModelError: the model cannot be read. ConfigError: the labels cannot."""
    words = config.labels.words
    labels = tuple(parse_labels(words) if words else default_labels())
    model = read_model(config.model.path, config.model.audio_path)
    return Asked(
        config=config_hash(config),
        settings=settings_of(config),
        words=words_hash(labels),
        model=model.id,
        labels=labels,
        dims=dims_of(model, config.modalities),
        features=features_of(model, config),
        whole=options.checksum,
        redo=options.redo,
        retry_failed=options.retry_failed,
    )


def dims_of(model: ModelSpec, modalities: Sequence[str]) -> dict[str, int]:
    """Values of each vector that a model gives for these modalities. Raises: ModelError: its head cannot be read."""
    own = {name: model.texts[tower.space].dim for name, tower in model.towers().items() if name in modalities}
    return own | {f"fused_{name}": own[name] for name in fused_modalities(model) if name in own}


def features_of(model: ModelSpec, config: Config) -> dict[str, int]:
    """Values of the features of each modality; empty unless they are asked for.

    Raises: ModelError: a tower has none; the message names those that have. ConfigError: nothing would keep them.
    """
    if config.stages.get("encode", {}).get("features") is not True:
        return {}
    if not any("store" in group.stages for group in config.groups):
        raise ConfigError(
            "--features: no group of these settings runs the stage store, which keeps them. Add it behind classify, as "
            "label.toml does, or omit -c"
        )
    return {name: features_size(model, name) for name in model.towers() if name in config.modalities}


class Labelling:
    """One `percept label`."""

    def __init__(
        self,
        options: argparse.Namespace,
        config: Config,
        asked: Asked,
        wanted: Sequence[Wanted],
        console: Console,
        arguments: Sequence[str] = (),
    ) -> None:
        """arguments: those of the command, for child processes."""
        self._arguments = list(arguments)
        self._options, self._config, self._asked, self._wanted, self._console = options, config, asked, wanted, console
        self._began = datetime.now(UTC)
        self._began_s = time.monotonic()
        self._store = store_of(options.output)
        self._claims = RunClaims(self._store, options.claim_expiry, f"{asked.config} {asked.words} {asked.model}")

    def run(self) -> int:
        """Returns the exit code.

        Raises: PerceptError: nothing was started, or the archive cannot be written.
        """
        options = self._options
        if other := self._claims.found_alone():  # whose half-done work would look like damage
            raise self._busy(other)
        known, everything = known_files(self._store), self._wanted
        follow = self._follow() if options.follow else None
        beside = Beside(self._store, options.output, [kind for kind in KINDS if getattr(options, kind)], known)
        own = {each.name: known[each.name] for each in self._wanted if each.name in known}
        work = plan_work(self._wanted, own if options.order else known, self._asked, options.output)
        for name in work.damaged[:SHOWN]:
            self._console.warn(f"{name}: its file in {options.output} is damaged; it is labelled again")
        self._fill(beside, everything, known)
        if not work.todo and follow is None:
            self._report(work.tally, Account())
            return 0
        if options.on and not options.order:
            account = label_on(
                options, self._arguments, self._config.model.device, work, known, self._asked, self._console, beside
            )
            self._report(work.tally, account)
            known_files(self._store)
            return account.exit_code
        account = self._labelled(work, known, follow, beside)
        code = INTERRUPTED if account.interrupted and follow is None else account.exit_code
        if code == INTERRUPTED and follow is not None:
            code = 1 if work.tally.sources.failed or work.tally.clips.failed else 0
        return code

    def _follow(self) -> Follow:
        """Takes what is old enough from what was found, and leaves the rest for later."""
        options = self._options
        old = [each for each in self._wanted if is_old(each, options.settle) or each.size < 0]
        self._wanted = old
        return Follow(partial(look_again, options.sources, options.recursive), options.settle, old)

    def _fill(self, beside: Beside, wanted: Sequence[Wanted], known: dict[str, Known]) -> None:
        """Write exports that are asked for and missing beside sources that are done. Those that are not get theirs."""
        done = [each.name for each in wanted if verdict_of(each, known.get(each.name), self._asked) in EXPORTED]
        if count := beside.fill(done, self._console.warn):
            self._console.say(f"wrote {count} exports of sources that had been labelled before")

    def _busy(self, other: RunHolder) -> OutputError:
        return OutputError(f"{self._options.output}: {other} relabels or compacts it; wait until it has ended")

    def _labelled(self, work: Work, known: dict[str, Known], follow: Follow | None, beside: Beside) -> Account:
        options, asked, claims = self._options, self._asked, self._claims
        if (other := claims.agree()) and other.is_alone:
            raise self._busy(other)
        if other:
            raise ConfigError(
                f"{options.output}: {other} labels into it with other settings, model or words at this moment. Give "
                "the same, or another -o."
            )
        spec = OutputSpec(
            kind="archive",
            sink="archive.sink:Archive",
            path=options.output,
            options={
                "config": asked.config,
                "settings": asked.settings,
                "labels": list(asked.labels),
                "words": asked.words,
                "model": asked.model,
                "top_k": self._config.labels.top_k,
                "dims": dict(asked.dims),
                "features": dict(asked.features),
                "whole": asked.whole,
            },
        )
        with private_directory() as folder, claims:
            supply = ArchiveSupply(
                self._store, claims, asked, Links(folder), work.todo, known, work.tally, follow, beside, self._wanted
            )
            self._console.pace = ArchivePace(supply)
            account = Account(exit_code=5)
            supply.start()
            try:
                account = run(
                    self._config,
                    [],
                    [spec],
                    on_status=lambda status: self._console.status(placed(status, work.tally, supply)),
                    on_notice=self._console.notice,
                    supply=supply,
                    supplied=len(work.todo),
                )
            finally:
                supply.finish()
                self._console.clear()
                self._report(work.tally, account)
                if not options.order:
                    known_files(self._store)
                self._store.tidy(TIDY_S)
        if supply.failure is not None:
            raise supply.failure
        return account

    def _report(self, tally: Tally, account: Account) -> None:
        """Say how it ended, and note it in the archive."""
        facts = tally.fields() | {
            "elapsed_s": round(time.monotonic() - self._began_s, 2),
            "x_real_time": round(account.media_s / account.elapsed_s, 2) if account.elapsed_s else 0.0,
            "interrupted": account.interrupted,
            "exit_code": account.exit_code,
        }
        for message in account.messages:
            log(logging.ERROR if account.exit_code else logging.WARNING, message)
        if self._console.as_fields:
            log(logging.INFO, "account", **facts)
        elif logging.getLogger("percept").isEnabledFor(logging.INFO):
            self._console.print(closing_lines(tally, account))
        if (tally.sources.labelled or tally.sources.failed) and not self._options.order:
            asked = self._asked
            note_run(
                self._store,
                {
                    "began": self._began.isoformat(timespec="seconds"),
                    "host": socket.gethostname(),
                    "pid": os.getpid(),
                    "percept": installed_version(),
                    "config": asked.config,
                    "settings": asked.settings,
                    "words": asked.words,
                    "model": asked.model,
                    **facts,
                },
            )


def closing_lines(tally: Tally, account: Account) -> list["Text"]:
    from rich.text import Text

    lines = [Text("")]
    if account.elapsed_s:
        lines.append(Text(speed_text(account)))
    return lines + [Text(line) for line in account_lines(tally)]


class ArchivePace(Pace):
    """Progress by the bytes of all sources, of which some need nothing after all."""

    def __init__(self, supply: ArchiveSupply) -> None:
        super().__init__()
        self._supply = supply

    def fraction(self, status: Status) -> float | None:
        if not status.position.source_number:
            return None
        return self._supply.bytes_done / max(1, self._supply.bytes_total)


def placed(status: Status, tally: Tally, supply: ArchiveSupply) -> Status:
    """A status whose sources are counted over the whole archive."""
    if not status.position.source_number:
        return status
    number = min(tally.wanted, int(tally.sources.total) + 1)
    position = msgspec.structs.replace(status.position, source_number=number, source_count=tally.wanted)
    return msgspec.structs.replace(status, position=position)
