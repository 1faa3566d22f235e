"""Whole records, small: a training run and its evaluation, from the shipped params.yaml."""

from pathlib import Path
from typing import Any

import pytest

from stages.config.params import Params
from stages.records.canonical import CANONICAL
from stages.records.data import TEST_ARRAYS, TRAIN_ARRAYS, DatasetDescription
from stages.records.evaluation import Evaluation
from stages.records.fingerprint import Fingerprint
from stages.records.provenance import Environment, GitState, Provenance
from stages.records.run import TrainingRun
from tests.shipped import shipped_params

REPOSITORY = Path(__file__).resolve().parents[3]
MD5, SHA256, COMMIT = "0" * 32, "1" * 64, "2" * 40
NOW = "2026-01-02T03:04:05.678+00:00"
CELL = "mnist/resnet18"
ENVIRONMENT = Environment(
    python="3.11.0",
    platform="é",
    processor="one",
    cores=1,
    variables={},
    speed_variables={"OMP_NUM_THREADS": "1"},
    memory_gib=1.5,
    packages={"torch": "2", "dvc": None},
)
NUMERICS = {
    "device": "cpu",
    "precision": "float32",
    "threads": 1,
    "backend": {"torch": "2", "cuda": None, "cudnn": None, "capability": "AVX2", "instructions": ["avx2"]},
}


@pytest.fixture(scope="session")
def shipped() -> Params:
    return shipped_params()


def provenance_of(files: dict[str, list[str]]) -> Provenance:
    return Provenance.model_validate(
        {
            "spec": {"path": "reports/quick/specs/mnist/resnet18.json", "md5": MD5},
            "code": Fingerprint(scheme=1, sha256=SHA256, modules={"stages/a.py": SHA256}),
            "sources": {"stages/a.py": MD5},
            "inputs": {
                path: {"md5": MD5 + (".dir" if names else ""), "files": dict.fromkeys(names, MD5) if names else None}
                for path, names in files.items()
            },
            "git": GitState(commit=COMMIT, dirty=True, changed=["stages/a.py"], difference="+é\r\n"),
            "environment": ENVIRONMENT,
            "run_by": "dvc",
        }
    )


def description_of(dataset: str) -> DatasetDescription:
    canonical = CANONICAL[dataset]
    return DatasetDescription.model_validate(
        {
            "dataset": dataset,
            "channels": 1,
            "size": 28,
            "classes": list("0123456789"),
            "images": {"train": 5, "validation": 2, "test": 3, "augmented": 0},
            "mean": [0.5],
            "std": [0.25],
            "sha256": dict.fromkeys((*TRAIN_ARRAYS, *TEST_ARRAYS), SHA256),
            "made_from": {
                "settings": {"title": "MNIST", "split_seed": 0, "x": [1.5, None]},
                "raw_md5": {file.name: file.md5 for file in canonical},
                "raw_sha256": {file.name: file.sha256 for file in canonical},
            },
        }
    )


@pytest.fixture
def description() -> DatasetDescription:
    return description_of("mnist")


@pytest.fixture
def run_fields(shipped: Params, description: DatasetDescription) -> dict[str, Any]:
    epoch = {
        "train_seconds": 1.0,
        "seconds": 1.5,
        "cpu_seconds": 1.4,
        "ended": NOW,
        "machine": 0,
        "parameters_sha256": SHA256,
    }
    return {
        "cell": CELL,
        "budget": "quick",
        "seed": 3,
        "stage": "train-mnist@quick-resnet18-3",
        "provenance": provenance_of({"data/train": ["train_images.npy", "train_labels.npy"]}),
        "config": shipped.run(CELL, "quick", 3),
        "data": description,
        "network": {"parameters": 7, "multiply_adds": 9},
        "counts": {"train": 5, "augmented": 0, "validation": 2, "sample": 2, "steps_per_epoch": 1},
        "numerics": NUMERICS,
        "times": {"started": NOW, "ended": NOW, "seconds": 3.0, "epochs": [epoch, epoch]},
        "machines": [ENVIRONMENT],
        "resumed_after": 0,
        "outcome": "finished",
        "images_per_second": 3.5,
        "peak_memory": 1 << 30,
        "validated": {"predictions": "01", "labels": "02"},
        "sha256": {"weights.safetensors": SHA256, "history.json": SHA256},
        "mlflow": {"run_id": MD5, "experiment": "é"},
    }


@pytest.fixture
def run(run_fields: dict[str, Any]) -> TrainingRun:
    return TrainingRun.bound(**run_fields)


@pytest.fixture
def evaluation_fields(run: TrainingRun) -> dict[str, Any]:
    epoch = {"epoch": 1, "train_loss": 0.5, "train_sample_accuracy": 0.5, "train_sample_loss": None}
    inputs = {
        "data/train/dataset.json": [],
        "data/test": ["images.npy", "labels.npy"],
        "data/run": ["weights.safetensors", "history.json", "run.json"],
    }
    mistake = {"test_image": 1, "label": 1, "predicted": 2, "probability": 0.75, "png": "aGk="}
    return {
        "stage": "evaluate-mnist@quick-resnet18-3",
        "provenance": provenance_of(inputs),
        "testing": {"images": 3},
        "numerics": NUMERICS,
        "times": {"started": NOW, "ended": NOW, "seconds": 1.0},
        "classes": list("0123456789"),
        "test_images": 3,
        "correct": 2,
        "accuracy": 2 / 3,
        "at_chance": False,
        "loss": 0.1,
        "report": {"0": {"precision": 1.0, "support": 1.0}, "accuracy": 0.75},
        "confusion": [[1, 0], [1, 1]],
        "predictions": "022",
        "labels": "012",
        "most_confused": [mistake],
        "history": [{**epoch, "validation_accuracy": 0.5, "validation_loss": 0.25}],
        "run": run,
        "sha256": {"logits.npy": SHA256, "labels.npy": SHA256},
    }


@pytest.fixture
def evaluation(evaluation_fields: dict[str, Any]) -> Evaluation:
    return Evaluation.bound(**evaluation_fields)
