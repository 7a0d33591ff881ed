"""What users read of a run: progress, events, the account. Plain data with a fixed form."""

import msgspec
import pytest

from pipeline.status import Account, EventOptions, EventRecord, OutputSpec, SummaryRecord, VideoOptions

EVENT = EventRecord(source="a.mp4", event="rain", start_s=2.0, end_s=4.25, probability=0.75, peak=0.9, clips=2)


def test_an_event_reads_as_its_label_and_its_time() -> None:
    assert str(EVENT) == "rain 2.0–4.2 s"


def test_a_line_of_an_event_has_no_fields_at_their_default() -> None:
    assert "epoch" not in msgspec.json.decode(msgspec.json.encode(EVENT))
    assert msgspec.json.decode(msgspec.json.encode(msgspec.structs.replace(EVENT, epoch=1)))["epoch"] == 1
    summary = SummaryRecord(source="a", summary={"rain": 2.0}, clips=1, seconds=2.0, seconds_labelled=2.0, events=1)
    assert msgspec.json.decode(msgspec.json.encode(summary)).keys() == {
        "source", "summary", "clips", "seconds", "seconds_labelled", "events",
    }  # fmt: skip


@pytest.mark.parametrize("kind", [EventOptions, VideoOptions, OutputSpec])
def test_an_option_that_does_not_exist_is_refused(kind: type[msgspec.Struct]) -> None:
    with pytest.raises(msgspec.ValidationError, match="unknown field `colour`"):
        msgspec.convert({"colour": 1}, kind)


def test_an_account_survives_its_way_to_another_process() -> None:
    account = Account(clips_in=3, results=2, errors=1, messages=("one",), mean_batch={"model": 2.5})
    assert msgspec.json.decode(msgspec.json.encode(account), type=Account) == account
