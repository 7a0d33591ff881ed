"""The sources of a labelling run, each claimed just before it is opened."""

import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime

from archive.copies import copy_rows, is_original, is_same_content
from archive.fingerprint import fingerprint_or_none, is_same
from archive.index import known_file, known_files
from archive.links import Links
from archive.run_claims import RunClaims
from archive.schema import Facts, Fingerprint
from archive.shard import ShardError
from archive.store import Store
from archive.tally import Tally
from archive.ticket import Ticket, packed
from archive.verdict import TODO, Asked, Known, Wanted, verdict_of
from pipeline.errors import PerceptError
from pipeline.sinks.file import output_error
from pipeline.supply import Supplied

TURN_S = 0.5
INDEX_EVERY_S = 300.0
"""How much of its index an archive may lose when a run is killed."""
AHEAD = 2
"""Sources that are claimed before a decoder asks for them."""
CLOSING_S = 30.0
Content = tuple[int, str, bool]
"""Size, hash, and whether it is that of the whole."""


class ArchiveSupply:
    """A `pipeline.supply.Supply`. A thread claims, compares and copies, so that the run never waits for that.

    known: what the archive had when the run began. more: looks for further sources now and then; None if none come.
    on_file: is told of each file that this run wrote, in the thread. done: sources of the run with nothing to do.
    """

    def __init__(
        self,
        store: Store,
        claims: RunClaims,
        asked: Asked,
        links: Links,
        todo: Iterable[Wanted],
        known: Mapping[str, Known],
        tally: Tally,
        more: Callable[[], list[Wanted]] | None = None,
        on_file: Callable[[Facts], None] = lambda facts: None,
        done: Iterable[Wanted] = (),
    ) -> None:
        self.tally = tally
        self.failure: PerceptError | None = None
        """Why sources are no longer given out, such as an archive that cannot be written."""
        self._store, self._claims, self._asked, self._links = store, claims, asked, links
        self._todo = deque(todo)
        self._more, self._on_file = more, on_file
        self._paths = {each.name: each.source for each in (*done, *self._todo)}
        """Where the sources of this run are, by their names."""
        self._known = known
        self._elsewhere: deque[Wanted] = deque()
        """Claimed by others."""
        self._twins: dict[str, list[tuple[Wanted, Ticket]]] = {}
        """By name of a source that is in work: those with the same content, it seems."""
        self._ready: deque[Supplied] = deque()
        self._given: dict[str, tuple[Wanted, Ticket]] = {}
        """By path: what is in work."""
        self._in_work: dict[Content, Ticket] = {}
        self._written: deque[str] = deque()
        self._originals = {
            content_of(facts.fingerprint): facts
            for facts in known.values()
            if isinstance(facts, Facts) and facts.fingerprint and verdict_of(Wanted("", ""), facts, asked) == "done"
        }
        self.bytes_total = sum(weight(wanted) for wanted in self._todo)
        self.bytes_done = 0
        """Of sources that are settled in one way or another."""
        self._over = self._closed = self._ending = False
        self._indexed_s = time.monotonic()
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._work, name="supply", daemon=True)

    # -- for the run ----------------------------------------------------------------------------------------------

    def start(self) -> None:
        self._thread.start()

    def next(self) -> Supplied | None:
        try:
            return self._ready.popleft()
        except IndexError:
            return None
        finally:
            self._wake.set()

    @property
    def is_over(self) -> bool:
        return self._over and not self._ready

    def written(self, source: str) -> None:
        self._written.append(source)
        self._wake.set()

    def close(self) -> None:
        self._closed = True
        self._wake.set()

    def finish(self) -> None:
        """Count what was written last. After the run."""
        self._closed = self._ending = True
        self._wake.set()
        self._thread.join(timeout=CLOSING_S)

    def bytes_in_work(self, path: str) -> int:
        """Of the source that is read from there; 0 if it is in work no more."""
        given = self._given.get(path)
        return 0 if given is None else weight(given[0])

    # -- in the thread --------------------------------------------------------------------------------------------

    def _work(self) -> None:
        try:
            while not self._ending:
                self._wake.clear()
                self._take_in_written()
                self._keep_index()
                if not self._step():
                    self._wake.wait(TURN_S)
            self._take_in_written()
        except PerceptError as error:
            self.failure = error
        except OSError as error:
            self.failure = output_error("the archive", error)
        except Exception as error:  # nobody else would tell it, and the run would seem to have ended well
            traceback.print_exc()
            self.failure = PerceptError(
                f"sources are no longer claimed and copied, because of an error: {type(error).__name__}: {error}"
            )
        finally:
            self._over = True

    def _keep_index(self) -> None:
        if time.monotonic() - self._indexed_s > INDEX_EVERY_S:
            known_files(self._store)
            self._indexed_s = time.monotonic()

    def _step(self) -> bool:
        """Do one thing, if there is one to do now."""
        if self._closed or len(self._ready) >= AHEAD:
            return False
        if self._todo:
            self._prepare(self._todo.popleft())
            return True
        if self._elsewhere and self._look_elsewhere():
            return True
        if self._more is not None:
            found = self._more()
            for each in found:
                self.tally.again(each.name)
            self.tally.wanted += len(found)
            self.bytes_total += sum(map(weight, found))
            self._todo += found
            self._paths |= {each.name: each.source for each in found}
            return bool(found)
        self._over = not (self._elsewhere or self._twins or self._given)
        return False

    def _prepare(self, wanted: Wanted) -> None:
        """Claim a source and make it ready, unless it turns out to need nothing."""
        if not self._claims.take(wanted.name):
            self._elsewhere.append(wanted)
            return
        known = self._known_now(wanted.name)
        verdict = verdict_of(wanted, known, self._asked)
        facts = known if isinstance(known, Facts) else None
        if verdict not in TODO or (verdict == "unsure" and facts is not None and is_untouched(wanted, facts)):
            self.tally.skip(facts)
            self._settle(wanted)
            return
        shown, path = self._links.shown_and_path(wanted.source)
        ticket = Ticket(
            source=shown,
            name=wanted.name,
            path=path,
            fingerprint=None if wanted.size < 0 else fingerprint_or_none(wanted.source, self._asked.whole),
            tries=facts.tries + 1 if facts is not None and (facts.error or facts.failed) else 1,
        )
        if not self._is_copied(wanted, ticket):
            self._give(wanted, ticket)

    def _known_now(self, name: str) -> Known | None:
        """What the file of a source says; without one, what a file of many sources said when the run began."""
        found = known_file(self._store, name)
        return self._known.get(name) if found is None else found

    def _give(self, wanted: Wanted, ticket: Ticket) -> None:
        self._given[ticket.path] = wanted, ticket
        if ticket.fingerprint is not None:
            self._in_work[content_of(ticket.fingerprint)] = ticket
        self._ready.append(Supplied(ticket.path, packed(ticket)))

    def _settle(self, wanted: Wanted) -> None:
        self.bytes_done += weight(wanted)
        self._claims.release(wanted.name)

    def _is_copied(self, wanted: Wanted, ticket: Ticket) -> bool:
        """Whether the source needs no labelling, as another has the same content; it may have to wait for that one."""
        if ticket.fingerprint is None or not ticket.fingerprint.size:
            return False
        key = content_of(ticket.fingerprint)
        if (working := self._in_work.get(key)) is not None:
            if ticket.fingerprint.whole or is_same_content(working.path, ticket.path):
                self._twins.setdefault(working.name, []).append((wanted, ticket))
                return True
            return False
        original = self._originals.get(key)
        if original is None or original.name == ticket.name:
            return False
        if not is_original(original, self._paths.get(original.name, ""), ticket):
            return False
        try:
            facts = copy_rows(self._store, original, ticket, datetime.now(UTC).isoformat(timespec="seconds"))
        except (OSError, ShardError):
            return False
        self.tally.add(facts)
        self._on_file(facts)
        self._settle(wanted)
        self._links.forget(ticket.path)
        return True

    def _take_in_written(self) -> None:
        while self._written:
            wanted, ticket = self._given.pop(self._written.popleft())
            facts = known_file(self._store, ticket.name)
            if ticket.fingerprint is not None:
                self._in_work.pop(content_of(ticket.fingerprint), None)
            if isinstance(facts, Facts):
                self.tally.add(facts)
                self._on_file(facts)
                if facts.fingerprint is not None and not facts.error:
                    self._originals[content_of(facts.fingerprint)] = facts
            self._settle(wanted)
            self._links.forget(ticket.path)
            for twin, its in self._twins.pop(ticket.name, []):
                if not self._is_copied(twin, its):
                    self._give(twin, its)

    # -- what others do -------------------------------------------------------------------------------------------

    def _look_elsewhere(self) -> bool:
        """Look at one source that another process had claimed. Returns whether it is settled."""
        wanted = self._elsewhere.popleft()
        is_alive = self._claims.is_alive(wanted.name)
        if is_alive is False:
            self._prepare(wanted)
            return True
        if is_alive and self._more is None:
            known = self._known_now(wanted.name)
            self.tally.skip(known if isinstance(known, Facts) else None, elsewhere=True)
            self.bytes_done += weight(wanted)
            return True
        self._elsewhere.append(wanted)
        return False


def content_of(fingerprint: Fingerprint) -> Content:
    return fingerprint.size, fingerprint.hash, fingerprint.whole


def weight(wanted: Wanted) -> int:
    """How much a source counts in the progress of a run."""
    return max(1, wanted.size)


def is_untouched(wanted: Wanted, facts: Facts) -> bool:
    """Whether a source is what it was, though its time has changed."""
    if facts.fingerprint is None:
        return False
    return is_same(facts.fingerprint, fingerprint_or_none(wanted.source, facts.fingerprint.whole))
