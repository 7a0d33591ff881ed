"""Every message between the supervisor and its workers: msgpack, strictly decoded, never pickle.

Pixels and samples stay in the slots, and `shapes` lists the arrays there. `values` holds small arrays and records,
already packed; the supervisor passes them on without decoding them.
"""

from typing import Any, Literal

import msgspec
import numpy as np

from pipeline.arrays import Array, Spec, read_only
from pipeline.clip import ClipInfo, Gap, SourceInfo
from pipeline.status import Level, PlaceCounts, Row, SummaryRecord, Writing

PROTOCOL_VERSION = 4

Shapes = dict[str, tuple[int, ...]]
Values = dict[str, bytes]


class _Message(msgspec.Struct, frozen=True, array_like=True):
    pass


# -- worker -> supervisor -------------------------------------------------------------------------------------------


class Hello(_Message, frozen=True, tag=1):
    """The worker is ready. `facts` are those that its stages report (engine, model)."""

    worker: int
    version: int
    credit: int = 0
    """How many clips it accepts at a time."""
    facts: dict[str, str] = {}


class DoneClip(_Message, frozen=True):
    """What a group settled for one clip."""

    source_index: int
    index: int
    shapes: Shapes
    values: Values
    absent: dict[str, str]
    failed: dict[str, str] = {}
    state: bytes | None = None
    """The new state of the source's fold, if the group has one."""


class Done(_Message, frozen=True, tag=2):
    clips: list[DoneClip]
    batches: int = 0
    """How many batches they ran in; 0 for a group that does not batch."""
    took_ns: dict[str, int] = {}
    """How long each stage worked since the last such message."""
    most_bytes: dict[str, int] = {}
    """The most that the arrays of each stage have taken for one clip."""


class Opened(_Message, frozen=True, tag=3):
    info: SourceInfo


class Decoded(_Message, frozen=True, tag=4):
    """A clip is in the slot that was granted."""

    info: ClipInfo
    slot: int
    generation: int
    shapes: Shapes
    absent: dict[str, str]


class GapFound(_Message, frozen=True, tag=5):
    gap: Gap


class Ended(_Message, frozen=True, tag=6):
    """The source has ended or was closed; clips [0, count) were sent."""

    source_index: int
    count: int
    took_ns: int = 0
    """How long the decoder has worked, without waiting for slots."""


class SourceFailed(_Message, frozen=True, tag=7):
    """The source cannot be opened, or cannot be read any further."""

    source_index: int
    error: str


class Prepared(_Message, frozen=True, tag=8):
    """A step of preparing has begun (`text`), workers may start (`ready`), or all is done (`finished`).

    A failure before `ready` is `Broken`. `improved`: stages whose workers should be replaced.
    """

    text: str = ""
    ready: bool = False
    finished: bool = False
    improved: list[str] = []


class HalfOpen(_Message, frozen=True, tag=16):
    """All stages that need nothing prepared are open. The worker waits for `Begin`."""


class Written(_Message, frozen=True, tag=9):
    """The output process has written `count` more records, or the page has read them."""

    count: int


class SinkClosed(_Message, frozen=True, tag=10):
    """Everything is written. `summaries` come from a sink that makes events."""

    summaries: tuple[SummaryRecord, ...] = ()


class Note(_Message, frozen=True, tag=12):
    """A sentence for the user, shown at the end."""

    text: str


class Warned(_Message, frozen=True, tag=13):
    """A warning was logged. It is shown once, at once, even if several workers log it."""

    text: str


class Shown(_Message, frozen=True, tag=14):
    """Rows for the terminal, in order."""

    rows: list[Row]


class SourceWritten(_Message, frozen=True, tag=17):
    """All outputs have written all of a source. Only of sources that were supplied while the run went on."""

    source_index: int


class Behind(_Message, frozen=True, tag=15):
    """How far the slow outputs are; empty once they have caught up."""

    writing: tuple[Writing, ...]


