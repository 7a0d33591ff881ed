"""Clips that are run together: when they are gathered, and that each gets what it would have got alone."""

import random
import time
from collections import Counter, deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.arrays import Spec
from pipeline.build import make_plan
from pipeline.bus import Bus
from pipeline.clip import Absent, Clip, ClipInfo
from pipeline.config import make_config
from pipeline.errors import ConfigError
from pipeline.group import Settled, StageGroup
from pipeline.inbox import Inbox
from pipeline.messages import Stop, ToWorker, Work, WorkClip
from pipeline.part import Part
from pipeline.plan import Plan
from pipeline.stage import Outputs, Stage
from tests.pipeline.fakes import fake_config
from tests.pipeline.runs import Ran, run_fakes
from tests.pipeline.test_faults import Killer, assert_nothing_leaked, harassed_run

SECOND_NS = 1_000_000_000

# -- gathering --------------------------------------------------------------------------------------------------------


class ScriptedBus:
    """Gives messages when their time has come; waiting moves the clock."""

    def __init__(self, *script: tuple[float, ToWorker]) -> None:
        self.now_s = 100.0
        self.script = deque((100.0 + at_s, message) for at_s, message in script)

    def receive(self, timeout_s: float | None = None) -> ToWorker | None:
        until_s = self.now_s + (1e9 if timeout_s is None else timeout_s)
        if not self.script or self.script[0][0] > until_s:
            assert timeout_s is not None, "it waits for ever"
            self.now_s = until_s
            return None
        at_s, message = self.script.popleft()
        self.now_s = max(self.now_s, at_s)
        return message


def work(*indices: int, until_s: float | None = None) -> Work:
    clips = [WorkClip(ClipInfo("s", 0, index, 0, 1), 0, 0, {}, {}, {}) for index in indices]
    return Work(clips, 0 if until_s is None else round((100.0 + until_s) * SECOND_NS))


def batches_of(
    monkeypatch: pytest.MonkeyPatch, batch: int, *script: tuple[float, ToWorker]
) -> list[tuple[list[int], float]]:
    """Every batch that is taken, and when."""
    bus = ScriptedBus(*script, (1e6, Stop()))
    monkeypatch.setattr(time, "monotonic_ns", lambda: round(bus.now_s * SECOND_NS))
    inbox, taken = Inbox(cast(Bus, bus), batch), []
    while not inbox.stopped:
        inbox.fill()
        if items := inbox.take():
            taken.append(([item.info.index for item in items], round(bus.now_s - 100.0, 6)))
    return taken


def test_a_full_batch_does_not_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    script = [(0.1, work(0, 1, until_s=1.1)), (0.2, work(2, 3, 4, until_s=1.2)), (0.3, work(5, until_s=1.3))]
    assert batches_of(monkeypatch, 3, *script) == [([0, 1, 2], 0.2), ([3, 4, 5], 0.3)]


def test_a_batch_waits_no_longer_than_its_first_clip_may(monkeypatch: pytest.MonkeyPatch) -> None:
    script = [(0.1, work(0, until_s=0.15)), (0.12, work(1, until_s=0.17)), (0.2, work(2, until_s=0.25))]
    assert batches_of(monkeypatch, 4, *script) == [([0, 1], 0.15), ([2], 0.25)]


def test_clips_that_have_waited_while_the_worker_was_busy_wait_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    script = [(0.0, work(0, until_s=-1.0)), (0.0, work(1, until_s=0.5)), (0.1, work(2, until_s=0.6))]
    assert batches_of(monkeypatch, 4, *script) == [([0, 1], 0.0), ([2], 0.6)]


def test_a_clip_that_is_to_be_run_alone_waits_for_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    script = [(0.1, work(0)), (0.2, work(1, until_s=5.0))]
    assert batches_of(monkeypatch, 4, *script) == [([0], 0.1), ([1], 5.0)]


def test_who_runs_clips_one_by_one_takes_each_as_it_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    assert batches_of(monkeypatch, 1, (0.1, work(0, 1)), (0.2, work(2))) == [([0], 0.1), ([1], 0.1), ([2], 0.2)]


def test_what_is_left_at_a_stop_is_still_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    assert batches_of(monkeypatch, 4, (0.1, work(0, until_s=9.0)), (0.2, Stop())) == [([0], 0.2)]


# -- a group ----------------------------------------------------------------------------------------------------------


