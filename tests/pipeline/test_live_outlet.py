"""What the page sees of a watch, and how old answers are."""

from pipeline.clip import ClipInfo, LiveFacts
from pipeline.ledger import Ledger
from pipeline.live_outlet import MOST_SHOWN, LiveOutlet
from pipeline.messages import Finished, Records
from tests.pipeline.crew import Crew, Post, fake_plan

PLAN = fake_plan()


def outlet() -> tuple[LiveOutlet, Post]:
    post = Post()
    made = LiveOutlet(Ledger(PLAN.groups, PLAN.slot_arrays, lambda slot: None), post)
    crew = Crew()
    made.worker = crew.spawn("sink", "output")
    made.begin_page(crew.spawn("page", "page"))
    assert made.page is not None
    made.worker.ready = made.page.ready = True
    return made, post


def clip(index: int, captured_ns: int = 1, gap: bool = False) -> Finished:
    live = LiveFacts(wall_ns=1, captured_ns=captured_ns)
    return Finished(ClipInfo("door", 0, index, 0, 1, live=live), gap=gap)


def test_the_page_gets_more_when_it_has_read_what_it_got() -> None:
    made, post = outlet()
    assert made.worker is not None
    sent = 0
    for index in range(3 * MOST_SHOWN):
        made._send_records(made.worker, [clip(index)])
        got = [message for name, message in post.take() if name == "page" and isinstance(message, Records)]
        sent += len(got)
        if index < 2 * MOST_SHOWN:
            made.shown(len(got))
    assert sent == 3 * MOST_SHOWN
    made._send_records(made.worker, [clip(-1)])
    assert not [name for name, _ in post.take() if name == "page"], "it has not read the last ones"


def test_a_gap_has_no_age() -> None:
    made, _ = outlet()
    made._note_position(clip(-1, captured_ns=0, gap=True))
    assert made.ages_s == {}
    made._note_position(clip(0))
    assert len(made.ages_s[0]) == 1
