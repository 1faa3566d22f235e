"""How far the trainings are: this one, and all that the chosen budget and seeds still need."""

import sys
from collections import defaultdict
from pathlib import Path
from statistics import mean
from typing import Any

from tqdm import tqdm

from stages.core.params import CellKey, Params
from stages.core.progress import duration, say
from stages.core.records import read_json
from stages.core.settings import Run


class Outlook:
    """Lines, and on a terminal a bar, for one training among the planned ones.

    The time that the others need is taken from the finished runs of the same family, scaled by the number of pixels
    they train on; families without a finished run are counted as the mean of those that have one.
    """

    def __init__(self, params: Params, budget: str, key: CellKey, run: Run, runs: Path, images: int) -> None:
        self.run, self.images, self.spent, self.epoch = run, images, 0.0, 0
        planned = [(other, seed) for other in params.cell_keys() for seed in params.seeds]
        self.total = len(planned)
        finished: dict[str, list[float]] = defaultdict(list)
        waiting: list[tuple[str, float]] = []
        for other, seed in planned:
            if (other, seed) == (key, run.seed):
                continue
            plan = params.run(str(other), budget, seed)
            work = _work(plan, params)
            path = runs / other.dataset / other.name / f"s{seed}" / "run.json"
            if path.is_file():
                finished[plan.cell.family].append(read_json(path, "dvc repro")["times"]["seconds"] / work)
            else:
                waiting.append((plan.cell.family, work))
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
        self.epoch += 1
        self.spent += seconds
        left = self.spent / self.epoch * (self.run.epochs - self.epoch)
        loss = "not finite" if metrics["train_loss"] is None else f"{metrics['train_loss']:.3f}"
        outlook = f"{duration(left)} left"
        if self.others is not None:
            outlook += f", all trainings {duration(left + self.others)}"
        say(
            f"[{self.number}/{self.total}] {stage} epoch {self.epoch}/{self.run.epochs}: loss {loss}, "
            f"train {metrics['train_accuracy']:.1%}, validation {metrics['validation_accuracy']:.1%}, "
            f"{rate:.0f} images/s, {outlook}"
        )
        if self.epoch == self.run.epochs:
            self.bar.close()


def _work(plan: Run, params: Params) -> float:
    images = params.datasets.of(plan.dataset).train_images if plan.images == "all" else plan.images
    return images * plan.epochs * (2 if plan.cell.augment else 1) * plan.cell.input_size**2


def _expected(finished: dict[str, list[float]], waiting: list[tuple[str, float]]) -> float | None:
    """Seconds that the waiting trainings take, or None when nothing is known yet."""
    if not finished and waiting:
        return None
    overall = mean(rate for rates in finished.values() for rate in rates) if finished else 0.0
    return sum(work * (mean(finished[family]) if family in finished else overall) for family, work in waiting)