class MissedClip(_Message, frozen=True, tag=30):
    """A live clip for which there was no room."""

    info: ClipInfo
    reason: str


class Connection(_Message, frozen=True, tag=31):
    """How a live source is reached, whenever that changes."""

    source_index: int
    state: Literal["connecting", "live", "lost", "refused"]
    """lost: it is tried again soon. refused: a wrong password or path; it is tried again slowly."""
    text: str = ""
    """Why, without secrets."""
    transport: str = ""


class FilmAsked(_Message, frozen=True, tag=32):
    """The output process wants a film of a camera, from and until two instants on the monotonic clock."""

    event: str
    camera: str
    path: str
    from_ns: int
    until_ns: int


class FilmDone(_Message, frozen=True, tag=33):
    """A film is written, or cannot be."""

    event: str
    error: str = ""


class Told(_Message, frozen=True, tag=34):
    """A sentence for the user, shown at once."""

    text: str
    level: Level = "info"


class Ask(_Message, frozen=True, tag=35):
    """The page asks the supervisor something: a JSON object.

    until_s: how long the page waits for an answer, an instant on the monotonic clock; 0: as long as it takes.
    """

    id: int
    body: bytes
    until_s: float = 0.0


class Reply(_Message, frozen=True, tag=36):
    """To a `Request`: what the stage answers, packed, or why it cannot."""

    id: int
    body: bytes = b""
    error: str = ""


class Counted(_Message, frozen=True, tag=38):
    """What each camera has had so far."""

    events: dict[str, int]
    places: dict[str, PlaceCounts] = {}


class Probed(_Message, frozen=True, tag=37):
    """To a `Probe`: what is wrong with the stages; "" if nothing is."""

    problem: str = ""


class Broken(_Message, frozen=True, tag=11):
    """A worker cannot continue: a stage does not open, or a sink cannot write."""

    kind: str
    """Name of an error class in pipeline.errors."""
    error: str


# -- supervisor -> worker -------------------------------------------------------------------------------------------


class WorkClip(_Message, frozen=True):
    info: ClipInfo
    slot: int
    generation: int
    shapes: Shapes
    values: Values
    absent: dict[str, str]
    state: bytes | None = b""
    """State of the source's fold, if the group has one; None: as the previous clip of this message leaves it."""


class Begin(_Message, frozen=True, tag=29):
    """All is prepared: open the other stages."""


class Work(_Message, frozen=True, tag=20):
    clips: list[WorkClip]
    until_ns: int = 0
    """Until when the clips may wait for others, in monotonic time; 0: not at all."""


class Open(_Message, frozen=True, tag=21):
    """Decode this source, beginning with clip `start_index`."""

    source: str
    source_index: int
    start_index: int = 0
    options: dict[str, Any] = {}
    """Options of the reader that this source has of its own."""
    waits: bool = False
    """In a watch: a clip waits for a slot; else it is missed without one."""


class Grants(_Message, frozen=True, tag=22):
    """Slots for the next clips: (slot, generation)."""

    slots: list[tuple[int, int]]


class CloseSource(_Message, frozen=True, tag=23):
    """Stop reading after the current clip; answer with `Ended`."""


class Stop(_Message, frozen=True, tag=24):
    """Close the stages and exit. The output process writes what it has; `complete`: the run reached its end."""

    complete: bool = True


class SourceStarted(_Message, frozen=True, tag=25):
    info: SourceInfo


class Finished(_Message, frozen=True):
    """One clip, gap or failed source for the sinks, in order."""

    info: ClipInfo
    parts: Values = {}
    """Parts of the record by name, packed."""
    absent: dict[str, str] = {}
    failed: dict[str, str] = {}
    tries: int = 1
    error: str | None = None
    dropped: str | None = None
    gap: bool = False
    facts: int = 0
    """Key into the facts of its `Records`."""


class Records(_Message, frozen=True, tag=26):
    records: list[Finished]
    facts: dict[int, dict[str, str]]
    """Model and engine facts, by the number that records refer to."""


