"""Stage `train`: train one cell with one seed.

    python -m stages.train cifar10/vgg16-adam --budget quick --seed 0 \\
        --data data/processed/quick/cifar10/train --out data/runs/quick/cifar10/vgg16-adam/s0

In:  the cell's spec (stage `resolve`), the arrays of stage `preprocess` (never the test split), the budget's device.
Out: <out>/ weights.safetensors (after the last epoch), history.json (metrics by epoch; the same bytes whenever seed,
     threads, precision and software are the same) and run.json, the run record, written last: a folder without it is
     not a run. The training is mirrored to MLflow while it runs; a tracking server that is down costs a warning.
     After each epoch <out>.checkpoint holds the state: a run that was killed goes on from there, to the same bits, and
     removes it when it is done. Start and end are written into reports/<budget>/attempts.jsonl, to be committed.
Runs without DVC and without MLflow too: --no-mlflow keeps a trial out of the tables' experiments.
"""

import stages.core.environment  # noqa: F401  # isort: skip

import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from stages.config.loading import load_params
from stages.core.checkout import links_under_dvc
from stages.core.errors import StageError
from stages.core.filenames import DESCRIPTION, HISTORY, RECORD, WEIGHTS
from stages.core.files import file_hash, folder_path, sweep, write_json
from stages.core.imports import without_collection
from stages.core.locks import exclusive
from stages.core.progress import duration, say
from stages.records import provenance
from stages.records.attempts import Journal
from stages.records.data import DatasetDescription
from stages.records.digits import digits
from stages.records.eta import Machine, processor_family
from stages.records.run import Epoch as EpochMetrics
from stages.records.run import TrainingRun
from stages.records.spec import check_spec, resolve_spec, spec_path
from stages.track.client import Mirror
from stages.track.describe import TrainingStart, end_tags, epoch_metrics, run_metrics
from stages.train.progress import TrainingProgress

if TYPE_CHECKING:
    import torch

    from stages.engine.loop import EpochResult
    from stages.engine.training import TrainingSession

# Modules beside those of the fingerprint that a training may load: they check, record, mirror and say.
ALLOWED = ("stages/config/", "stages/core/", "stages/records/", "stages/track/", "stages/train/")
# The instructions among a processor's that PyTorch and oneDNN choose kernels of these networks by.
_INSTRUCTIONS = (
    *("avx2", "fma3", "avx512_f", "avx512_bw", "avx512_dq", "avx512_vl", "avx512_bf16", "avx512_fp16"),
    *("amx_tile", "amx_bf16", "amx_fp16", "neon", "bf16", "sve", "sve2"),
)
_VARIABLES = ("MKL_", "ONEDNN_", "DNNL_", "ATEN_", "TORCH_", "CUBLAS_", "CUDNN_", "NVIDIA_")
_NO_MEMORY = ("out of memory", "can't allocate memory", "not enough memory")  # CUDA, the processor, mps
_SOFTWARE = ("torch", "torchvision", "numpy")


@click.command()
@click.argument("cell")
@click.option("--budget", help="one of params.yaml's budgets; by default the one chosen there")
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True)
@click.option(
    "--spec", "spec_file", type=click.Path(path_type=Path), help="by default reports/<budget>/specs/<cell>.json"
)
@click.option("--data", type=click.Path(path_type=Path), required=True, help="folder of the training arrays")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="folder of the run")
@click.option("--mlflow/--no-mlflow", "mirrored", default=True, help="mirror the run to MLflow")
def main(
    cell: str, budget: str | None, seed: int, spec_file: Path | None, data: Path, out: Path, mirrored: bool
) -> None:
    """Train CELL, for example `mnist/resnet18`, and write the run to OUT."""
    if linked := links_under_dvc():
        raise StageError(linked[0])
    params = load_params()
    budget = budget or params.budget
    key, _ = params.find(cell)
    stage = params.stage("train", key, budget, seed)
    spec_file = spec_file or spec_path(Path(f"reports/{budget}/specs"), cell)
    spec = check_spec(spec_file, resolve_spec(params, budget, cell), "train")
    run = spec.settings.seeded(seed)
    with memory_named(stage), exclusive(out), Mirror(mirrored) as mirror, Journal(params, budget, out) as journal:
        started = time.time()
        try:
            (out / RECORD).unlink(missing_ok=True)
        except OSError as error:
            raise StageError(f"--out {out} cannot be written ({error.strerror}); name another folder") from error
        for name in (WEIGHTS, HISTORY, RECORD):
            sweep(out / name)
        taken = provenance.snapshot_inputs("train", stage, spec, spec_file, [data])
        described = DatasetDescription.read(data / DESCRIPTION, "dvc repro preprocess")
        spec.check_data(described, data / DESCRIPTION)
        start = TrainingStart(
            cell, budget, seed, stage, run, taken.git, described, data.as_posix(), provenance.timestamp(started)
        )
        mirror.start(start, params)
        with without_collection():  # here, so that a wrong parameter is refused without waiting for PyTorch
            from stages.engine.training import TrainingSession

        device = params.chosen_budget(budget).device
        training = TrainingSession(
            run,
            described.content(),
            data,
            out,
            device=device,
            machine=taken.environment.model_dump(mode="json"),
            identity_of=partial(identity, start, taken),
        )
        here = Machine(training.numerics["device"], processor_family(taken.environment.processor))
        progress = TrainingProgress(params, budget, key, run, out, training.images_per_epoch, here)
        journal.started(cell, seed, taken.spec.md5, taken.git.commit, training.numerics["device"])
        outcome = train(training, mirror, progress, stage)
        save(training, out)
        predictions, labels = training.predict_validation()
        provenance.assert_unchanged(taken, "train", stage, spec, started)
        provenance.assert_modules("train", spec.settings.cell.family, ALLOWED)
        ended = time.time()
        record = TrainingRun.bound(
            cell=cell,
            budget=budget,
            seed=seed,
            stage=stage,
            provenance=taken,
            config=run,
            data=described,
            network=training.network,
            counts=training.counts,
            numerics=training.numerics,
            times=times(training, started, ended),
            machines=training.machines,
            resumed_after=training.resumed_after,
            outcome=outcome,
            images_per_second=round(training.images_per_second(), 1),
            peak_memory=peak_memory(),
            validated={"predictions": digits(predictions), "labels": digits(labels)},
            sha256={name: file_hash(out / name, "sha256") for name in (WEIGHTS, HISTORY)},
            mlflow=mirror.run(),
        ).with_checksum()
        record.write(out / RECORD)
        journal.ended(outcome, record.binding)
        mirror.metrics(run_metrics(record), 0, ended)
        mirror.close([out / RECORD, out / HISTORY], end_tags(record), "FINISHED", ended)
        training.checkpoint.remove()
    say(f"{stage}: {outcome} in {duration(record.times.seconds)}, {out}")


