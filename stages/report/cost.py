"""What a number costs beside its accuracy: the network's size, and the time of its training."""

from dataclasses import dataclass
from statistics import fmean, median

from stages.report.evidence import CellResults


@dataclass(frozen=True)
class Cost:
    """Of a cell with results: sizes of the network, and times as they were on its `devices`.

    `multiply_adds` are of one image's forward pass. `seconds_per_epoch` is the median over epochs and seeds,
    `images_per_second` the mean over seeds, `training_seconds` that of the sum over the epochs; evaluations after an
    epoch are not in them.
    """

    parameters: int
    multiply_adds: int
    seconds_per_epoch: float
    images_per_second: float
    training_seconds: float
    devices: tuple[str, ...]


def cost(cell: CellResults) -> Cost | None:
    """The cost of a cell; None without a result."""
    runs = [result.run for result in cell.results]
    if not runs:
        return None
    seconds = [[epoch.train_seconds for epoch in run.times.epochs] for run in runs]
    devices = dict.fromkeys(_device(run.numerics.device, run.machines[-1].processor) for run in runs)
    return Cost(
        parameters=runs[0].network.parameters,
        multiply_adds=runs[0].network.multiply_adds,
        seconds_per_epoch=median(one for of_run in seconds for one in of_run),
        images_per_second=fmean(run.images_per_second for run in runs),
        training_seconds=fmean(sum(of_run) for of_run in seconds),
        devices=tuple(devices),
    )


def _device(device: str, processor: str) -> str:
    """What trained: the GPU by its name, else the processor."""
    kind, _, name = device.partition(": ")
    return name or (processor if kind == "cpu" else kind)
