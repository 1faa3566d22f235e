"""What a number costs beside its accuracy: the network's size, and the time of its training."""

from dataclasses import dataclass
from statistics import fmean, median

from stages.records.run import TrainingRun
from stages.report.evidence import CellResults


@dataclass(frozen=True)
class Cost:
    """Of a cell with results: sizes of the network, and times of the seeds that its `device` trained.

    `multiply_adds` are of one image's forward pass. Times of different devices do not compare. Where the seeds ran on
    several, `device` is the one that trained the lowest seed, which rows of a table have in common more often than any
    other; `timed` is how many seeds it trained. `seconds_per_epoch` is the median over their epochs,
    `images_per_second` the mean over them, `training_seconds` the mean of each seed's sum over its epochs. Evaluations
    after an epoch are not in them. A training that went on elsewhere counts for the device where it ended.
    """

    parameters: int
    multiply_adds: int
    device: str
    timed: int
    seconds_per_epoch: float
    images_per_second: float
    training_seconds: float

    def share(self, seeds: int, what: str = "") -> str:
        """Says of how many of a row's seeds the times are, where they are not of all: ` (2 of 3 seeds)`."""
        return f" ({what}{self.timed} of {seeds} seeds)" if self.timed < seeds else ""


def cost(cell: CellResults) -> Cost | None:
    """The cost of a cell; None without a result."""
    runs = [result.run for result in cell.results]
    if not runs:
        return None
    device = _device(runs[0])
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
