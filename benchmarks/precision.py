"""What bfloat16 costs in accuracy: the engine with it against itself in float32, weights and accuracies.

    python -m benchmarks.precision [--families vgg16,resnet18,googlenet] [--optimizer adam] [--images 10000] [--seeds 5]
        [--steps 1,10,50]

In:  CIFAR10 as stage `preprocess` leaves it, params.yaml; batch sizes as in `make bench`.
Out: reports/precision.json, and its tables on standard output.
Each seed is trained for an epoch of so many images in float32 and, from the same start with the same batches and
dropout, in bfloat16; and once more in float32 for the steps alone, with the batches and dropout of another seed. The
distance of the last two from the first, as a share of how far the first has gone, is what bfloat16 changes beside what
the order of the images changes anyway. Accuracies are those on all validation images after the epoch. None of it
depends on the machine's load.
"""

import os
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from statistics import fmean, median, stdev
from typing import Any, NamedTuple

import click

from benchmarks.engine import Names
from benchmarks.families import DATA, FAMILIES, OPTIMIZERS, description, run_of
from benchmarks.rates import significant
from stages.core import provenance
from stages.core.progress import say
from stages.core.records import write_json
from stages.core.settings import Precision
from stages.report.markdown import table
from stages.stats.intervals import student

CONFIDENCE = 0.95
OTHER_ORDER = 1000  # added to a seed, for the batches and the dropout of the third training


class Way(NamedTuple):
    """One training: its weights after some steps (0: none), as rows of float32 numbers; its accuracy in percent."""

    weights: dict[int, Any]
    accuracy: float


class Course(NamedTuple):
    """What all trainings share: the optimizer, the images of the epoch, the steps after which weights are compared."""

    optimizer: str
    images: int
    compared: tuple[int, ...]


def travel(family: str, precision: Precision, seed: int, course: Course, order: int | None = None) -> Way:
    """Train for the epoch from the weights of `seed`; with the batches of another `order`, for the steps alone."""
    import torch

    from benchmarks.ours import ready
    from stages.learn.engine import accuracy, predict
    from stages.learn.images import load

    trainer, data = ready(run_of(family, course.optimizer, seed, precision), torch.get_num_threads())
    weights = {0: trainer.parameters.master.clone()}
    if order is not None:
        trainer.run = run_of(family, course.optimizer, order, precision)
    taken = islice(trainer.steps(data.first(course.images), 1), None if order is None else max(course.compared))
    for number, _ in enumerate(taken, 1):
        if number in course.compared:
            weights[number] = trainer.parameters.master.clone()
    validation = load(DATA, "validation_images", "validation_labels", trainer.arithmetic.device, "all")
    logits = predict(trainer.model, validation, trainer.standardise).logits
    return Way(weights, 100 * accuracy(logits, validation.labels))


def apart(one: Way, other: Way) -> dict[int, float]:
    """How far two trainings from the same start are apart, as a share of how far the first has gone, step by step."""
    start = one.weights[0]
    return {
        step: ((one.weights[step] - other.weights[step]).norm() / (one.weights[step] - start).norm()).item()
        for step in one.weights
        if step
    }


def measure(family: str, seeds: int, course: Course) -> Iterator[dict[str, Any]]:
    """One line per seed: distances by step, and accuracies."""
    for seed in range(seeds):
        exact = travel(family, "float32", seed, course)
        rounded = travel(family, "bfloat16", seed, course)
        other = travel(family, "float32", seed, course, seed + OTHER_ORDER)
        yield {
            "seed": seed,
            "bfloat16": apart(exact, rounded),
            "other_order": apart(exact, other),
            "accuracy": {"float32": exact.accuracy, "bfloat16": rounded.accuracy},
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
        "deviation_over_seeds": round(stdev(accuracies["float32"]), 2) if len(lines) > 1 else None,
        "difference": round(fmean(differences), 2),
        "interval": student(differences, CONFIDENCE),
    }


def tables(families: dict[str, Any]) -> str:
    """Both tables, as Markdown."""
    distances = [
        [family, f"{steps} steps", *(f"{found['distance'][kind][steps]:.3g}" for kind in ("bfloat16", "other_order"))]
        for family, found in families.items()
        for steps in found["distance"]["bfloat16"]
    ]
    accuracies = []
    for family, found in families.items():
        values = [f"{found['accuracy'][name]:.1f}" for name in ("float32", "bfloat16")]
        interval = "" if found["interval"] is None else " ({:+.1f} to {:+.1f})".format(*found["interval"])
        scatter = "" if found["deviation_over_seeds"] is None else f"{found['deviation_over_seeds']:.1f}"
        accuracies.append([family, *values, f"{found['difference']:+.1f}{interval}", scatter])
    columns = ["family", "float32", "bfloat16", "difference (95 % interval)", "seeds scatter by"]
    return "\n\n".join(
        (
            table(["family", "after", "bfloat16", "other order"], distances, (2, 3)),
            table(columns, accuracies, range(1, len(columns))),
        )
    )


@click.command()
@click.option("--families", type=Names(list(FAMILIES)), default=",".join(FAMILIES), show_default=True)
@click.option("--optimizer", type=click.Choice(list(OPTIMIZERS)), default="adam", show_default=True)
@click.option("--images", type=click.IntRange(min=1), default=10000, show_default=True, help="of the epoch")
@click.option("--seeds", type=click.IntRange(min=1), default=5, show_default=True)
@click.option("--steps", default="1,10,50", show_default=True, help="after which weights are compared")
@click.option("--threads", type=click.IntRange(min=1), default=os.cpu_count() or 1, help="by default all cores")
@click.option("--out", type=click.Path(path_type=Path), default=Path("reports/precision.json"), show_default=True)
def main(families: list[str], optimizer: str, images: int, seeds: int, steps: str, threads: int, out: Path) -> None:
    """Train each family in both formats and compare."""
    if not all(step.isdecimal() and int(step) for step in steps.split(",")):
        raise click.BadParameter(f"{steps!r} is not of the form 1,10,50", param_hint="--steps")
    if images > (there := description()["images"]["train"]):
        raise click.BadParameter(f"{images}: there are {there}", param_hint="--images")
    from stages.learn.arithmetic import set_up

    arithmetic = set_up("bfloat16", threads, "cpu")
    course = Course(optimizer, images, tuple(sorted(int(step) for step in steps.split(","))))
    content: dict[str, Any] = {
        "environment": provenance.environment(),
        "git": provenance.git_state(),
        "settings": {**course._asdict(), "seeds": seeds, **arithmetic.describe()},
        "families": {},
    }
    for family in families:
        lines = []
        for line in measure(family, seeds, course):
            lines.append(line)
            say(f"{family}: seed {line['seed']}: " + ", ".join(f"{k} {v:.2f} %" for k, v in line["accuracy"].items()))
        content["families"][family] = summary(lines) | {"seeds": lines}
        write_json(out, content)
    click.echo(tables(content["families"]))


if __name__ == "__main__":
    main()
