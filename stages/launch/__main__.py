"""Run the trainings and evaluations that are left, as many at a time as a machine or a Dask cluster holds, then tables.

    python -m stages.launch [--jobs 8] [--cells cifar10/vgg16,mnist/resnet18] [--seeds 0,1] [--weights]
    python -m stages.launch --scheduler tcp://10.0.0.1:8786

In:  what `dvc repro` has; `resolve`, `download` and `preprocess` run first, by DVC itself.
Out: what `dvc repro` would have made, recorded in dvc.lock. A recorded result is done, whether its weights are here or
     not; with --weights, what has none here is trained again, and `dvc repro` then finds nothing to do. The tables are
     made from the results that are there, every so often and at the end. Logs are in .cache/launch.
Ctrl-C ends what runs; a second start goes on from each training's last epoch. A cell that fails is named at the end,
with exit status 1; the others run.
"""

import stages.core.environment  # noqa: F401  # isort: skip

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING

import click

from stages.config.loading import load_params
from stages.config.params import Params, Training
from stages.core.checkout import commit, gibibytes, links
from stages.core.errors import ParamError, StageError, did_you_mean, meant
from stages.core.filenames import RECORD
from stages.core.files import write_bytes
from stages.core.locks import exclusive
from stages.core.progress import say
from stages.launch.machine import cores, memory_free, this_machine
from stages.launch.sizes import at_once, memory_needed, recorded_sizes
from stages.launch.work import Result, Unit
from stages.records.attempts import attempts_path, merge
from stages.records.copies import find_arrays, same_but_copies
from stages.records.dvc_lock import LOCK_FILE
from stages.records.eta import Eta, finished_runs
from stages.records.evaluation import results_folder
from stages.records.run import TrainingRun
from stages.records.spec import resolve_specs

if TYPE_CHECKING:
    from stages.launch.pipeline import Pipeline

RAW, RUNS = Path("data/raw"), Path("data/runs")


@click.command()
@click.option(
    "--jobs",
    type=click.IntRange(min=1),
    help="trainings at a time; by default one per core as far as memory holds them, or one per GPU where GPUs are used",
)
@click.option("--budget", help="must be the budget that params.yaml chooses; a safeguard for scripts")
@click.option("--cells", help="planned cells to run, separated by commas; by default all")
@click.option("--seeds", help="planned seeds to run, separated by commas; by default all")
@click.option("--weights", is_flag=True, help="train again what has a recorded result but no weights here")
@click.option(
    "--scheduler", metavar="ADDRESS", help="of a running Dask scheduler, to use instead of an embedded cluster"
)
def main(
    jobs: int | None, budget: str | None, cells: str | None, seeds: str | None, weights: bool, scheduler: str | None
) -> None:
    """Run what is left, many at a time."""
    params = load_params()
    if budget not in (None, params.budget):
        raise ParamError("--budget", budget, f"{params.budget}, which params.yaml chooses; change `budget` there")
    chosen = chosen_trainings(params, cells, seeds)
    end_on_signals()
    if problems := [*commit(), *links()]:
        raise StageError("\n  ".join(problems))
    if scheduler is not None:
        from stages.launch.cluster import client_of  # imports Dask, which takes a second

        client_of(scheduler).close()  # refused before anything runs
    with exclusive(Path("dvc.yaml"), "another launch runs in this checkout"):
        launch(params, chosen, jobs, scheduler, weights)


