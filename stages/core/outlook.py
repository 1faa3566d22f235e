"""How far the trainings are: this one, and all that the chosen budget and seeds still need."""

import sys
from collections import defaultdict
from pathlib import Path
from statistics import mean
from typing import Any

from tqdm import tqdm

from stages.core.errors import StageError
from stages.core.params import CellKey, Params, counted
from stages.core.progress import duration, say
from stages.core.records import read_json
from stages.core.runs import RECORD
from stages.core.settings import Run

# Time per pixel, relative: measured on two cores in float32, and only used until a family has a finished run.
_COST = {"vgg": 4.5, "resnet": 1.0, "googlenet": 1.2}


class Outlook:
    """Lines, and on a terminal a bar, for one training among the planned ones.

    The time that the others need is taken from the finished runs of the same family, scaled by the number of pixels
    they train on; for families without a finished run those of the others are scaled by `_COST`.
    """

    def __init__(self, params: Params, budget: str, key: CellKey, run: Run, out: Path, images: int) -> None:
        self.run, self.spent, self.timed = run, 0.0, 0
        runs = out.absolute().parent.parent.parent  # <runs>/<data set>/<cell>/s<seed>, as dvc.yaml lays them out
        planned = [(other, seed) for other in params.cell_keys() for seed in params.seeds]
        self.total = len(planned)
        finished: dict[str, list[float]] = defaultdict(list)
        waiting: list[tuple[str, float]] = []
        for other, seed in planned:
            if (other, seed) == (key, run.seed):
                continue
            plan = params.run(str(other), budget, seed)
            work = _work(plan, params)
            seconds = _finished(runs / other.dataset / other.name / f"s{seed}" / RECORD, plan)
            if seconds is None:
                waiting.append((plan.cell.family, work))
            else:
                finished[plan.cell.family].append(seconds / work)
        self.number = self.total - len(waiting)
        self.others = _expected(finished, waiting)
        self.bar = tqdm(
            total=images * run.epochs, unit=" images", desc=str(key), leave=False, disable=not sys.stderr.isatty()
        )

    def step(self, images: int) -> None:
        """Count the images of one step."""
        self.bar.update(images)

    def report(self, stage: str, metrics: dict[str, Any], seconds: float, rate: float) -> None:
        """Say one line for a finished epoch."""
        self.timed += 1
        self.spent += seconds
        left = self.spent / self.timed * (self.run.epochs - metrics["epoch"])
        loss = "not finite" if metrics["train_loss"] is None else f"{metrics['train_loss']:.3f}"
        outlook = f"{duration(left)} left"
        if self.others is not None:
            outlook += f", {duration(left + self.others)} for all trainings"
        say(
            f"[{self.number}/{self.total}] {stage} epoch {metrics['epoch']}/{self.run.epochs}: loss {loss}, "
            f"train {metrics['train_accuracy']:.1%}, validation {metrics['validation_accuracy']:.1%}, "
            f"{rate:.0f} images/s, {outlook}"
        )

    def close(self) -> None:
        """Take the bar away."""
        self.bar.close()


def _finished(record: Path, plan: Run) -> float | None:
    """The seconds of a finished run of this plan; None for no record, an unreadable one, or one of other settings."""
    try:
        found = read_json(record, "dvc repro")
        return found["times"]["seconds"] if found["config"] == plan.model_dump() else None
    except (StageError, OSError, KeyError, TypeError):
        return None  # an outlook must not end a training


def _work(plan: Run, params: Params) -> float:
    images = counted(plan.images, params.datasets.of(plan.dataset).train_images)
    return images * plan.epochs * (2 if plan.cell.augment else 1) * plan.cell.input_size**2


def _expected(finished: dict[str, list[float]], waiting: list[tuple[str, float]]) -> float | None:
    """Seconds that the waiting trainings take, or None when nothing is known yet."""
    if not finished and waiting:
        return None
    unit = mean(rate / _COST[family] for family, rates in finished.items() for rate in rates) if finished else 0.0
    return sum(work * (mean(finished[name]) if name in finished else unit * _COST[name]) for name, work in waiting)
