"""The process in which stages answer what they are asked beside the clips of a watch, such as for other labels."""

import traceback

import msgspec

from pipeline.build import make_stages
from pipeline.bus import Bus
from pipeline.errors import PerceptError
from pipeline.messages import PROTOCOL_VERSION, Hello, Reply, Request, Stop
from pipeline.plan import Plan
from pipeline.relay import relay_warnings
from pipeline.slots import Phase, Slots
from pipeline.stage import Stage


def run_clerk(worker: int, seat: int, plan: Plan, slots: Slots) -> None:
    """Answer requests until asked to stop. A question that fails costs only itself."""
    bus = Bus(plan.settings.directory, worker)
    relay_warnings(bus)
    stages = make_stages(plan.config, plan.settings, plan.budget)
    bus.send(Hello(worker, PROTOCOL_VERSION))
    while True:
        slots.watch(seat, Phase.IDLE)
        message = bus.receive()
        if isinstance(message, Stop):
            break
        if isinstance(message, Request):
            slots.watch(seat, Phase.WORKING)
            bus.send(_answer(stages[message.stage], message))
    bus.close()


def _answer(stage: Stage, request: Request) -> Reply:
    try:
        return Reply(request.id, msgspec.msgpack.encode(stage.ask(msgspec.msgpack.decode(request.body))))
    except PerceptError as error:
        return Reply(request.id, error=str(error))
    except Exception as error:
        traceback.print_exc()
        return Reply(request.id, error=f"{type(error).__name__}: {error}")
