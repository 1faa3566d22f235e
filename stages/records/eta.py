"""How long each planned training takes: measured where it has run, else estimated from those that have."""

from collections import defaultdict
from pathlib import Path
from statistics import mean

from stages.config.params import Params, Training, resolve_count
from stages.config.settings import Run
from stages.core.errors import StageError
from stages.core.filenames import RECORD
from stages.core.files import read_json

# Time per pixel, relative: measured on two cores in float32, and only used until a family has a finished run.
_COST = {"vgg": 4.5, "resnet": 1.0, "googlenet": 1.2}


class Eta:
    """The seconds of the trainings that a budget plans.

    Those of a finished one are in its run record under `runs`. Another one's are estimated from the finished runs of
    its family, scaled by the number of pixels they train on; for a family without a finished run, those of the others
    are scaled by `_COST`.
    """

    def __init__(self, params: Params, budget: str, runs: Path) -> None:
        self.planned = params.trainings()
        self.measured: dict[Training, float] = {}
        self._families: dict[Training, str] = {}
        self._works: dict[Training, float] = {}
        self._rates: dict[str, list[float]] = defaultdict(list)
        for training in self.planned:
            key, seed = training.key, training.seed
            plan = params.run(str(key), budget, seed)
            self._families[training], self._works[training] = plan.cell.family, _work(plan, params)
            seconds = _finished(runs / key.dataset / key.name / f"s{seed}" / RECORD, plan)
            if seconds is not None:
                self.measured[training] = seconds
                self._rates[plan.cell.family].append(seconds / self._works[training])

    def seconds(self, training: Training) -> float | None:
        """What a training took, or may take; None while nothing is known."""
        if training in self.measured:
            return self.measured[training]
        if not self._rates:
            return None
        return self._works[training] * self._per_pixel(self._families[training])

    def weight(self, training: Training) -> float:
        """How long a training takes beside the others, known even before any has run."""
        seconds = self.seconds(training)
        return self._works[training] * _COST.get(self._families[training], 1.0) if seconds is None else seconds

    def _per_pixel(self, family: str) -> float:
        if family in self._rates:
            return mean(self._rates[family])
        others = [rate / _COST.get(other, 1.0) for other, rates in self._rates.items() for rate in rates]
        return _COST.get(family, 1.0) * mean(others)


def _finished(record: Path, plan: Run) -> float | None:
    """The seconds of a finished run of this plan; None for no record, an unreadable one, or one of other settings."""
    try:
        found = read_json(record, "dvc repro")
        return found["times"]["seconds"] if found["config"] == plan.model_dump(mode="json") else None
    except (StageError, OSError, KeyError, TypeError):
        return None  # an estimate must not end a training


def _work(plan: Run, params: Params) -> float:
    images = resolve_count(plan.images, params.datasets.of(plan.dataset).train_images)
    return images * plan.epochs * (2 if plan.cell.augment == "append" else 1) * plan.cell.input_size**2
