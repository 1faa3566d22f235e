"""The real params.yaml in a folder of its own, with synthetic results that hold together for every planned cell."""

import json
import random
import shutil
from base64 import b64encode
from collections.abc import Callable
from functools import cache
from hashlib import md5, sha256
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image
from sklearn.metrics import classification_report, confusion_matrix

from stages.aggregate_tables import main
from stages.config.params import CellKey, Params, load_params, read_yaml
from stages.evaluate.chance import at_chance
from stages.records.provenance import folder_md5
from stages.report.evidence import Evidence, gather
from stages.report.paper import Paper, read_paper
from stages.report.results import expected_test_images, result_path

ROOT = Path(__file__).parents[3]
LOADED: dict[str, Params] = {}  # by the file's text: reading YAML would take most of the tests' time


class Project:
    """A working folder with params.yaml, the paper's numbers and results."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.cells = folder / "cells"
        shutil.copytree(ROOT / "data" / "paper", folder / "data" / "paper", dirs_exist_ok=True)
        (folder / "params.yaml").write_text(pinned())

    @property
    def params(self) -> Params:
        path = self.folder / "params.yaml"
        text = path.read_text()
        if text not in LOADED:
            LOADED[text] = load_params(path)
        return LOADED[text]

    def edit(self, change: Callable[[dict[str, Any]], None]) -> None:
        """Change params.yaml."""
        path = self.folder / "params.yaml"
        raw = json.loads(path.read_text())
        change(raw)
        path.write_text(json.dumps(raw))

    def fill(self, budget: str | None = None) -> "Project":
        """Write a result for every planned cell and seed."""
        params = self.params
        for key in params.cell_keys():
            for seed in params.seeds:
                path = result_path(self.cells, key, seed)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(json.dumps(synthetic(params, budget or params.budget, key, seed)))
        return self

    def path(self, cell: str, seed: int = 0) -> Path:
        return self.cells / f"{cell}-s{seed}.json"

    def read(self, cell: str, seed: int = 0) -> dict[str, Any]:
        return json.loads(self.path(cell, seed).read_text())

    def change(self, cell: str, seed: int = 0, /, **values: Any) -> None:
        """Replace entries of a result; `run__outcome` stands for the entry `outcome` of `run`."""
        content = self.read(cell, seed)
        for name, value in values.items():
            *path, last = name.split("__")
            section = content
            for part in path:
                section = section[part]
            section[last] = value
        self.path(cell, seed).write_text(json.dumps(content))

    def evidence(self, budget: str | None = None) -> Evidence:
        params = self.params
        return gather(params, budget or params.budget, self.cells, printed_numbers())

    def aggregate(self) -> Result:
        """Run the stage, as dvc.yaml does."""
        words = ["--cells", str(self.cells)]
        for name in ("tables", "figures", "studies", "views"):
            words += [f"--{name}-out", str(self.out(name))]
        words += ["--ledger-out", str(self.out("ledger.csv")), "--ledger-json-out", str(self.out("ledger.json"))]
        words += ["--book-out", str(self.out("index.html"))]
        return CliRunner().invoke(main, words)

    def out(self, name: str) -> Path:
        return self.folder / "out" / name

    def text(self, name: str) -> str:
        """A file that the stage wrote, as `tables/table_1.md`."""
        return (self.folder / "out" / name).read_text()


@cache
def printed_numbers() -> Paper:
    return read_paper(ROOT / "data" / "paper")


@cache
def pinned() -> str:
    """The real params.yaml with the sizes that the tests' expectations rest on, whatever quick is tuned to."""
    raw = read_yaml(ROOT / "params.yaml")
    raw.update(budget="quick", seeds=[0], study_cells={"mnist": [], "cifar10": ["resnet18-lr1e-2-sgd"]})
    quick = raw["budgets"]["quick"]
    quick["caption"] = "a small share"
    quick["test_images"] = {"mnist": 1000, "cifar10": 1000}
    quick["augmented_images"] = {"mnist": "all", "cifar10": "all"}
    for dataset in ("mnist", "cifar10"):
        for family, images, overrides in (
            ("vgg", 800, {"input_size": 32, "batch_size": 16, "hidden_layers": []}),
            ("resnet", 2500, {"input_size": 32, "batch_size": 32}),
            ("googlenet", 1500, {"input_size": 32, "batch_size": 32}),
        ):
            share = {"images": images, "validation_images": 250, "sample_images": 250, "epochs": 2}
            quick["train"][dataset][family] = share | {"overrides": overrides}
    return json.dumps(raw)  # YAML 1.2 includes JSON