class Square(Stage):
    """Fails as the clip's arrays say, together or alone; remembers how many clips each call had."""

    required = ("frames",)

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.calls: list[int] = []

    def gives(self) -> dict[str, Spec]:
        return {"square": Spec("float32", "N", in_message=True)}

    def process(self, clip: Clip) -> Outputs:
        return self._process([clip])[0]

    def process_many(self, clips: Sequence[Clip]) -> list[Outputs]:
        how = {clip.get("audio_start_ns") for clip in clips}
        if "together" in how:
            raise MemoryError("too many")
        outputs = self._process(clips)
        return outputs[1:] if "one_missing" in how else outputs

    def _process(self, clips: Sequence[Clip]) -> list[Outputs]:
        self.calls.append(len(clips))
        outputs: list[Outputs] = []
        for clip in clips:
            how = clip.get("audio_start_ns")
            if how == "raise":
                raise ValueError(f"clip {clip.info.index} is bad")
            square = np.square(clip["frames"].astype(np.float32))
            given = {"forget": {}, "absent": {"square": Absent("too_short")}, "shape": {"square": square[None]}}
            outputs.append(given.get(how or "", {"square": square}))
        return outputs


class Sum(Stage):
    required = ("square",)

    def gives(self) -> dict[str, Spec]:
        return {"labels": Part(type=list[float], doc="Sums.", essential=True)}

    def process(self, clip: Clip) -> Outputs:
        return {"labels": [float(clip["square"].sum())]}


def plan_of(**group: Any) -> Plan:
    stages = {name: {"class": f"tests.pipeline.test_batching:{name.title()}"} for name in ("square", "sum")}
    tree = {"groups": [{"stages": list(stages), **group}], "stages": stages, "labels": {"words": ["x"]}}
    return make_plan(make_config(tree))


PLAN = plan_of()


def group_of() -> tuple[StageGroup, Square, list[str]]:
    told: list[str] = []
    group = StageGroup(PLAN, PLAN.groups[0], told.append)
    square = group.stages["square"]
    assert isinstance(square, Square)
    return group, square, told


def clip_of(index: int, how: str = "") -> Clip:
    info = ClipInfo(f"s{index % 2}", index % 2, index, 0, 1)
    if how == "no_stream":
        return Clip(info, {}, {"frames": "no_stream"})
    return Clip(info, {"frames": np.arange(index + 1, dtype=np.uint8), "audio_start_ns": how})


def run_together(group: StageGroup, *clips: Clip) -> list[Settled]:
    return group.run_many(clips, [b""] * len(clips))


def same(one: Settled, other: Settled) -> bool:
    if one.values.keys() != other.values.keys() or one[1:] != other[1:]:
        return False
    return all(np.array_equal(value, other.values[name]) for name, value in one.values.items())


def test_clips_of_several_sources_go_through_in_one_call() -> None:
    group, square, told = group_of()
    together = run_together(group, *map(clip_of, range(4)))
    assert square.calls == [4]
    assert [each.values["labels"] for each in together] == [[0.0], [1.0], [5.0], [14.0]]
    assert told == []


def test_a_clip_without_what_the_stage_requires_is_left_out_of_the_batch() -> None:
    group, square, _ = group_of()
    together = run_together(group, clip_of(1), clip_of(2, "no_stream"), clip_of(3))
    assert square.calls == [2]
    assert together[1].absent == {"square": "no_stream", "labels": "no_stream"}
    assert [each.values.get("labels") for each in together] == [[1.0], None, [14.0]]


def test_a_bad_clip_costs_only_itself_and_nobody_is_told() -> None:
    group, square, told = group_of()
    together = run_together(group, clip_of(1), clip_of(2, "raise"), clip_of(3))
    assert square.calls == [3, 1, 1, 1]
    assert [each.failed for each in together] == [{}, {"square": "ValueError: clip 2 is bad"}, {}]
    assert [each.values.get("labels") for each in together] == [[1.0], None, [14.0]]
    assert told == []


@pytest.mark.parametrize(
    ("how", "why"), [("together", "MemoryError: too many"), ("one_missing", "ValueError: zip() argument 2 is shorter")]
)
def test_a_batch_that_fails_although_each_clip_is_fine_is_told_once(how: str, why: str) -> None:
    group, _, told = group_of()
    for _ in range(3):
        together = run_together(group, clip_of(1), clip_of(2, how), clip_of(3))
        assert [each.failed for each in together] == [{}] * 3
        assert [each.values["labels"] for each in together] == [[1.0], [5.0], [14.0]]
    assert len(told) == 1
    assert told[0].startswith(f"square: a batch of 3 clips failed, but each clip alone did not ({why}")
    assert told[0].endswith("Give its group a smaller batch")


