"""bfloat16 against float32: the engine in both, from the same start; weights after some steps, accuracy after an epoch.

    python -m benchmarks.precision [--families vgg16,resnet18,googlenet] [--optimizer adam] [--images 6400] [--seeds 5]
        [--steps 1,10,50]

In:  CIFAR10 as stage `preprocess` leaves it; batch sizes as in `make bench`. A processor that multiplies bfloat16.
Out: reports/precision.json, and its tables on standard output.
Each seed is trained for an epoch of so many images in float32 and, from the same start with the same batches and
dropout, in bfloat16; and once more in float32 for the steps alone, with the batches and dropout of another seed. The
distance of the last two from the first, as a share of how far the first has gone, is what bfloat16 changes beside what
the order of the images changes anyway. Accuracies are those on all validation images after the epoch, each network
evaluated in the format it was trained in. None of it depends on the machine's load.
"""

import os
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from statistics import fmean, median, stdev
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from benchmarks.families import DATA, FAMILIES, OPTIMIZERS, description, run_of
from benchmarks.options import Names
from benchmarks.rates import significant
from benchmarks.report import measured_under
from stages.config.settings import Precision
from stages.core.files import write_json
from stages.core.progress import say
from stages.report.markdown import table
from stages.stats.intervals import FEWEST_SEEDS, student

if TYPE_CHECKING:
    import torch

    from stages.engine.loop import Trainer

CONFIDENCE = 0.95
MEANING = (
    "0: the same weights; 1.4: as far from the start, in unrelated directions. The last column is what another\n"
    "order of images and another dropout do by themselves."
)
OUT = click.Path(path_type=Path, dir_okay=False, writable=True)
OTHER_ORDER = 1000  # added to a seed, for the batches and the dropout of the third training


class Protocol(NamedTuple):
    """What all trainings share; `compared` are the steps after which weights are compared, in order."""

    optimizer: str
    images: int
    compared: tuple[int, ...]
    threads: int


class Trained(NamedTuple):
    """A training that has been stopped; its weights after some steps (0: none), vectors of shape (parameters,)."""

    trainer: "Trainer"
    weights: "dict[int, torch.Tensor]"


def train(family: str, precision: Precision, seed: int, protocol: Protocol, order: int | None = None) -> Trained:
    """Train from the weights of `seed`, for the epoch; with the batches of another `order`, for the steps alone."""
    from benchmarks.ours import ready

    trainer, data = ready(run_of(family, protocol.optimizer, seed, precision), protocol.threads)
    weights = {0: trainer.parameters.master.clone()}
    if order is not None:
        trainer.run = run_of(family, protocol.optimizer, order, precision)
    last = None if order is None else protocol.compared[-1]
    for number, _ in enumerate(islice(trainer.steps(data.first(protocol.images), 1), last), 1):
        if number in protocol.compared:
            weights[number] = trainer.parameters.master.clone()
    return Trained(trainer, weights)


def validation_accuracy(trainer: "Trainer") -> float:
    """Percent of all validation images."""
    from stages.engine.images import load
    from stages.engine.prediction import accuracy, predict

    images, labels = (DATA / f"validation_{name}.npy" for name in ("images", "labels"))
    validation = load(images, labels, description()["sha256"], trainer.numerics.device, "all")
    return 100 * accuracy(predict(trainer.model, validation, trainer.standardise).logits, validation.labels)


def relative_distance(one: Trained, other: Trained) -> dict[int, float]:
    """How far two trainings from the same start are apart, as a share of how far the first has gone, step by step."""
    start = one.weights[0]
    return {
        step: ((one.weights[step] - other.weights[step]).norm() / (one.weights[step] - start).norm()).item()
        for step in one.weights
        if step
    }


def measure(family: str, seeds: int, protocol: Protocol) -> Iterator[dict[str, Any]]:
    """One line per seed: distances by step, and accuracies in percent."""
    for seed in range(seeds):
        exact = train(family, "float32", seed, protocol)
        rounded = train(family, "bfloat16", seed, protocol)
        yield {
            "seed": seed,
            "bfloat16": relative_distance(exact, rounded),
            "other_order": relative_distance(exact, train(family, "float32", seed, protocol, seed + OTHER_ORDER)),
            "accuracy": {
                "float32": validation_accuracy(exact.trainer),
                "bfloat16": validation_accuracy(rounded.trainer),
            },
        }


