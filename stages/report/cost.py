"""What a number costs beside its accuracy: the network's size, and the time of its training."""

from collections import Counter
from dataclasses import dataclass
from statistics import fmean, median

from stages.records.run import TrainingRun
from stages.report.evidence import CellResults


@dataclass(frozen=True)
class Cost:
    """Of a cell with results: sizes of the network, and times of the seeds that its `device` trained.

    `multiply_adds` are of one image's forward pass. Times of different devices do not compare: where the seeds differ
    in theirs, `device` is the one of most seeds, of the earliest where as many are of another, and `timed` is how many
    seeds that are. `seconds_per_epoch` is the median over their epochs, `images_per_second` the mean over them,
    `training_seconds` that of the sum over the epochs; evaluations after an epoch are not in them.
    """

    parameters: int
    multiply_adds: int
    device: str
    timed: int
    seconds_per_epoch: float
    images_per_second: float
    training_seconds: float


def cost(cell: CellResults) -> Cost | None:
    """The cost of a cell; None without a result."""
    runs = [result.run for result in cell.results]
    if not runs:
        return None
    ((device, _),) = Counter(map(_device, runs)).most_common(1)
    timed = [run for run in runs if _device(run) == device]
    seconds = [[epoch.train_seconds for epoch in run.times.epochs] for run in timed]
    return Cost(
        parameters=runs[0].network.parameters,
        multiply_adds=runs[0].network.multiply_adds,
        device=device,
        timed=len(timed),
        seconds_per_epoch=median(one for of_run in seconds for one in of_run),
        images_per_second=fmean(run.images_per_second for run in timed),
        training_seconds=fmean(sum(of_run) for of_run in seconds),
    )


def _device(run: TrainingRun) -> str:
    """What trained: the GPU by its name, else the processor."""
    kind, _, name = run.numerics.device.partition(": ")
    return name or (run.machines[-1].processor if kind == "cpu" else kind)
