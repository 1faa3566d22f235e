"""What a launch would refuse, found before it starts."""

from collections.abc import Iterator

from stages.config.params import Training
from stages.core.checkout import commit, gibibytes, links, room, user_name
from stages.core.errors import StageError
from stages.plan.campaign import Campaign
from stages.records.provenance import git_state


def preflight_problems(planned: Campaign) -> list[str]:
    """One line for each thing that stands in the way, with its cure."""
    return list(_problems(planned)) if planned.left else []


def _problems(planned: Campaign) -> Iterator[str]:
    without, machine = commit(), planned.machine
    yield from [*without, *user_name(), *links()]
    try:
        if not without:
            git_state()  # whose changes may be too long to be kept
    except StageError as error:
        yield error.message
    device = planned.params.chosen_budget(planned.budget).device
    if device == "cuda" and not machine.gpus:
        where = f"budgets.{planned.budget}.device in params.yaml"
        yield f"device: 'cuda' is not available here; allowed: auto or cpu ({where})"
    foreign = [training for training in planned.left if planned.precision(training) == "bfloat16"]
    if foreign and machine.bfloat16 is False:  # emulated bfloat16, as on a processor, has another name
        yield _no_bfloat16(planned, foreign)
    needed = planned.weights() + planned.data()
    yield from room(needed, machine.disk)
    if planned.memory()[0] > machine.memory:
        free = gibibytes(machine.memory)
        yield f"memory: one training takes about {gibibytes(planned.memory()[0])}, and {free} are free"


def _no_bfloat16(planned: Campaign, without: list[Training]) -> str:
    device = planned.machine.machine.device
    return (
        f"precision: 'bfloat16' of {len(without)} trainings, and this {device} does not multiply it natively; "
        f"allowed: float32 (budgets.{planned.budget}.precision in params.yaml), or another machine"
    )
