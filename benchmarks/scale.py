"""How far more workers help: the measured times of the cells, replayed on Dask's scheduler by stages that sleep.

    python -m benchmarks.scale [--budget quick] [--speed 100] [--workers 1,10,100] [--seeds 1,5,50]

In:  reports/<budget>/cells, the seconds of each training.
Out: a table on standard output: what `make launch` would take, in the time of the measurements; the share of the
     workers' time that was work; and what limits it: the workers, the longest training, or the hand-out of work.
Everything but the stages is real: Dask's scheduler, its workers (threads of a few processes), the launch's own queue.
`--speed` says how many seconds of a stage one second of sleep stands for; recording in dvc.lock is not replayed.
"""

import json
import time
from pathlib import Path
from typing import Any

import click
from distributed import LocalCluster

from benchmarks.engine import Names
from stages.launch.cluster import Order, connected, run
from stages.launch.work import Command, Result, Unit
from stages.report.markdown import table

WORKERS = ("1", "2", "4", "10", "34", "100", "340", "1000")
SEEDS = ("1", "5", "20", "50")
THREADS = 125  # workers of one process, at most: they sleep


def seconds_of(record: dict[str, Any]) -> float:
    """What the training of a cell took, by its run record."""
    return float(record["run"]["times"]["seconds"])


def rest(unit: Unit, order: Order) -> Result:
    """Sleep as long as the unit says."""
    time.sleep(float(unit.commands[0].command))
    return Result(unit.name, (), None)


def replay(scheduler: str, times: list[float], seeds: int, speed: float) -> float:
    """The makespan of all cells and seeds, in the time of the measurements."""
    units = [
        Unit(f"{cell}-{seed}", (Command("", str(seconds / speed), ()),))
        for cell, seconds in enumerate(sorted(times, reverse=True))
        for seed in range(seeds)
    ]
    with connected(scheduler, 0, "replay", lambda _: None) as client:
        start = time.monotonic()
        for _ in run(client, units, Order("replay", {}, {}), rest):
            pass
        return (time.monotonic() - start) * speed


@click.command()
@click.option("--budget", default="quick", show_default=True)
@click.option("--speed", type=click.FloatRange(min=1), default=20.0, show_default=True)
@click.option("--workers", type=Names(list(WORKERS)), default=",".join(WORKERS), show_default=True)
@click.option("--seeds", type=Names(list(SEEDS)), default=",".join(SEEDS), show_default=True)
def main(budget: str, speed: float, workers: list[str], seeds: list[str]) -> None:
    """Replay every combination."""
    times = [seconds_of(json.loads(path.read_text())) for path in Path(f"reports/{budget}/cells").rglob("*-s0.json")]
    rows = []
    for count in map(int, workers):
        processes = -(-count // THREADS)
        with LocalCluster(
            n_workers=processes, threads_per_worker=count // processes, host="127.0.0.1", dashboard_address=None
        ) as cluster:
            for seed in map(int, seeds):
                total, longest = sum(times) * seed, max(times)
                made = replay(cluster.scheduler_address, times, seed, speed)
                bound = max(total / count, longest)
                limit = "longest training" if longest > total / count else "workers"
                limit = "hand-out" if made > 1.5 * bound else limit
                rows.append([str(count), str(seed), f"{made:.0f} s", f"{total / count / made:.0%}", limit])
                click.echo(" ".join(rows[-1]), err=True)
    click.echo(table(["workers", "seeds", "makespan", "efficiency", "limit"], rows))


if __name__ == "__main__":
    main()
