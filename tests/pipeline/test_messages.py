"""Messages survive their encoding, anything else is refused, and the descriptor of a clip stays small."""

from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import messages
from pipeline.arrays import RECORD, Spec
from pipeline.clip import ClipInfo, Gap, LiveFacts, SourceInfo
from pipeline.messages import (
    Answer,
    Ask,
    Begin,
    Behind,
    Broken,
    CloseSource,
    Configured,
    Connection,
    ConnectionChanged,
    Counted,
    Decoded,
    Done,
    DoneClip,
    Ended,
    Film,
    FilmAsked,
    FilmDone,
    FilmWritten,
    Finished,
    GapFound,
    Grants,
    HalfOpen,
    Hello,
    MissedClip,
    Note,
    Open,
    Opened,
    Prepared,
    Probe,
    Probed,
    Records,
    Reply,
    Request,
    Shown,
    SinkClosed,
    SourceDone,
    SourceFailed,
    SourceStarted,
    SourceSupplied,
    SourceWritten,
    StatusUpdate,
    Stop,
    Told,
    Wake,
    Warned,
    Work,
    WorkClip,
    Written,
    decode_from_worker,
    decode_to_worker,
    encode,
    pack,
    unpack,
)
from pipeline.status import EventRecord, Row, SummaryRecord, Writing

numbers = st.integers(0, 2**62)
texts = st.text(max_size=12)
shapes = st.dictionaries(texts, st.lists(st.integers(0, 10**6), max_size=4).map(tuple), max_size=3)
values = st.dictionaries(texts, st.binary(max_size=20), max_size=3)
facts = st.dictionaries(texts, texts, max_size=3)
live_facts = st.builds(
    LiveFacts,
    wall_ns=numbers,
    captured_ns=numbers,
    reused=st.booleans(),
    measures=st.dictionaries(texts, st.floats(0, 1), max_size=2),
)
infos = st.builds(
    ClipInfo,
    texts,
    numbers,
    numbers,
    numbers,
    numbers,
    numbers,
    estimated_times=st.booleans(),
    live=st.none() | live_facts,
    labels_version=numbers,
)
source_infos = st.builds(
    SourceInfo, texts, numbers, duration_ns=st.none() | numbers, notes=st.lists(texts, max_size=2).map(tuple)
)
states = st.none() | st.binary(max_size=9)
done_clips = st.builds(DoneClip, numbers, numbers, shapes, values, facts, facts, states)
work_clips = st.builds(WorkClip, infos, numbers, numbers, shapes, values, facts, st.binary(max_size=9))
finished = st.builds(Finished, infos, parts=values, absent=facts, error=st.none() | texts, gap=st.booleans())
seconds = st.floats(0, 1e6)
events = st.builds(EventRecord, source=texts, event=texts, start_s=seconds, end_s=seconds, probability=seconds,
                   peak=seconds, clips=numbers)  # fmt: skip
summaries = st.builds(
    SummaryRecord,
    source=texts,
    summary=st.dictionaries(texts, seconds, max_size=2),
    clips=numbers,
    seconds=seconds,
    seconds_labelled=seconds,
    events=numbers,
    first_events=st.lists(events, max_size=2).map(tuple),
)

rows = st.builds(
    Row,
    source=texts,
    start_s=seconds,
    end_s=seconds,
    labels=st.lists(st.tuples(texts, seconds), max_size=3).map(tuple),
    tracks=st.lists(st.tuples(texts, numbers), max_size=3).map(tuple),
    text=texts,
)
writing = st.builds(Writing, path=texts, done=numbers, total=numbers)

FROM_WORKER = {
    Shown: st.builds(Shown, st.lists(rows, max_size=3)),
    Behind: st.builds(Behind, st.lists(writing, max_size=3).map(tuple)),
    Hello: st.builds(Hello, numbers, numbers, numbers, facts),
    HalfOpen: st.builds(HalfOpen),
    Done: st.builds(Done, st.lists(done_clips, max_size=3)),
    Opened: st.builds(Opened, source_infos),
    Decoded: st.builds(Decoded, infos, numbers, numbers, shapes, facts),
    GapFound: st.builds(GapFound, st.builds(Gap, texts, numbers, numbers, numbers, numbers, numbers)),
    Ended: st.builds(Ended, numbers, numbers),
    SourceFailed: st.builds(SourceFailed, numbers, texts),
    Prepared: st.builds(Prepared, texts, st.booleans()),
    Written: st.builds(Written, numbers),
    SinkClosed: st.builds(SinkClosed, st.lists(summaries, max_size=2).map(tuple)),
    Broken: st.builds(Broken, texts, texts),
    Note: st.builds(Note, texts),
    Warned: st.builds(Warned, texts),
    MissedClip: st.builds(MissedClip, infos, texts),
    Connection: st.builds(Connection, numbers, st.sampled_from(["connecting", "live", "lost", "refused"]), texts),
    FilmAsked: st.builds(FilmAsked, texts, texts, texts, numbers, numbers),
    FilmDone: st.builds(FilmDone, texts, texts),
    Told: st.builds(Told, texts, st.sampled_from(["debug", "info", "warning", "error"])),
    Ask: st.builds(Ask, numbers, st.binary(max_size=20)),
    Reply: st.builds(Reply, numbers, st.binary(max_size=20), texts),
    Probed: st.builds(Probed, texts),
    SourceWritten: st.builds(SourceWritten, numbers),
    Counted: st.builds(Counted, st.dictionaries(texts, numbers, max_size=2)),
}
TO_WORKER = {
    Begin: st.builds(Begin),
    Work: st.builds(Work, st.lists(work_clips, max_size=3)),
    Open: st.builds(Open, texts, numbers, numbers, facts),
    Grants: st.builds(Grants, st.lists(st.tuples(numbers, numbers), max_size=3)),
    CloseSource: st.builds(CloseSource),
    Stop: st.builds(Stop, st.booleans()),
    SourceStarted: st.builds(SourceStarted, source_infos),
    Records: st.builds(Records, st.lists(finished, max_size=3), st.dictionaries(numbers, facts, max_size=3)),
    SourceSupplied: st.builds(SourceSupplied, numbers, texts, st.binary(max_size=20)),
    SourceDone: st.builds(SourceDone, numbers, numbers),
    Film: st.builds(Film, texts, texts, numbers, numbers),
    FilmWritten: st.builds(FilmWritten, texts, texts),
    Wake: st.builds(Wake),
    Answer: st.builds(Answer, numbers, st.binary(max_size=20)),
    StatusUpdate: st.builds(StatusUpdate, st.binary(max_size=20)),
    Configured: st.builds(Configured, numbers, st.binary(max_size=20)),
    Probe: st.builds(Probe),
    ConnectionChanged: st.builds(ConnectionChanged, texts, texts, texts),
    Request: st.builds(Request, numbers, texts, st.binary(max_size=20)),
}


