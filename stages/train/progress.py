"""How far the trainings are: this one, and all that the chosen budget and seeds still need."""

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from tqdm import tqdm

from stages.config.params import CellKey, Params
from stages.config.settings import Run
from stages.core.progress import duration, on_terminal, say
from stages.records.eta import Eta, Machine, finished_runs
from stages.records.evaluation import results_folder

PROGRESS = "TRAINING_PROGRESS"  # in the environment: a file that takes one line of JSON an epoch, for whoever launched


class TrainingProgress:
    """Lines, and on a terminal a bar, for one training among the planned ones."""

    def __init__(
        self,
        params: Params,
        budget: str,
        key: CellKey,
        run: Run,
        out: Path,
        images: int,
        machine: Machine | None = None,
    ) -> None:
        self.run, self.spent, self.timed = run, 0.0, 0
        runs = out.absolute().parent.parent.parent  # <runs>/<data set>/<cell>/s<seed>, as dvc.yaml lays them out
        eta = Eta(params, budget, finished_runs(runs, results_folder(budget)), machine)
        this = [other for other in eta.planned if (other.key, other.seed) == (key, run.seed)]
        waiting = [other for other in eta.planned if other not in eta.measured and other not in this]
        self.total = len(eta.planned)
        self.number = self.total - len(waiting)
        seconds = [eta.seconds(other) for other in waiting]
        self.others = None if None in seconds else sum(value for value in seconds if value is not None)
        self.bar = tqdm(
            total=images * run.epochs,
            unit=" images",
            desc=str(key),
            leave=False,
            disable=not on_terminal(),
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
        time_left = f"{duration(left)} left"
        if self.others is not None:
            time_left += f", {duration(left + self.others)} for all trainings"
        say(
            f"[{self.number}/{self.total}] {stage} epoch {metrics['epoch']}/{self.run.epochs}: loss {loss}, "
            f"train {metrics['train_sample_accuracy']:.1%}, validation {metrics['validation_accuracy']:.1%}, "
            f"{rate:.0f} images/s, {time_left}"
        )
        if os.environ.get(PROGRESS):
            progress = {"epoch": metrics["epoch"], "epochs": self.run.epochs, "images_per_second": round(rate, 1)}
            with (
                suppress(OSError),
                Path(os.environ[PROGRESS]).open("a", encoding="utf-8") as file,
            ):  # must not end a training
                file.write(json.dumps(progress) + "\n")

    def close(self) -> None:
        """Take the bar away."""
        self.bar.close()
