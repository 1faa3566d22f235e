"""How long each planned training takes: measured where it has run, else estimated from the trainings most like it."""

import re
from collections.abc import Iterable, Mapping
from glob import glob
from pathlib import Path
from statistics import mean
from typing import NamedTuple

from stages.config.params import Params, Training, resolve_count
from stages.config.settings import OPTIMIZERS, OptimizerSettings, Run
from stages.core.errors import StageError
from stages.core.filenames import RECORD
from stages.core.files import read_json
from stages.records.run import NetworkSize, RecordedSettings, TrainingRun

# Time per pixel, relative: measured on two cores in float32, and only used until a family has a finished run.
_COST = {"vgg": 4.5, "resnet": 1.0, "googlenet": 1.2}
_UPDATE = 50  # multiply-adds of a forward pass that take as long as the update of one parameter: it waits for memory

AnyRun = Run | RecordedSettings


class Machine(NamedTuple):
    """What rates are compared by: the device, and the processor without its stepping."""

    device: str
    processor: str


class Rate(NamedTuple):
    """The seconds that a finished training took for one unit of work, and what it was."""

    seconds: float
    run: AnyRun
    precision: str
    machine: Machine


class Eta:
    """The seconds of the trainings that a budget plans.

    A finished training of the same settings is `measured`. Another one is estimated from the finished trainings most
    like it: first those of this `machine`, of these those of its family, then of its number format, then of its network
    and input. Work is counted in the multiply-adds of images and updates where the networks' `sizes` are given, by
    cell; else in pixels, of which the families' cost differs by `_COST`.
    """

    def __init__(
        self,
        params: Params,
        budget: str,
        finished: Iterable[TrainingRun] = (),
        machine: Machine | None = None,
        sizes: Mapping[str, NetworkSize] | None = None,
    ) -> None:
        self.planned = params.trainings()
        self.measured: dict[Training, float] = {}
        self.rates: list[Rate] = []
        self._params, self._machine, self._sizes = params, machine, sizes
        self._plans = {training: params.run(str(training.key), budget, training.seed) for training in self.planned}
        self._by_cell = {(str(training.key), training.seed): training for training in self.planned}
        for run in finished:
            self.add(run)

    def add(self, run: TrainingRun) -> None:
        """Take a finished training into account."""
        seconds = sum(epoch.seconds for epoch in run.times.epochs)
        training = self._by_cell.get((run.cell, run.seed))
        if training and run.config.are_of(self._plans[training]):
            self.measured[training] = seconds
        images = (run.counts.train + run.counts.augmented) * len(run.times.epochs)
        work = images * _per_image(run.config, run.network if self._sizes is not None else None)
        self.rates.append(Rate(seconds / work, run.config, run.numerics.precision, machine_of(run)))

    def seconds(self, training: Training) -> float | None:
        """What a training took, or may take; None while nothing is known."""
        if training in self.measured:
            return self.measured[training]
        return self.estimate(training)

    def estimate(self, training: Training) -> float | None:
        """What a training may take if it runs now, by the others; None while nothing is known."""
        alike = self.alike(training)
        if not alike:
            return None
        cost = self._cost(self._plans[training].cell.family)
        per_work = mean(rate.seconds * cost / self._cost(rate.run.cell.family) for rate in alike)
        return per_work * self._work_of(training)

    def weight(self, training: Training) -> float:
        """How long a training takes beside the others, known even before any has run."""
        seconds = self.seconds(training)
        return self._work_of(training) * self._cost(self._plans[training].cell.family) if seconds is None else seconds

    def alike(self, training: Training) -> list[Rate]:
        """The rates of the finished trainings most like it, this machine's before others'."""
        likeness = [self._likeness(self._plans[training], rate) for rate in self.rates]
        return [rate for rate, alike in zip(self.rates, likeness, strict=True) if alike == max(likeness)]

    def _likeness(self, plan: AnyRun, rate: Rate) -> tuple[bool, ...]:
        return (
            self._machine in (None, rate.machine),
            plan.cell.family == rate.run.cell.family,
            plan.precision in ("auto", *rate.precision.split()),  # emulated or not: what matters of that is the machine
            _network(plan) == _network(rate.run),
        )

    def _work_of(self, training: Training) -> float:
        plan = self._plans[training]
        total = self._params.datasets.of(plan.dataset).train_images
        images = resolve_count(plan.images, total) * plan.epochs * (2 if plan.cell.augment == "append" else 1)
        return images * _per_image(plan, None if self._sizes is None else self._sizes[str(training.key)])

    def _cost(self, family: str) -> float:
        return _COST.get(family, 1.0) if self._sizes is None else 1.0


def _per_image(plan: AnyRun, size: NetworkSize | None) -> float:
    """The work of training on one image: in pixels, or in multiply-adds where the network's size is known."""
    if size is None:
        return float(plan.cell.input_size**2)
    return size.multiply_adds + _UPDATE * size.parameters / plan.cell.batch_size


def finished_runs(runs: Path, results: Path) -> list[TrainingRun]:
    """The run records in the run folders below `runs`, and those in `results` of trainings without a folder there.

    What cannot be read, or is removed meanwhile, is left out: an estimate must not end a training.
    """
    found = {}
    for path in _listed(results, "*/*.json"):
        run = _read(path, "run")
        if run:
            found[run.cell, run.seed] = run
    for path in _listed(runs, f"*/*/s*/{RECORD}"):
        run = _read(path)
        if run:
            found[run.cell, run.seed] = run
    return list(found.values())


def machine_of(run: TrainingRun) -> Machine:
    """The machine of a training's last epoch."""
    return Machine(run.numerics.device, processor_family(run.machines[run.times.epochs[-1].machine].processor))


def processor_family(processor: str) -> str:
    """A processor's name without its stepping: `AMD EPYC (cpu family 25, model 1)`."""
    return re.sub(r", stepping [^,)]*", "", processor)


def _listed(folder: Path, pattern: str) -> list[Path]:
    """The files of a pattern; unlike Path.glob, glob goes on where a folder is removed while it looks."""
    return sorted(folder / name for name in glob(pattern, root_dir=folder))  # noqa: PTH207


def _read(path: Path, section: str | None = None) -> TrainingRun | None:
    try:
        content = read_json(path, "dvc repro")
        run = TrainingRun.parse(content[section] if section else content, path, "dvc repro")
    except (StageError, OSError, LookupError, TypeError):
        return None
    return run if run.times.epochs else None


def _network(plan: AnyRun) -> dict[str, object]:
    """The settings that decide how fast a network is; those of the optimizer count little."""
    left_out = {"init", "augment", *OPTIMIZERS.get(plan.cell.optimizer, OptimizerSettings).model_fields}
    return plan.cell.model_dump(exclude=left_out)
