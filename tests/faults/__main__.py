"""Throw at the real pipeline what users and machines throw, and print a table: fault, times tried, survived, lost.

    python -m tests.faults [--seed 0] [--amount 1.0] [--only downloads,files]        (or: make faults)

In:  this checkout; for kills, storage, tracking and two at once also MNIST and CIFAR10 (DATASETS_FOLDER), from which a
     shrunk project is made in a temporary folder. All that is thrown is drawn from the seed.
Out: a markdown table on standard output, what was lost below it, and exit status 1 if anything was. Nothing of this
     checkout is changed. 6 minutes on two quiet cores with --amount 1; less with a smaller one.
"""

import time

import click

from benchmarks.options import Names
from stages.core.errors import StageError
from stages.core.progress import duration, say
from stages.launch.machine import cores
from tests.faults.outcome import Outcome
from tests.faults.throwing import KINDS, throw


@click.command()
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--amount", type=click.FloatRange(0.01, 10), default=1.0, show_default=True, help="of the full number")
@click.option("--only", type=Names(list(KINDS)), default=",".join(KINDS), show_default=True)
def main(seed: int, amount: float, only: list[str]) -> None:
    """Throw faults at the pipeline and count what survives."""
    start = time.monotonic()
    outcomes = throw(only, seed, amount, cores())
    click.echo(table(outcomes))
    say(f"seed {seed}, amount {amount:g}, {duration(time.monotonic() - start)}")
    if lost := [f"{one.kind}, {one.fault}: {why}" for one in outcomes for why in one.lost]:
        raise StageError("\n  ".join(["lost:", *lost]))


def table(outcomes: list[Outcome]) -> str:
    """The outcomes as a markdown table."""
    lines = ["| kind | fault | tried | survived | lost |", "| --- | --- | ---: | ---: | ---: |"]
    rows = [f"| {one.kind} | {one.fault} | {one.tried} | {one.survived} | {len(one.lost)} |" for one in outcomes]
    return "\n".join([*lines, *rows])


if __name__ == "__main__":
    main()
