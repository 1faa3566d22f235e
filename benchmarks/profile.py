"""Where the time of a training step goes, by the engine's layers and PyTorch's operators.

    python -m benchmarks.profile [--family vgg16] [--optimizer adam] [--threads 2] [--steps 20]

In:  CIFAR10 as stage `preprocess` leaves it.
Out: a table on standard output: milliseconds of a step and share of it, of everything that runs one after the other.
     Above 5 % of the machine in other hands it says so: two threads wait for each other, and little of it holds.
"""

import os
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import click

from benchmarks.families import FAMILIES, OPTIMIZERS, description
from benchmarks.machine import busy_elsewhere, usage
from stages.report.markdown import table

WARM_UP = 10  # steps before, in which memory is asked of the system
SMALLEST = 0.003  # share of a step, below which rows are taken together
BACKWARD = "autograd::engine::evaluate_function: "
NAMES = {
    "_ConvolutionFunction": "convolutions, forward",
    f"{BACKWARD}_ConvolutionFunctionBackward": "convolutions, backward",
    "_LinearFunction": "linear layers, forward",
    f"{BACKWARD}_LinearFunctionBackward": "linear layers, backward",
    "aten::_fused_adam_": "updates",
    "aten::_fused_sgd_": "updates",
    "aten::copy_": "copies, most of them the updates'",
    "aten::batch_norm": "batch norm, forward",
    f"{BACKWARD}NativeBatchNormBackward0": "batch norm, backward",
}


class Event(NamedTuple):
    """One call: when it began and ended, in microseconds."""

    name: str
    start: float
    end: float


def outermost(events: Iterable[Event]) -> list[Event]:
    """The calls that no other call is around, in the order of time."""
    found: list[Event] = []
    for event in sorted(events, key=lambda event: (event.start, -event.end)):
        if not found or event.start >= found[-1].end:
            found.append(event)
    return found


class Row(NamedTuple):
    """Calls and milliseconds of a step, and the share of it."""

    name: str
    calls: float
    milliseconds: float
    share: float


def rows(events: Sequence[Event], steps: int) -> list[Row]:
    """What the calls of so many steps took, longest first, and what is between them."""
    whole = (events[-1].end - events[0].start) / steps / 1000
    spent: dict[str, list[float]] = defaultdict(list)
    for event in events:
        spent[NAMES.get(event.name, event.name.removeprefix(BACKWARD))].append(event.end - event.start)
    found = {name: Row(name, len(times) / steps, sum(times) / steps / 1000, 0.0) for name, times in spent.items()}
    between = whole - sum(row.milliseconds for row in found.values())
    small = [row for row in found.values() if row.milliseconds < SMALLEST * whole]
    large = [row for row in found.values() if row.milliseconds >= SMALLEST * whole]
    rest = Row("all others", sum(row.calls for row in small), sum(row.milliseconds for row in small), 0.0)
    every = [*large, rest, Row("between calls", 0.0, between, 0.0)]
    return [row._replace(share=row.milliseconds / whole) for row in sorted(every, key=lambda row: -row.milliseconds)]


@click.command()
@click.option("--family", type=click.Choice(list(FAMILIES)), default="vgg16", show_default=True)
@click.option("--optimizer", type=click.Choice(list(OPTIMIZERS)), default="adam", show_default=True)
@click.option("--threads", type=click.IntRange(min=1), default=os.cpu_count() or 1, help="by default all cores")
@click.option("--steps", type=click.IntRange(min=1), default=20, show_default=True)
def main(family: str, optimizer: str, threads: int, steps: int) -> None:
    """Profile steps of the engine, once memory is there."""
    description()  # before PyTorch, which takes seconds to import
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # its profiler reports that there is no GPU as an error
    from torch.profiler import ProfilerActivity, profile

    from benchmarks.ours import ours

    taken = ours(family, threads, optimizer)()
    for _ in range(WARM_UP):
        next(taken)
    start = usage()
    with profile(activities=[ProfilerActivity.CPU]) as profiled:
        for _ in range(steps):
            next(taken)
    busy_elsewhere(start, family)
    events = [Event(event.name, event.time_range.start, event.time_range.end) for event in profiled.events()]
    found = rows(outermost(events), steps)
    lines = [[row.name, f"{row.calls:.0f}", f"{row.milliseconds:.1f}", f"{row.share:.0%}"] for row in found]
    click.echo(table([f"{family}, {optimizer}, {threads} threads", "calls", "ms a step", "share"], lines, (1, 2, 3)))


if __name__ == "__main__":
    main()
