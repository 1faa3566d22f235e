"""How far more workers help: the measured times of the cells, replayed on Dask's scheduler by stages that sleep.

    python -m benchmarks.scale [--budget quick] [--seconds 20] [--workers 1,10,100] [--seeds 1,5,50]

In:  reports/<budget>/cells, the seconds of each training.
Out: a table on standard output: how long the trainings would take, the share of the workers' time that would be work,
     and what limits it: the workers, the longest training, or the hand-out of work.
Everything but the stages is real: Dask's scheduler, its workers (threads of a few processes), the launch's own queue.
Stages sleep shortened, so that a replay takes about `--seconds`; what it takes longer than an ideal hand-out of the
same shortened stages is the cost of handing out, which does not shrink with them. Recording in dvc.lock is left out.
"""

import heapq
import time
from pathlib import Path

import click
from distributed import LocalCluster

from benchmarks.options import Names
from stages.core.errors import MissingFileError
from stages.launch.cluster import LaunchContext, connected, run
from stages.launch.work import Command, Result, Unit
from stages.records.evaluation import Evaluation
from stages.records.run import TrainingRun
from stages.report.markdown import table

WORKERS = ("1", "2", "4", "10", "34", "100", "340", "1000")
SEEDS = ("1", "5", "20", "50")
THREADS = 125  # workers of one process, at most: they sleep


def seconds_of(run: TrainingRun) -> float:
    """What the training of a cell took, by its run record."""
    return sum(epoch.seconds for epoch in run.times.epochs)


def rest(unit: Unit, context: LaunchContext) -> Result:
    """Sleep as long as the unit says."""
    time.sleep(float(unit.commands[0].command))
    return Result(unit.name, (), None)


def ideal(times: list[float], workers: int) -> float:
    """The makespan when each worker that is free takes the longest that is left, at once."""
    busy = [0.0] * workers
    for seconds in sorted(times, reverse=True):
        heapq.heapreplace(busy, busy[0] + seconds)
    return max(busy)


def replay(scheduler: str, times: list[float]) -> float:
    """The seconds that stages which sleep so long take on the cluster there."""
    longest_first = sorted(times, reverse=True)
    units = [Unit(str(number), (Command("", str(seconds), ()),)) for number, seconds in enumerate(longest_first)]
    with connected(scheduler, 0, "replay", lambda _: None) as client:
        start = time.monotonic()
        for _ in run(client, units, LaunchContext("replay", {}, []), rest):
            pass
        return time.monotonic() - start


@click.command()
@click.option("--budget", default="quick", show_default=True)
@click.option("--seconds", type=click.FloatRange(min=1), default=20.0, show_default=True, help="of one replay")
@click.option("--workers", type=Names(list(WORKERS)), default=",".join(WORKERS), show_default=True)
@click.option("--seeds", type=Names(list(SEEDS)), default=",".join(SEEDS), show_default=True)
def main(budget: str, seconds: float, workers: list[str], seeds: list[str]) -> None:
    """Replay every combination."""
    made_by = f"dvc repro, budget {budget}"
    paths = Path(f"reports/{budget}/cells").rglob("*-s0.json")
    cells = [seconds_of(Evaluation.read(path, made_by).run) for path in paths]
    if not cells:
        raise MissingFileError(f"reports/{budget}/cells/*/*-s0.json", made_by)
    rows = []
    for count in map(int, workers):
        processes = -(-count // THREADS)
        shape = {"n_workers": processes, "threads_per_worker": -(-count // processes)}
        with LocalCluster(**shape, host="127.0.0.1", dashboard_address=None) as cluster:
            slots = processes * shape["threads_per_worker"]
            for seed in map(int, seeds):
                times = cells * seed
                best = ideal(times, slots)
                shortened = min(1.0, seconds / best)
                cost = replay(cluster.scheduler_address, [length * shortened for length in times]) - best * shortened
                took = best + cost
                limit = "longest training" if max(times) > sum(times) / slots else "workers"
                limit = "hand-out" if cost > 0.2 * best else limit
                share = sum(times) / slots / took
                rows.append([str(slots), str(seed), f"{took:.0f} s", f"{cost:.1f} s", f"{share:.0%}", limit])
                click.echo(" ".join(rows[-1]), err=True)
    click.echo(table(["workers", "seeds", "makespan", "of it hand-out", "efficiency", "limit"], rows, range(5)))


if __name__ == "__main__":
    main()