def end_on_signals() -> None:
    """Let SIGTERM and SIGHUP end what runs, as Ctrl-C does; one that is ignored (nohup) stays so."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler)


def chosen_trainings(params: Params, cells: str | None, seeds: str | None) -> list[Training]:
    """The planned trainings of those cells and seeds. Raises ParamError for one that is not planned."""
    planned = params.trainings()
    names, numbers = _listed("--cells", cells), _listed("--seeds", seeds)
    known_cells = list(dict.fromkeys(str(training.key) for training in planned))
    for name in names:
        if name not in known_cells:
            hint = _hint(params, name, known_cells)
            raise ParamError("--cells", name, f"the planned cells{hint}: {', '.join(known_cells)}")
    known_seeds = list(dict.fromkeys(str(training.seed) for training in planned))
    for number in numbers:
        if number not in known_seeds:
            raise ParamError("--seeds", number, f"the planned seeds: {', '.join(known_seeds)}")
    return [
        training
        for training in planned
        if (not names or str(training.key) in names) and (not numbers or str(training.seed) in numbers)
    ]


def _hint(params: Params, name: str, planned: list[str]) -> str:
    """What may be meant by a cell that is not planned."""
    if name in params.resolved:
        return f" (params.yaml has {name}; name it in `study_cells` or `more_cells` there)"
    same = [cell for cell in planned if cell.partition("/")[2] == name]
    return meant(same) or did_you_mean(name, planned)


def _listed(option: str, value: str | None) -> list[str]:
    if value == "":
        raise ParamError(option, value, "one or more, separated by commas; without the option all")
    return value.split(",") if value else []


def launch(params: Params, chosen: list[Training], jobs: int | None, scheduler: str | None, weights: bool) -> None:
    """Resolve the cells, run what is left of the chosen trainings, and make the tables."""
    from stages.launch.pending import changed_data, preprocess, todays_specs, trainings_left, units
    from stages.launch.pipeline import Pipeline  # DVC takes a second to import

    budget = params.budget
    dvc("repro", "--single-item", f"resolve@{budget}", f"architectures@{budget}")  # the tables' own inputs
    datasets = sorted({training.key.dataset for training in chosen})
    pipeline = Pipeline()
    if changed := changed_data(pipeline, budget, datasets):
        refuse_own_output([dataset for dataset in changed if pipeline.changed(f"download@{dataset}")])
        dvc("repro", *(preprocess(budget, dataset) for dataset in changed))
    pipeline = Pipeline()
    waiting = trainings_left(pipeline, todays_specs(params, budget), budget, chosen, weights)
    say(f"{len(chosen) - len(waiting)} of {len(chosen)} trainings are done")
    failed: dict[str, str] = {}
    if waiting:
        done = set() if weights else {one.key.dataset for one in chosen if one not in waiting}
        pipeline = make_arrays(pipeline, budget, sorted({one.key.dataset for one in waiting}), done)
        work = units(pipeline, budget, waiting)
        failed = run_units(pipeline, params, work, jobs, scheduler) if work else {}
    problems = list(failed.values())
    try:
        make_tables(budget)
    except StageError as error:
        problems.append(f"tables not made: {error.message}")
    if failed:
        raise StageError("\n  ".join([f"{len(failed)} of {len(waiting)} failed, the others are done:", *problems]))
    if problems:
        raise StageError(problems[0])


def refuse_own_output(datasets: Sequence[str]) -> None:
    """Raise StageError where the data sets that DVC removes and downloads again are to be taken from themselves."""
    named = os.environ.get("DATASETS_FOLDER")
    folder = Path(named).expanduser().resolve() if named else None
    if not datasets or folder is None:
        return
    archives = folder.is_dir() and any(path.is_file() for path in folder.iterdir())  # which DVC does not remove
    if folder in [(RAW / dataset).resolve() for dataset in datasets] or (folder == RAW.resolve() and not archives):
        raise StageError(
            f"DATASETS_FOLDER={named} is where the pipeline keeps its raw data, and DVC removes it before it is read; "
            "name another folder, or unset DATASETS_FOLDER"
        )


def make_arrays(pipeline: "Pipeline", budget: str, datasets: Sequence[str], done: set[str]) -> "Pipeline":
    """Make the arrays of data sets; returns the pipeline as it is then.

    `done` are the data sets with recorded results. Says so where only augmented copies differ from theirs. Raises
    StageError, and leaves dvc.lock as it was, where anything else does.
    """
    from stages.launch.pending import preprocess
    from stages.launch.pipeline import Pipeline

    stages = {dataset: preprocess(budget, dataset) for dataset in datasets}
    before = {dataset: pipeline.locked(stage).outs for dataset, stage in stages.items()}
    lock = LOCK_FILE.read_bytes() if LOCK_FILE.is_file() else None
    dvc("repro", *stages.values())
    found = Pipeline()
    for dataset in done & stages.keys():
        after, cells = found.locked(stages[dataset]).outs, results_folder(budget) / dataset
        # The sample sheets, which show copies, lie in reports/.
        arrays = {path: md5 for path, md5 in before[dataset].items() if not path.startswith("reports/")}
        if other := [path for path, md5 in arrays.items() if after.get(path) != md5]:
            if all(_differ_in_copies(path, arrays[path], after.get(path), cells) for path in other):
                say(
                    f"{dataset}: augmented copies have other bytes than those of the recorded results, as on another "
                    "kind of processor; the results stay done"
                )
                continue
            if lock is not None:
                write_bytes(LOCK_FILE, lock)
            raise StageError(
                f"{stages[dataset]}: {', '.join(other)} differs from the arrays of the recorded results. dvc.lock is "
                f"unchanged. Fetch those arrays (dvc pull {stages[dataset]}), go on where the results were made, or "
                "train all again with --weights"
            )
    return found


def _differ_in_copies(folder: str, before: str, after: str | None, cells: Path) -> bool:
    """Whether the arrays with these two md5 of a folder differ in augmented copies alone; False if that is unknown."""
    one, other = find_arrays(folder, before, cells), find_arrays(folder, after, cells) if after else None
    return one is not None and other is not None and same_but_copies(one, other)


def make_tables(budget: str) -> None:
    """Make the tables from the results that are there. Missing weights have no part in it: `--single-item`."""
    from stages.launch.tables import has_results, tables_stage

    if not has_results(budget):
        say(f"no tables: there is no result in reports/{budget}/cells")
        return
    dvc("repro", "--single-item", tables_stage(budget), "audit-paper")
    say(f"tables: reports/{budget}/tables/tables.md")


def run_units(
    pipeline: "Pipeline", params: Params, units: dict[Training, Unit], jobs: int | None, scheduler: str | None
) -> dict[str, str]:
    """Run units, the longest first, and record each as it ends; returns why some failed, by their names."""
    from stages.launch.cluster import LaunchContext, connected, run, slots
    from stages.launch.tables import Tables
    from stages.launch.view import View

    here = None if scheduler is not None else this_machine(params.chosen_budget().device)
    recorded_runs = finished_runs(RUNS / params.budget, results_folder(params.budget))
    eta = Eta(params, params.budget, recorded_runs, here.machine if here else None)
    view = View({unit.name: eta.weight(training) for training, unit in units.items()})
    longest_first = sorted(units.values(), key=lambda unit: -view.expected[unit.name])
    inputs = sorted({name for unit in units.values() for name in unit.inputs})
    if scheduler is not None and pipeline.has_remote():
        pipeline.push(inputs)  # for workers that share no files
    devices = here.gpus if here else []
    jobs = jobs or len(devices) or fitting(params, [str(training.key) for training in units], recorded_runs)
    context = LaunchContext(token_hex(), pipeline.entries(inputs), devices)
    tables = Tables(pipeline, params.budget)
    with (
        pipeline.busy(command.stage for unit in units.values() for command in unit.commands),
        connected(scheduler, jobs, context.token, view.on_event) as client,
    ):
        view.slots = slots(client, context.token)
        with view.shown(client.dashboard_link):
            for results in run(client, longest_first, context):
                view.slots = slots(client, context.token)
                if not results:
                    continue
                keep_attempts(results, params.budget)
                recorded = record(pipeline, results)
                learn(eta, recorded)
                view.expected = {unit.name: eta.weight(training) for training, unit in units.items()}
                for result in recorded:
                    view.finished(result)
                if view.remaining():
                    tables.refresh()
    return view.failed


def fitting(params: Params, cells: Sequence[str], recorded_runs: Sequence[TrainingRun]) -> int:
    """As many trainings of these cells at a time as there are cores, unless memory holds fewer; then it says so.

    What a training takes is known of networks that a record has; others are not counted.
    """
    specs = {spec.cell: spec for spec in resolve_specs(params, params.budget) if spec.cell in cells}
    sizes = recorded_sizes(specs, recorded_runs)
    needed = [memory_needed(sizes[cell], specs[cell], params) for cell in cells if cell in sizes]
    free = memory_free()
    if not needed or (most := at_once(needed, free)) >= min(cores(), len(needed)):
        return cores()
    say(f"{most} at a time, since {gibibytes(free)} of memory are free; --jobs says otherwise")
    return most


def record(pipeline: "Pipeline", results: Sequence[Result]) -> list[Result]:
    """Record what has ended; what was refused comes back as failed."""
    received = []
    for result in results:
        try:
            if result.outputs:
                pipeline.receive(result.outputs)
            received.append(result)
        except StageError as error:
            received.append(Result(result.unit, (), f"{result.unit}: {error}"))
    refused = pipeline.record([one for result in received for one in result.done])
    return [result.refused(refused) for result in received]


def keep_attempts(results: Sequence[Result], budget: str) -> None:
    """Add the trainings that workers with files of their own have started to those of this checkout."""
    for result in results:
        if result.attempts:
            try:
                merge(attempts_path(budget), result.attempts, f"attempts of {result.unit}")
            except (StageError, OSError) as error:
                why = getattr(error, "message", error)
                say(f"warning: {attempts_path(budget)} does not have the training of {result.unit}: {why}")


def learn(eta: Eta, results: Sequence[Result]) -> None:
    """Estimate the rest from the trainings that have just ended, too."""
    for path in (Path(out, RECORD) for result in results for one in result.done for out in one.outputs):
        if path.is_file():
            eta.add(TrainingRun.read(path, "stages.train"))


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