class SourceSupplied(_Message, frozen=True, tag=28):
    """A source that nobody listed before the run, with what its supply tells the sinks of it."""

    source_index: int
    source: str
    ticket: bytes


class SourceDone(_Message, frozen=True, tag=27):
    source_index: int
    clips: int


class Film(_Message, frozen=True, tag=40):
    """Write a film from the packets that are kept. Answered with `FilmDone`."""

    event: str
    path: str
    from_ns: int
    until_ns: int


class FilmWritten(_Message, frozen=True, tag=45):
    """A film that the output process asked for is written, or cannot be."""

    event: str
    error: str = ""


class ConnectionChanged(_Message, frozen=True, tag=46):
    """For the output process: how a camera is reached now."""

    camera: str
    state: str
    text: str = ""


class Request(_Message, frozen=True, tag=47):
    """Ask a stage something beside the clips: a mapping, packed. Answered with `Reply`."""

    id: int
    stage: str
    body: bytes


class Probe(_Message, frozen=True, tag=48):
    """Check the stages of the group on inputs whose answers are known. Answered with `Probed`."""


class Wake(_Message, frozen=True, tag=41):
    """The next clip must not be reused."""


class Answer(_Message, frozen=True, tag=42):
    """To an `Ask`: a JSON object."""

    id: int
    body: bytes


class StatusUpdate(_Message, frozen=True, tag=43):
    """The state of a watch, a JSON object, once a second."""

    body: bytes


class Configured(_Message, frozen=True, tag=44):
    """What is watched has changed: the new `live.settings.Settings`, packed."""

    version: int
    body: bytes


FromWorker = (
    Hello
    | Done
    | Opened
    | Decoded
    | GapFound
    | Ended
    | SourceFailed
    | Prepared
    | HalfOpen
    | Written
    | SinkClosed
    | Broken
    | Note
    | Warned
    | Shown
    | Behind
    | MissedClip
    | Connection
    | FilmAsked
    | FilmDone
    | Told
    | Ask
    | Reply
    | Probed
    | Counted
    | SourceWritten
)
ToWorker = (
    Begin
    | Work
    | Open
    | Grants
    | CloseSource
    | Stop
    | SourceStarted
    | SourceSupplied
    | Records
    | SourceDone
    | Film
    | FilmWritten
    | Wake
    | Answer
    | StatusUpdate
    | Configured
    | ConnectionChanged
    | Request
    | Probe
)

_encoder = msgspec.msgpack.Encoder()
_from_worker = msgspec.msgpack.Decoder(FromWorker)
_to_worker = msgspec.msgpack.Decoder(ToWorker)


def encode(message: FromWorker | ToWorker) -> bytes:
    return _encoder.encode(message)


def decode_from_worker(data: bytes) -> FromWorker:
    """Raises: msgspec.ValidationError: not a message of this protocol."""
    message: FromWorker = _from_worker.decode(data)
    return message


def decode_to_worker(data: bytes) -> ToWorker:
    """Raises: msgspec.ValidationError: not a message of this protocol."""
    message: ToWorker = _to_worker.decode(data)
    return message


def pack(spec: Spec, value: Any) -> bytes:
    """Pack a small array or a record for `values`."""
    if spec.is_record:
        return msgspec.msgpack.encode(value)
    array = np.ascontiguousarray(value, dtype=np.dtype(spec.dtype))
    return msgspec.msgpack.encode((array.shape, array.tobytes()))


def unpack(spec: Spec, data: bytes) -> Any:
    """Undo `pack`: a record, or a read-only array."""
    if spec.is_record:
        return msgspec.msgpack.decode(data)
    shape, content = msgspec.msgpack.decode(data, type=tuple[tuple[int, ...], bytes])
    array: Array = np.frombuffer(content, np.dtype(spec.dtype)).reshape(shape)
    return read_only(array)