@contextmanager
def memory_named(stage: str) -> Iterator[None]:
    """Turn PyTorch's errors for too little memory, of the GPU or of the machine, into one line."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        said = " ".join(str(error).split())
        if not isinstance(error, MemoryError) and not any(words in said for words in _NO_MEMORY):
            raise
        cure = "end what else takes it, or run fewer trainings at a time (--jobs); the next start resumes this one"
        raise StageError(f"{stage}: out of memory ({said[:120]}); {cure}") from error


def train(training: "TrainingSession", mirror: Mirror, progress: TrainingProgress, stage: str) -> str:
    """Train, mirroring each epoch and saying how far it is; returns the outcome."""
    for epoch in training.epochs:
        mirror_epoch(mirror, epoch)

    def on_epoch(epoch: "EpochResult") -> None:
        mirror_epoch(mirror, epoch)
        progress.report(stage, epoch.metrics, epoch.seconds, training.images_per_epoch / epoch.train_seconds)

    try:
        return training.train(on_epoch, progress.step)
    finally:
        progress.close()


def identity(start: TrainingStart, taken: provenance.Provenance, numerics: dict[str, Any]) -> dict[str, Any]:
    """All that the bits of a training depend on, by a name that says what differs when a checkpoint is refused.

    Of the processor vendor, instructions and second cache count, by which libraries choose kernels and their blocks: a
    checkpoint goes on on another machine where these are the same.
    """
    machine, backend = taken.environment, numerics["backend"]
    chosen = {
        "instructions": [name for name in backend["instructions"] if name in _INSTRUCTIONS],
        "processor": str(backend["processor"]).partition(" ")[0],  # its vendor, which MKL asks for
        "l1d_cache": None,  # Zen 4 and Zen 5 differ in it, and gave the same bits
    }
    return {
        "cell": [start.cell, start.budget],
        "settings": start.settings.model_dump(mode="json"),
        "code": taken.code.sha256,
        "data": start.data.content(),
        "software": {name: machine.packages.get(name) for name in _SOFTWARE}
        | {"python": machine.python.rpartition(".")[0]},
        "numerics": numerics | {"backend": backend | chosen},
        "variables": {name: value for name, value in machine.variables.items() if _decides_bits(name)},
    }


def _decides_bits(variable: str) -> bool:
    """Whether an environment variable can change the bits of a training, which sets the number of threads itself."""
    return variable.startswith(_VARIABLES) and not variable.endswith(("_NUM_THREADS", "_DYNAMIC"))


def mirror_epoch(mirror: Mirror, epoch: "EpochResult") -> None:
    """Add an epoch's metrics to the MLflow run, at the time it ended."""
    metrics = EpochMetrics.model_validate(epoch.metrics)
    mirror.metrics(epoch_metrics(metrics), metrics.epoch, epoch.ended)


def save(training: "TrainingSession", out: Path) -> None:
    """Write the weights (plain layout, float32) and the history."""
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    weights: dict[str, torch.Tensor] = training.weights()
    try:
        with folder_path(out / WEIGHTS) as temporary:  # safetensors has temporary files of its own
            save_file(weights, temporary)
    except (OSError, SafetensorError) as error:
        raise StageError(f"{out / WEIGHTS} cannot be written ({error}); make room, and start again") from error
    write_json(out / HISTORY, training.history())


def times(training: "TrainingSession", started: float, ended: float) -> dict[str, Any]:
    """When the training ran, and what each epoch took and left."""
    return {
        "started": provenance.timestamp(started),
        "ended": provenance.timestamp(ended),
        "seconds": round(ended - started, 3),
        "epochs": [
            {
                "train_seconds": round(epoch.train_seconds, 3),
                "seconds": round(epoch.seconds, 3),
                "cpu_seconds": round(epoch.cpu_seconds, 3),
                "ended": provenance.timestamp(epoch.ended),
                "machine": epoch.machine,
                "parameters_sha256": epoch.parameters_sha256,
            }
            for epoch in training.epochs
        ],
    }


def peak_memory() -> int:
    """The most memory that this process has held, in bytes."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


if __name__ == "__main__":
    main()
