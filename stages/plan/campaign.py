"""A budget's planned trainings: which are done, and the time, memory and disk that the rest takes."""

import heapq
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from stages.config.params import Params, Training
from stages.config.schema import DATASETS
from stages.launch.machine import ThisMachine
from stages.launch.pending import changed_data, todays_specs, trainings_left
from stages.launch.pipeline import LockFile, Pipeline
from stages.launch.sizes import arrays, checkpoint_size, memory_needed, network_sizes, raw_size, weights_size
from stages.records.eta import Eta, finished_runs
from stages.records.evaluation import results_folder
from stages.records.run import NetworkSize, TrainingRun
from stages.records.spec import Spec

RUNS = Path("data/runs")
RAW, PROCESSED = Path("data/raw"), Path("data/processed")


@dataclass(frozen=True)
class Campaign:
    """The planned trainings of a budget on a machine, `jobs` at a time."""

    params: Params
    budget: str
    machine: ThisMachine
    jobs: int
    specs: dict[str, Spec]
    sizes: dict[str, NetworkSize]  # by cell
    left: dict[Training, str]  # with the reason
    changed: dict[str, list[str]]  # what of a data set's stages differs from dvc.lock, by data set
    finished: dict[tuple[str, int], TrainingRun]  # recorded trainings, by cell and seed
    eta: Eta

    @property
    def planned(self) -> list[Training]:
        """All planned trainings."""
        return self.eta.planned

    def seconds(self, training: Training) -> float | None:
        """What a training that is left may take on this machine."""
        return self.eta.estimate(training)

    def time_left(self) -> float | None:
        """The seconds until the last training ends; None while nothing is known."""
        seconds = [self.seconds(training) for training in self.left]
        known = [value for value in seconds if value is not None]
        return makespan(known, self.jobs) if len(known) == len(seconds) else None

    def precision(self, training: Training) -> str:
        """The number format of a training that runs here."""
        wanted = self.specs[str(training.key)].settings.precision
        if wanted == "bfloat16" and self.machine.machine.device == "cpu" and self.machine.bfloat16 is False:
            return "emulated bfloat16"
        return wanted if wanted != "auto" else "bfloat16" if self.machine.bfloat16 else "float32"

    def memory(self) -> list[int]:
        """The bytes that each training that is left takes, the largest first."""
        cells = [str(training.key) for training in self.left]
        return sorted((memory_needed(self.sizes[cell], self.specs[cell], self.params) for cell in cells), reverse=True)

    def weights(self) -> int:
        """The bytes of the weights to come, and of the checkpoints meanwhile."""
        sizes = [self.sizes[str(training.key)] for training in self.left]
        checkpoints = sorted((checkpoint_size(size) for size in sizes), reverse=True)[: self.jobs]
        return sum(weights_size(size) for size in sizes) + sum(checkpoints)

    def data(self) -> int:
        """The bytes of the data that are not here and will be."""
        needed = {training.key.dataset for training in self.left}
        raw = sum(raw_size(dataset) for dataset in needed if not (RAW / dataset).is_dir())
        made = [name for name in needed if not (PROCESSED / self.budget / name / "train").is_dir()]
        return raw + sum(arrays(self.params, self.budget, dataset) for dataset in made)


def campaign(params: Params, budget: str, machine: ThisMachine, jobs: int) -> Campaign:
    """Find out what is done and what is left."""
    specs = todays_specs(params, budget)
    planned = {str(training.key): specs[str(training.key)] for training in params.trainings()}
    recorded = finished_runs(RUNS / budget, results_folder(budget))
    others = [run for name in params.budgets if name != budget for run in _of_budget(name)]
    pipeline = Pipeline() if budget == params.budget else LockFile()
    changed = changed_data(pipeline, budget, DATASETS)
    sizes = network_sizes(planned, params, [*others, *recorded])
    return Campaign(
        params=params,
        budget=budget,
        machine=machine,
        jobs=jobs,
        specs=specs,
        sizes=sizes,
        left=trainings_left(pipeline, specs, budget, params.trainings()),
        changed=changed,
        finished={(run.cell, run.seed): run for run in recorded},
        eta=Eta(params, budget, [*others, *recorded], machine.machine, sizes),
    )


def makespan(seconds: Iterable[float], jobs: int) -> float:
    """When the last training ends, if each free job of `jobs` takes the longest training that is left."""
    busy = [0.0] * jobs
    for duration in sorted(seconds, reverse=True):
        heapq.heapreplace(busy, busy[0] + duration)
    return max(busy)


def formats(planned: Campaign) -> dict[str, Counter[str]]:
    """How many trainings of each table are, or would be, of which device and number format."""
    found: dict[str, Counter[str]] = {}
    for number in planned.params.shown_tables:
        table = planned.params.tables[number]
        cells = {f"{table.dataset}/{row.cell}" for row in table.rows}
        counted = Counter(_format(planned, one) for one in planned.planned if str(one.key) in cells)
        found[number] = counted
    return found


def _format(planned: Campaign, training: Training) -> str:
    run = planned.finished.get((str(training.key), training.seed))
    if training in planned.left or run is None:
        return f"{planned.machine.machine.device}, {planned.precision(training)}"
    return f"{run.numerics.device}, {run.numerics.precision}"


def _of_budget(budget: str) -> list[TrainingRun]:
    return finished_runs(RUNS / budget, results_folder(budget))
