"""Stage 3: train one cell with one seed.

    python -m stages.train cifar10/vgg16-adam --budget quick --seed 0 \\
        --data data/processed/quick/cifar10/train --out data/runs/quick/cifar10/vgg16-adam/s0

In:  the arrays of stage `preprocess` (never the test split), the cell, budget and `training` sections of params.yaml.
Out: <out>/ weights.safetensors (after the last epoch), history.json (metrics by epoch; the same bytes whenever seed,
     threads, precision and software are the same) and run.json, the run record, written last: a folder without it is
     not a run. The training is mirrored to MLflow while it runs; a tracking server that is down costs a warning.
     After each epoch <out>.checkpoint holds the state: a run that was killed goes on from there, to the same bits, and
     removes it when it is done.
Runs without DVC and without MLflow too: --no-mlflow keeps a trial out of the tables' experiments.
"""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from stages.config.params import CellKey, Params, load_params
from stages.config.settings import Run
from stages.core.errors import StageError
from stages.core.filenames import DESCRIPTION, HISTORY, RECORD, WEIGHTS
from stages.core.files import file_hash, folder_path, read_json, sweep, write_json
from stages.core.imports import without_collection
from stages.core.locks import exclusive
from stages.core.progress import duration, say
from stages.records import provenance
from stages.track.client import Mirror
from stages.track.describe import end_tags, epoch_metrics, run_metrics
from stages.train.progress import Outlook

if TYPE_CHECKING:
    import torch

    from stages.engine.checkpoints import Checkpoint
    from stages.engine.loop import Epoch


class Job(NamedTuple):
    """What one training is given."""

    params: Params
    key: CellKey
    budget: str
    run: Run
    data: Path
    out: Path


@click.command()
@click.argument("cell")
@click.option("--budget", help="one of params.yaml's budgets; by default the one chosen there")
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True)
@click.option("--data", type=click.Path(path_type=Path), required=True, help="folder of the training arrays")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="folder of the run")
@click.option("--mlflow/--no-mlflow", "mirrored", default=True, help="mirror the run to MLflow")
def main(cell: str, budget: str | None, seed: int, data: Path, out: Path, mirrored: bool) -> None:
    """Train CELL, for example `mnist/resnet18`, and write the run to OUT."""
    params = load_params()
    budget = budget or params.budget
    run = params.run(cell, budget, seed)
    key, _ = params.find(cell)
    with exclusive(out), Mirror(mirrored) as mirror:
        started = time.time()
        (out / RECORD).unlink(missing_ok=True)
        for name in (WEIGHTS, HISTORY, RECORD):
            sweep(out / name)
        record = starting_record(key, budget, run, data, started)
        job = Job(params, key, budget, run, data, out)
        mirror.start(record, params)
        trained, checkpoint = train_cell(job, record, mirror)
        record["times"] |= trained.pop("times")
        ended = time.time()
        record["times"] |= {"ended": provenance.timestamp(ended), "seconds": round(ended - started, 3)}
        record |= trained
        record["mlflow"] = mirror.run()
        write_json(out / RECORD, record)
        mirror.metrics(run_metrics(record), 0, ended)
        mirror.close([out / RECORD, out / HISTORY], end_tags(record), "FINISHED", ended)
        provenance.refuse_changes(record, "train", key, budget, seed, [data], started)
        checkpoint.remove()
    say(f"{record['stage']}: {record['outcome']} in {duration(record['times']['seconds'])}, {out}")


def starting_record(key: CellKey, budget: str, run: Run, data: Path, started: float) -> dict[str, Any]:
    """The part of the run record that must be taken before the training starts."""
    return {
        "schema": 1,
        "cell": str(key),
        "budget": budget,
        "seed": run.seed,
        **provenance.take("train", key, budget, run.seed, [data]),
        "config": run.model_dump(),
        "environment": provenance.environment(),
        "run_by": "dvc" if provenance.run_by_dvc(provenance.stage_name("train", key, budget, run.seed)) else "hand",
        "data": read_json(data / DESCRIPTION, "dvc repro preprocess"),
        "times": {"started": provenance.timestamp(started)},
    }