@given(
    st.lists(st.sampled_from(["", "", "", "raise", "forget", "absent", "shape", "no_stream", "together"]), max_size=9)
)
@settings(deadline=None)
def test_every_clip_gets_together_what_it_gets_alone(hows: list[str]) -> None:
    group, _, _ = group_of()
    clips = [clip_of(index, how) for index, how in enumerate(hows)]
    together = run_together(group, *clips)
    assert len(together) == len(clips)
    assert all(same(each, group.run(clip)) for each, clip in zip(together, clips, strict=True))


# -- the config -------------------------------------------------------------------------------------------------------


def test_slots_suffice_for_one_batch_in_work_and_one_that_gathers() -> None:
    assert plan_of(workers=2, batch=16).slots == 2 * 2 * 16 + 2
    assert plan_of(workers=2).slots == 2 * 2 + 2


@pytest.mark.parametrize(
    ("group", "said"),
    [
        ({"batch": 0}, "config: groups[0].batch is 0; expected from 1 to 256"),
        ({"batch": 257}, "config: groups[0].batch is 257; expected from 1 to 256"),
        ({"wait_ms": -1.0}, "config: groups[0].wait_ms is -1.0; expected from 0 to 10000"),
        ({"wait_ms": float("nan")}, "config: groups[0].wait_ms is nan; expected from 0 to 10000"),
    ],
)
def test_a_batch_of_an_impossible_size_is_refused(group: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        plan_of(**group)
    assert str(caught.value) == said


def test_who_waits_is_not_to_be_taken_for_hung() -> None:
    groups = [{"stages": ["flow"], "wait_ms": 600.0}]
    with pytest.raises(ConfigError, match=r"groups\[0\].wait_ms is 600.0; expected from 0 to 500"):
        make_config({"groups": groups, "deadlines": {"clip_s": 1.0}})


def test_stages_that_carry_state_are_not_run_in_batches() -> None:
    groups = [{"stages": ["fake_model"]}, {"name": "last", "stages": ["fake_track"], "batch": 2}]
    with pytest.raises(ConfigError, match=r"groups.last.batch is 2; expected 1: a stage in it carries state"):
        make_plan(make_config(fake_config(groups=groups)))


# -- whole runs, with real processes ----------------------------------------------------------------------------------


def batched(batch: int = 4, workers: int = 1, wait_ms: float = 100.0, **sections: Any) -> dict[str, Any]:
    """The fakes, with a model that runs clips together."""
    stages = fake_config()["stages"] | {"fake_model": {"class": "tests.pipeline.fakes:FakeBatch"}}
    model = {"name": "model", "stages": ["fake_model"], "workers": workers, "batch": batch, "wait_ms": wait_ms}
    return {"stages": stages, "groups": [model, {"name": "track", "stages": ["fake_track"]}], **sections}


def gathered(ran: Ran) -> list[str]:
    """ "4 of 2" for every clip that was run in a batch of four clips of two sources."""
    return [record["labels"][1]["label"] for record in ran.records if len(record.get("labels", ())) > 1]


def without_batches(ran: Ran) -> list[dict[str, Any]]:
    """The records without what tells how they were made."""
    return [
        {key: value for key, value in record.items() if key != "tries"} | {"labels": record.get("labels", [])[:1]}
        for record in ran.records
    ]


def test_clips_of_sources_that_are_decoded_at_once_share_batches(tmp_path: Path) -> None:
    sources = ("fake:clips=40,slow_decode_ms=2", "fake:clips=40,slow_decode_ms=2")
    alone = run_fakes(tmp_path, *sources, **batched(batch=1))
    together = run_fakes(tmp_path, *sources, **batched(decode={**fake_config()["decode"], "workers": 2}))
    assert without_batches(together) == without_batches(alone)
    assert gathered(alone) == []
    sizes = Counter(gathered(together))
    assert set(sizes) & {"2 of 2", "3 of 2", "4 of 2"}, sizes
    assert together.account.mean_batch["model"] > 1.5, sizes
    assert alone.account.mean_batch == {}
    assert "track" not in together.account.mean_batch


def test_the_last_clips_do_not_wait_for_more_than_their_time(tmp_path: Path) -> None:
    ran = run_fakes(tmp_path, "fake:clips=6", **batched(batch=4, wait_ms=1500.0))
    assert ran.account.results == 6
    assert Counter(gathered(ran)) == {"4 of 1": 4, "2 of 1": 2}
    assert ran.account.elapsed_s - ran.account.ready_s > 1.5


def test_slots_fewer_than_a_batch_make_smaller_batches(tmp_path: Path) -> None:
    ran = run_fakes(tmp_path, "fake:clips=12", **batched(batch=16, wait_ms=50.0, queue={"slots": 3}))
    assert ran.account.results == 12
    assert 1 <= ran.account.mean_batch["model"] <= 3


@pytest.mark.parametrize("wish", ["die", "raise"])
def test_a_bad_clip_in_a_batch_becomes_the_only_error_record(tmp_path: Path, wish: str) -> None:
    ran = run_fakes(tmp_path, f"fake:clips=24,{wish}=9", "fake:clips=8", **batched(wait_ms=500.0))
    assert ran.clips() == [*range(24), *range(8)]
    assert [record["clip"] for record in ran.records if "error" in record] == [9]
    said = {"die": "model: killed by SIGKILL; given up after 3 tries", "raise": "fake_model: ValueError: asked to fail"}
    assert ran.records[9]["error"] == said[wish]
    assert all(record.get("tries", 1) == 1 for record in ran.records if record["clip"] != 9)
    assert (ran.account.results, ran.account.errors) == (31, 1)
    assert ran.account.mean_batch["model"] > 1.5
    assert "4 of 1" in gathered(ran), "after it, clips are run together again"


def test_clips_under_suspicion_are_run_alone_and_at_once(tmp_path: Path) -> None:
    ran = run_fakes(tmp_path, "fake:clips=8,die=5", **batched(wait_ms=4000.0))
    assert [record["clip"] for record in ran.records if "error" in record] == [5]
    assert ran.clips() == list(range(8))
    # The first four ran together, unless their answer died with the worker; the other four are tried one by one.
    assert gathered(ran) in (["4 of 1"] * 4, [])
    assert ran.account.elapsed_s - ran.account.ready_s < 20, "six trials that wait would take 24 s"


def test_a_batch_that_is_too_large_is_said_and_costs_nothing_else(tmp_path: Path) -> None:
    ran = run_fakes(tmp_path, "fake:clips=12,raise_together=1", **batched())
    assert ran.account.results == 12
    assert len(ran.account.messages) == 1
    assert "clips failed, but each clip alone did not (MemoryError: too many at once)" in ran.account.messages[0]


@pytest.mark.slow
def test_a_clip_that_hangs_in_a_batch_is_found(tmp_path: Path) -> None:
    ran = run_fakes(tmp_path, "fake:clips=12,hang=5", **batched(wait_ms=100.0, deadlines={"clip_s": 1.0}))
    assert ran.clips() == list(range(12))
    assert [record["clip"] for record in ran.records if "error" in record] == [5]
    assert "model: hung: working clip 5 of source 0" in ran.records[5]["error"]


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_every_clip_has_one_outcome_whatever_is_wrong_with_which(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    sources, bad = [], []
    for _ in range(3):
        count = chance.randint(5, 30)
        wrong = chance.sample(range(3, count), min(count - 3, chance.randint(0, 4)))
        killers = wrong[: len(wrong) // 2]
        wishes = [f"{name}={'+'.join(map(str, chosen))}"
                  for name, chosen in (("die", killers), ("raise", wrong[len(killers) :])) if chosen]  # fmt: skip
        sources.append(",".join([f"fake:clips={count}", "slow_decode_ms=1", *wishes]))
        bad.append(sorted(wrong))
    ran = run_fakes(
        tmp_path,
        *sources,
        **batched(
            batch=chance.choice([2, 5, 16]),
            workers=chance.choice([1, 2]),
            wait_ms=chance.choice([0.0, 20.0, 200.0]),
            decode={**fake_config()["decode"], "workers": 2},
        ),
    )
    for index, source in enumerate(sources):
        mine = [record for record in ran.records if record["source"] == source]
        if sources.count(source) == 1:
            assert [record["clip"] for record in mine] == list(range(int(source.split("=")[1].split(",")[0])))
            assert [record["clip"] for record in mine if "error" in record] == bad[index], source
    assert ran.account.errors == sum(map(len, bad))


@pytest.mark.slow
def test_after_random_kills_batches_give_what_a_clean_run_gives(tmp_path: Path) -> None:
    sources = ("fake:clips=120,slow_decode_ms=5", "fake:clips=120,slow_decode_ms=5")
    sections = batched(workers=2, wait_ms=30.0)
    sections["stages"]["fake_model"] |= {"busy_ms": 10.0}
    clean = run_fakes(tmp_path, *sources, **sections)
    killer = Killer(5, kills=16, every_clips=12)
    ran, supervisor = harassed_run(tmp_path, killer, *sources, **sections)
    assert killer.left == 0, "the run was over too early to be killed often enough"
    assert ran.account.errors == 0, [record["error"] for record in ran.records if "error" in record]
    assert without_batches(ran) == without_batches(clean)
    assert_nothing_leaked(supervisor)