def synthetic(params: Params, budget: str, key: CellKey, seed: int) -> dict[str, Any]:
    """What `evaluate` would write: random labels and predictions, and everything else counted from them."""
    drawn = random.Random(f"{key} {budget} {seed}")  # noqa: S311
    run = params.run(str(key), budget, seed)
    classes = params.datasets.of(key.dataset).classes
    count = expected_test_images(params, budget, key.dataset)
    return {"cell": str(key), "dataset": key.dataset, "budget": budget, "seed": seed} | {
        "schema": 1,
        "stages": {kind: f"{kind}-{key.stage_suffix}@{budget}-{key.name}-{seed}" for kind in ("train", "evaluate")},
        "classes": classes,
        **scored(f"{key} {budget} {seed}", f"{key.dataset} {budget}", count, tuple(classes)),
        "loss": 2.0,
        "history": [
            {"epoch": epoch, "train_loss": 2.0, "train_sample_loss": 2.0, "validation_loss": 2.0}
            | {"train_accuracy": drawn.random(), "validation_accuracy": drawn.random()}
            for epoch in range(1, run.epochs + 1)
        ],
        "evaluated": evaluated(budget, key, seed),
        "most_confused": [mistake(key)],
        "sha256": {name: sha(f"{name} {key} {seed}") for name in ("logits.npy", "labels.npy")},
        "run": {
            **trained(budget, key, seed),
            "config": run.model_dump(),
            "counts": {"train": 800, "augmented": 0, "validation": 250, "sample": 250, "steps_per_epoch": 50},
            "outcome": "finished",
            "parameters": 11_181_642,
            "images_per_second": round(drawn.uniform(50, 300), 1),
            "times": {
                **span(4, 12, 30),
                "epochs": [{"train_seconds": 5.0, "seconds": 6.0, "ended": time(4, 12, 40)}] * run.epochs,
            },
            "mlflow": {"run_id": sha(f"{key} {seed}")[:32], "experiment": "Table"},
        },
    }


def sha(name: str) -> str:
    """A sha256 that nothing else has."""
    return sha256(name.encode()).hexdigest()


def mistake(key: CellKey) -> dict[str, Any]:
    """A test image that was named wrongly, of the data set's size and channels."""
    mode, size, color = ("L", (28, 28), 128) if key.dataset == "mnist" else ("RGB", (32, 32), (128, 64, 32))
    buffer = BytesIO()
    Image.new(mode, size, color).save(buffer, "png")
    png = b64encode(buffer.getvalue()).decode()
    return {"test_image": 4711, "label": 3, "predicted": 5, "probability": 0.987654, "png": png}


def short(name: str) -> str:
    """An md5 that nothing else has."""
    return md5(name.encode(), usedforsecurity=False).hexdigest()


def time(hour: int, minute: int, second: int) -> str:
    return f"2026-11-24T{hour:02}:{minute:02}:{second:02}.250+00:00"


def span(hour: int, minute: int, seconds: int) -> dict[str, Any]:
    ended = time(hour, minute, seconds)
    return {"started": time(hour, minute, 0), "ended": ended, "seconds": float(seconds)}


def folder(path: str, *names: str) -> dict[str, Any]:
    """The hashes of a folder with such files."""
    files = {name: short(f"{path}/{name}") for name in names}
    return {"md5": folder_md5(files), "files": files}


def made() -> dict[str, Any]:
    """What a training and an evaluation both record of commit and machine."""
    return {
        "git": {"commit": sha("commit")[:40], "dirty": False, "changed": []},
        "environment": {
            "python": "3.11.7",
            "platform": "Linux",
            "processor": "A processor",
            "cores": 2,
            "variables": {"MKL_NUM_THREADS": "1"},
            "speed_variables": {},
            "memory_gib": 23.5,
            "packages": {"torch": "2.14.1", "numpy": "2.4.6", "mlflow": None},
        },
        "device": "cpu",
        "precision": "float32",
        "threads": 2,
    }