def test_every_message_of_the_protocol_is_tested_here() -> None:
    assert set(FROM_WORKER) == set(messages.FromWorker.__args__)
    assert set(TO_WORKER) == set(messages.ToWorker.__args__)


@given(st.one_of(*FROM_WORKER.values()))
def test_a_message_of_a_worker_survives_its_encoding(message: Any) -> None:
    assert decode_from_worker(encode(message)) == message


@given(st.one_of(*TO_WORKER.values()))
def test_a_message_to_a_worker_survives_its_encoding(message: Any) -> None:
    assert decode_to_worker(encode(message)) == message


@given(st.one_of(*TO_WORKER.values()))
def test_a_message_of_the_other_direction_is_refused(message: Any) -> None:
    with pytest.raises(msgspec.ValidationError):
        decode_from_worker(encode(message))


@given(st.binary(max_size=60))
def test_garbage_is_refused_or_is_a_message(data: bytes) -> None:
    try:
        message = decode_from_worker(data)
    except msgspec.MsgspecError:  # truncated, not msgpack, or not of this protocol
        return
    assert type(message) in FROM_WORKER


@given(st.one_of(*FROM_WORKER.values()), st.data())
def test_a_message_cut_short_is_refused(message: Any, data: st.DataObject) -> None:
    encoded = encode(message)
    with pytest.raises(msgspec.DecodeError):
        decode_from_worker(encoded[: data.draw(st.integers(0, len(encoded) - 1))])


@pytest.mark.parametrize(
    "fields",
    [[99], ["hello"], [], [2, "no list"], [4, 1, 2, 3], [6, "zero", 1], {"type": 2}],
    ids=["unknown tag", "tag of another type", "no tag", "wrong type", "too few", "text for a number", "no array"],
)
def test_data_that_is_no_message_is_refused(fields: Any) -> None:
    with pytest.raises(msgspec.ValidationError):
        decode_from_worker(msgspec.msgpack.encode(fields))


@pytest.mark.parametrize(
    ("spec", "array"),
    [
        (Spec("float32", "D", in_message=True), np.linspace(0, 1, 512)),
        (Spec("float16", "N D", in_message=True), np.ones((3, 4))),
        (Spec("int64", "N", in_message=True), np.arange(5)[::-1]),
        (Spec("float32", "N 6", in_message=True), np.zeros((0, 6))),
    ],
)
def test_a_small_array_travels_with_its_shape(spec: Spec, array: np.ndarray) -> None:
    back = unpack(spec, pack(spec, array))
    assert back.dtype == np.dtype(spec.dtype)
    assert back.shape == array.shape
    assert (back == array.astype(spec.dtype)).all()
    assert not back.flags.writeable


@given(st.recursive(st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text(), st.lists, max_leaves=9))
def test_a_record_travels_unchanged(record: Any) -> None:
    assert unpack(RECORD, pack(RECORD, {"record": record})) == {"record": record}


def test_the_descriptor_of_a_clip_is_a_few_hundred_bytes() -> None:
    info = ClipInfo(
        "videos/2026/holiday in the mountains.mp4", 12, 3600, 7_200_000_000_000, 7_202_000_000_000, 1, 1280, 720
    )
    arrays = {
        "frames": (16, 360, 640, 3),
        "frame_times_ns": (16,),
        "previous_frame": (360, 640, 3),
        "previous_time_ns": (1,),
        "audio": (160_000,),
        "audio_mask": (160_000,),
        "audio_start_ns": (1,),
    }
    assert len(encode(Decoded(info, 7, 1234, arrays, {}))) < 400
    assert len(encode(Work([WorkClip(info, 7, 1234, arrays, {}, {"embedding": "no_tower"})]))) < 400
