import io

from pipeline.logs import start_logging
from training.train.voice import Voice


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def test_what_is_left_is_reckoned_from_the_first_one_on() -> None:
    clock, lines = Clock(), io.StringIO()
    start_logging(stream=lines)
    voice = Voice(io.StringIO(), live=False, clock=clock)
    voice.begin("training: step", 100)
    for clock.now_s, step in ((60.0, 1), (61.0, 2), (75.0, 16)):  # a minute passes before the first
        voice.tell(step, {"loss": 1.23456})
    assert lines.getvalue().splitlines() == [
        "percept: training: step 1 of 100, loss 1.235",
        "percept: training: step 16 of 100, 1:24 left, loss 1.235",
    ]


def test_a_terminal_has_one_line_that_is_taken_away() -> None:
    clock, stream = Clock(), io.StringIO()
    voice = Voice(stream, live=True, clock=clock)
    voice.begin("encoding clips:", 4)
    for done in (1, 2, 3):
        clock.now_s += 1
        voice.tell(done)
    voice.clear()
    assert stream.getvalue().endswith("encoding clips: 3 of 4, 0:01 left\r\x1b[K")
    assert "\n" not in stream.getvalue()