def trained(budget: str, key: CellKey, seed: int) -> dict[str, Any]:
    """Where a training comes from, in the form of its run record."""
    data = f"data/processed/{budget}/{key.dataset}/train"
    arrays = [f"{part}_{what}.npy" for part in ("train", "validation") for what in ("images", "labels")]
    return made() | {
        "stage": f"train-{key.stage_suffix}@{budget}-{key.name}-{seed}",
        "run_by": "dvc",
        "cell": str(key),
        "budget": budget,
        "seed": seed,
        "params": {f"{key.section}.{key.dataset}.{key.name}": {"lr": 0.001}},
        "deps": {
            "stages/train.py": {"md5": short("train.py")},
            "stages/learn": folder("stages/learn", "engine.py", "models/vgg.py"),
            data: folder(data, *arrays, "augmented_images.npy", "dataset.json"),
        },
        "data": {
            "dataset": key.dataset,
            "title": key.dataset.upper(),
            "sha256": {f"{part}_images": sha(f"{part}_images") for part in ("train", "test")},
            "made_from": {
                "settings": {"channels": 1},
                "raw_md5": {"train.bin": short("train.bin")},
                "packages": {"torch": "2.14.1"},
            },
        },
        "sha256": {name: sha(f"{name} {key} {seed}") for name in ("weights.safetensors", "history.json")},
    }


def evaluated(budget: str, key: CellKey, seed: int) -> dict[str, Any]:
    """Where the predictions come from, in the form of a result."""
    data = f"data/processed/{budget}/{key.dataset}"
    run = f"data/runs/{budget}/{key}/s{seed}"
    return made() | {
        "params": {f"budgets.{budget}.test_images.{key.dataset}": 1000},
        "deps": {
            "stages/evaluate.py": {"md5": short("evaluate.py")},
            "stages/score": folder("stages/score", "metrics.py"),
            f"{data}/train/dataset.json": {"md5": short(f"{data}/train/dataset.json")},
            f"{data}/test": folder(f"{data}/test", "images.npy", "labels.npy"),
            run: folder(run, "history.json", "run.json", "weights.safetensors"),
        },
        "times": span(4, 13, 2),
    }


@cache
def scored(name: str, images: str, count: int, classes: tuple[str, ...]) -> dict[str, Any]:
    """Random labels of `images` and predictions of `name`, and the entries of a result that follow from them."""
    of_images = random.Random(images)  # noqa: S311
    drawn = random.Random(name)  # noqa: S311
    quality = drawn.uniform(0.2, 0.9)
    labels = [of_images.randrange(10) for _ in range(count)]
    predictions = [label if drawn.random() < quality else drawn.randrange(10) for label in labels]
    correct = sum(label == prediction for label, prediction in zip(labels, predictions, strict=True))
    report = classification_report(
        labels, predictions, labels=range(10), target_names=list(classes), output_dict=True, zero_division=0
    )
    return {
        "test_images": len(labels),
        "correct": correct,
        "accuracy": correct / len(labels),
        "at_chance": at_chance(np.array(labels, np.uint8), correct),
        "report": report,
        "confusion": confusion_matrix(labels, predictions, labels=range(10)).tolist(),
        "predictions": "".join(map(str, predictions)),
        "labels": "".join(map(str, labels)),
    }


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """An empty project, which is the working folder."""
    monkeypatch.chdir(tmp_path)
    return Project(tmp_path)


@pytest.fixture
def filled(project: Project) -> Project:
    """A project with all results of the budget and seeds that params.yaml chooses."""
    return project.fill()


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project on which the stage has run. Read it, change nothing."""
    project = Project(tmp_path_factory.mktemp("finished")).fill()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(project.folder)
        done = project.aggregate()
    assert done.exit_code == 0, done.output
    (project.folder / "said").write_text(done.stderr)
    return project