def summary(lines: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Medians of the distances; means of the accuracies, and of the differences with Student's interval."""
    accuracies = {name: [line["accuracy"][name] for line in lines] for name in lines[0]["accuracy"]}
    differences = [one - other for one, other in zip(accuracies["bfloat16"], accuracies["float32"], strict=True)]
    return {
        "distance": {
            kind: {str(step): significant(median(line[kind][step] for line in lines), 3) for step in lines[0][kind]}
            for kind in ("bfloat16", "other_order")
        },
        "accuracy": {name: round(fmean(values), 2) for name, values in accuracies.items()},
        "std_over_seeds": round(stdev(accuracies["float32"]), 2) if len(lines) > 1 else None,
        "difference": round(fmean(differences), 2),
        "interval": student(differences, CONFIDENCE),
    }


def tables(families: dict[str, Any]) -> str:
    """Both tables, as Markdown."""
    distances = [
        [family, steps, *(f"{found['distance'][kind][steps]:.3g}" for kind in ("bfloat16", "other_order"))]
        for family, found in families.items()
        for steps in found["distance"]["bfloat16"]
    ]
    accuracies = []
    for family, found in families.items():
        values = [f"{found['accuracy'][name]:.1f}" for name in ("float32", "bfloat16")]
        none = f"none: all alike, or fewer than {FEWEST_SEEDS} seeds"
        interval = none if found["interval"] is None else "{:+.1f} to {:+.1f}".format(*found["interval"])
        spread = "" if found["std_over_seeds"] is None else f"{found['std_over_seeds']:.1f}"
        accuracies.append([family, *values, f"{found['difference']:+.1f}", interval, spread])
    columns = ["family", "float32, %", "bfloat16, %", "difference, points", "95 % interval", "std over seeds"]
    distance = ["distance from float32, of the way gone", "steps", "bfloat16", "float32, other order"]
    parts = table(distance, distances, (1, 2, 3)), MEANING, table(columns, accuracies, range(1, len(columns)))
    return "\n\n".join(parts)


@click.command()
@click.option("--families", type=Names(list(FAMILIES)), default=",".join(FAMILIES), show_default=True)
@click.option("--optimizer", type=click.Choice(list(OPTIMIZERS)), default="adam", show_default=True)
@click.option("--images", type=click.IntRange(min=1), default=6400, show_default=True, help="of the epoch")
@click.option("--seeds", type=click.IntRange(min=1), default=5, show_default=True)
@click.option("--steps", default="1,10,50", show_default=True, help="after which weights are compared")
@click.option("--threads", type=click.IntRange(min=1), default=os.cpu_count() or 1, help="by default all cores")
@click.option("--out", type=OUT, default=Path("reports/precision.json"), show_default=True)
def main(families: list[str], optimizer: str, images: int, seeds: int, steps: str, threads: int, out: Path) -> None:
    """Train each family in both formats and compare."""
    if not all(step.isdecimal() and int(step) for step in steps.split(",")):
        raise click.BadParameter(f"{steps!r} is not of the form 1,10,50, from 1 on", param_hint="--steps")
    protocol = Protocol(optimizer, images, tuple(sorted(int(step) for step in steps.split(","))), threads)
    if images > (there := description()["images"]["train"]):
        raise click.BadParameter(f"{images}: there are {there}", param_hint="--images")
    for family in families:
        taken = -(-images // FAMILIES[family].batch_size)
        if taken == 1:
            raise click.BadParameter(f"{images}: one batch of {family} has no order", param_hint="--images")
        if protocol.compared[-1] > taken:
            raise click.BadParameter(
                f"{protocol.compared[-1]}: {images} images are {taken} steps of {family}", param_hint="--steps"
            )
    from stages.engine.numerics import set_up

    settings = {**protocol._asdict(), "seeds": seeds, **set_up("bfloat16", threads, "cpu").describe()}
    content: dict[str, Any] = {**measured_under(settings), "families": {}}
    for family in families:
        lines = []
        for line in measure(family, seeds, protocol):
            lines.append(line)
            found = ", ".join(f"{name} {value:.2f} %" for name, value in line["accuracy"].items())
            say(f"{family}: seed {line['seed']}: {found}")
        content["families"][family] = summary(lines) | {"seeds": lines}
        write_json(out, content)
    click.echo(tables(content["families"]))


if __name__ == "__main__":
    main()