def train_cell(job: Job, record: dict[str, Any], mirror: Mirror) -> tuple[dict[str, Any], "Checkpoint"]:
    """Train, write weights and history; return what the run record says of it, and the checkpoint, still there."""
    with without_collection():  # and here, so that a wrong parameter is refused without waiting for PyTorch
        import torch

        from stages.engine.checkpoints import Checkpoint
        from stages.engine.images import Standardise
        from stages.engine.loop import Trainer, train
        from stages.engine.network import network_of
        from stages.engine.networks import parameter_count
        from stages.engine.numerics import set_up
        from stages.engine.seeding import derive
        from stages.engine.splits import Splits

    run, budget = job.run, job.params.chosen_budget(job.budget)
    numerics = set_up(run.training.precision, budget.threads, budget.device)
    splits = Splits.of(run, job.data, numerics.device)
    torch.manual_seed(derive(run.seed, "weights"))
    standardise = Standardise.of(record["data"], run.cell.input_size, numerics)
    trainer = Trainer(network_of(run, record["data"]), run, standardise, numerics)
    checkpoint = Checkpoint(job.out, identity(record, numerics.describe()))
    outlook = Outlook(job.params, job.budget, job.key, run, job.out, len(splits.train))
    epochs = checkpoint.load(trainer)
    resumed_after = len(epochs)
    for epoch in epochs:
        mirror_epoch(mirror, epoch)

    def on_epoch(epoch: "Epoch") -> None:
        epochs.append(epoch)
        mirror_epoch(mirror, epoch)
        outlook.report(record["stage"], epoch.metrics, epoch.seconds, len(splits.train) / epoch.train_seconds)
        checkpoint.save(trainer, epochs)

    outcome = train(trainer, splits, tuple(epochs), on_epoch, outlook.step)
    outlook.close()
    save(trainer.weights(), epochs, job.out)
    return {
        "outcome": outcome,
        "resumed_after": resumed_after,
        "counts": splits.counts(run),
        "parameters": parameter_count(trainer.model),
        **numerics.describe(),
        "times": {"epochs": [epoch_times(epoch) for epoch in epochs]},
        "images_per_second": round(len(splits.train) * len(epochs) / sum(epoch.train_seconds for epoch in epochs), 1),
        "sha256": {name: file_hash(job.out / name, "sha256") for name in (WEIGHTS, HISTORY)},
    }, checkpoint


def identity(record: dict[str, Any], numerics: dict[str, Any]) -> dict[str, Any]:
    """All that the bits of a training depend on, by a name that says what differs when a checkpoint is refused."""
    sources = {path: found["md5"] for path, found in record["deps"].items() if path.startswith("stages/")}
    machine = {name: record["environment"][name] for name in ("processor", "variables")}
    return {
        "settings": record["config"],
        "code": sources,
        "data": {path: found["md5"] for path, found in record["deps"].items() if path not in sources},
        "software": record["environment"]["packages"] | {"python": record["environment"]["python"]},
        "numerics": numerics | machine,
    }


def mirror_epoch(mirror: Mirror, epoch: "Epoch") -> None:
    """Add an epoch's metrics to the MLflow run, at the time it ended."""
    mirror.metrics(epoch_metrics(epoch.metrics), epoch.metrics["epoch"], epoch.ended)


def save(weights: "dict[str, torch.Tensor]", epochs: "list[Epoch]", out: Path) -> None:
    """Write the weights (plain layout, float32) and the history."""
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    try:
        with folder_path(out / WEIGHTS) as temporary:  # safetensors has temporary files of its own
            save_file(weights, temporary)
    except (OSError, SafetensorError) as error:
        raise StageError(f"{out / WEIGHTS} cannot be written ({error}); make room, and start again") from error
    write_json(out / HISTORY, [epoch.metrics for epoch in epochs])


def epoch_times(epoch: "Epoch") -> dict[str, Any]:
    """The wall times of an epoch, as the run record has them."""
    return {
        "train_seconds": round(epoch.train_seconds, 3),
        "seconds": round(epoch.seconds, 3),
        "ended": provenance.timestamp(epoch.ended),
    }


if __name__ == "__main__":
    main()
