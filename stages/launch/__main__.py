"""Run every pending training and evaluation, as many at a time as the machine or a Dask cluster holds, then the tables.

    python -m stages.launch [--jobs 8] [--cells cifar10/vgg16,mnist/resnet18] [--seeds 0,1]
    python -m stages.launch --scheduler tcp://10.0.0.1:8786

In:  what `dvc repro` has; `download` and `preprocess` run first, by DVC itself.
Out: what `dvc repro` would have made, recorded in dvc.lock: it then finds nothing to do. A budget with `threads: auto`
     gives each training one thread, so its bits are those of `dvc repro` with one. Logs are in .cache/launch.
Ctrl-C ends what runs; a second start goes on from each training's last epoch. A cell that fails is named at the end,
with exit status 1; the others run.
"""

import os
import signal
import subprocess
import sys
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING

import click

from stages.config.params import Params, load_params
from stages.core.errors import ParamError, StageError
from stages.core.locks import exclusive
from stages.core.progress import say
from stages.launch.work import Result, Unit
from stages.records.eta import Expected, Training
from stages.records.provenance import stage_name

if TYPE_CHECKING:
    from stages.launch.pipeline import Pipeline

RUNS = Path("data/runs")


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@click.command()
@click.option("--jobs", type=click.IntRange(min=1), default=cores(), help="by default one a core")
@click.option("--budget", help="the one that params.yaml chooses, named to be sure")
@click.option("--cells", help="some of the planned cells, separated by commas; by default all")
@click.option("--seeds", help="some of the seeds of params.yaml, separated by commas; by default all")
@click.option("--scheduler", metavar="ADDRESS", help="of a Dask cluster that is there, instead of an embedded one")
def main(jobs: int, budget: str | None, cells: str | None, seeds: str | None, scheduler: str | None) -> None:
    """Run what is pending, many at a time."""
    params = load_params()
    if budget not in (None, params.budget):
        raise ParamError("--budget", budget, f"{params.budget}, which params.yaml chooses; change `budget` there")
    chosen = chosen_trainings(params, cells, seeds)
    for number in (signal.SIGTERM, signal.SIGHUP):  # end what runs then too
        signal.signal(number, signal.default_int_handler)
    with exclusive(Path("dvc.yaml"), "another launch runs in this checkout"):
        launch(params, chosen, jobs, scheduler)


def chosen_trainings(params: Params, cells: str | None, seeds: str | None) -> list[Training]:
    """The planned trainings of those cells and seeds. Raises ParamError for one that is not planned."""
    known = {str(key): key for key in params.cell_keys()}
    names = cells.split(",") if cells else list(known)
    numbers = seeds.split(",") if seeds else [str(seed) for seed in params.seeds]
    for option, found, allowed in (("--cells", names, list(known)), ("--seeds", numbers, list(map(str, params.seeds)))):
        for value in found:
            if value not in allowed:
                raise ParamError(option, value, "of those that params.yaml plans: " + ", ".join(allowed))
    return [Training(known[name], int(number)) for name in dict.fromkeys(names) for number in dict.fromkeys(numbers)]


def launch(params: Params, chosen: list[Training], jobs: int, scheduler: str | None) -> None:
    """Prepare the data, run what is pending of the chosen trainings, and make the tables."""
    dvc("repro", *sorted({f"preprocess@{params.budget}-{training.key.dataset}" for training in chosen}))
    from stages.launch.pipeline import Pipeline  # DVC takes a second to import

    pipeline = Pipeline()
    units = pending(pipeline, params.budget, chosen)
    failed = run_units(pipeline, params, units, jobs, scheduler) if units else {}
    if failed:
        lines = "".join(f"\n  {failure}" for failure in failed.values())
        what = f"{len(failed)} of {len(units)} failed, the others are done; the tables are as they were"
        raise StageError(f"{what}:{lines}")
    every = pending(pipeline, params.budget, chosen_trainings(params, None, None))
    if every:
        say(f"the tables are as they were: {len(every)} of all planned cells and seeds have not run")
    else:
        dvc("repro", f"aggregate-tables@{params.budget}", "audit-paper")
        say(f"tables: reports/{params.budget}/tables/tables.md")


def pending(pipeline: "Pipeline", budget: str, trainings: list[Training]) -> dict[Training, Unit]:
    """What of the trainings and their evaluations is stale, once all that DVC's run-cache has is put back."""
    trains = {training: stage_name("train", training.key, budget, training.seed) for training in trainings}
    evaluates = {training: stage_name("evaluate", training.key, budget, training.seed) for training in trainings}
    stale = pipeline.stale(trains.values())
    stale -= pipeline.restore(sorted(stale))
    tested = pipeline.stale(name for training, name in evaluates.items() if trains[training] not in stale)
    stale |= tested - pipeline.restore(sorted(tested))
    units = {}
    for training in trainings:
        names = [trains[training], evaluates[training]]
        stages = names if names[0] in stale else [name for name in names if name in stale]
        if stages:
            unit = f"{training.key} seed {training.seed}"
            trained = [name for name in names[:1] if name not in stages]
            inputs = [f"preprocess@{budget}-{training.key.dataset}", *trained]
            units[training] = Unit(unit, tuple(pipeline.command(name) for name in stages), tuple(inputs))
    return units


def run_units(
    pipeline: "Pipeline", params: Params, units: dict[Training, Unit], jobs: int, scheduler: str | None
) -> dict[str, str]:
    """Run units, the longest first, and record each as it ends; returns why some failed, by their names."""
    from stages.launch.cluster import Order, connected, run, slots
    from stages.launch.view import View

    def weights() -> dict[str, float]:
        expected = Expected(params, params.budget, RUNS / params.budget)
        return {unit.name: expected.weight(training) for training, unit in units.items()}

    view = View(weights())
    longest_first = sorted(units.values(), key=lambda unit: -view.expected[unit.name])
    inputs = sorted({name for unit in units.values() for name in unit.inputs})
    if scheduler and pipeline.has_remote():
        pipeline.push(inputs)  # for workers that share no files
    variables = {"OMP_NUM_THREADS": "1"} if params.chosen_budget().threads == "auto" else {}
    order = Order(token_hex(), pipeline.entries(inputs), variables)
    with (
        pipeline.busy(command.stage for unit in units.values() for command in unit.commands),
        connected(scheduler, jobs, order.token, view.hear) as client,
    ):
        view.slots = slots(client, order.token)
        with view.shown(client.dashboard_link):
            for results in run(client, longest_first, order):
                view.slots = slots(client, order.token)
                if results:
                    told = record(pipeline, results)
                    view.expected = weights()
                    for result in told:
                        view.finished(result)
    return view.failed


def record(pipeline: "Pipeline", results: list[Result]) -> list[Result]:
    """Record what has ended; what was refused comes back as failed."""
    told = []
    for result in results:
        try:
            if result.parcel:
                pipeline.receive(result.parcel)
            told.append(result)
        except StageError as error:
            told.append(Result(result.unit, (), f"{result.unit}: {error}"))
    refused = pipeline.record([one for result in told for one in result.done])
    return [result.refused(refused) for result in told]


def dvc(*arguments: str) -> None:
    """Run DVC in the same environment. Raises StageError when it fails; it has said why."""
    with subprocess.Popen([sys.executable, "-m", "dvc", "--wait-for-lock", *arguments]) as process:  # noqa: S603
        try:
            process.wait()
        except KeyboardInterrupt:  # DVC ends its stage and then itself, which must not be cut short
            process.send_signal(signal.SIGINT)
            process.wait()
            raise
    if process.returncode:
        raise StageError(f"dvc {' '.join(arguments)} failed")


if __name__ == "__main__":
    main()
