"""The real params.yaml in a folder of its own, with synthetic results that hold together for every planned training."""

import json
import random
import shutil
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import cache
from hashlib import md5, sha256
from io import BytesIO
from pathlib import Path
from typing import Any, Literal, Self, get_args

import numpy as np
import pytest
from click.testing import CliRunner, Result
from numpy.typing import NDArray
from PIL import Image
from pydantic import ValidationError

from stages.aggregate_tables import main
from stages.config.cells import CellKey
from stages.config.loading import load_params
from stages.config.params import Params, resolve_count
from stages.config.settings import Run
from stages.core.files import digest, json_hash, write_text
from stages.evaluate.metrics import score
from stages.paper.reading import read_paper
from stages.paper.schema import Paper
from stages.records.canonical import CANONICAL
from stages.records.data import TRAIN_ARRAYS, DatasetDescription, ImageCounts, MadeFrom
from stages.records.digits import digits
from stages.records.evaluation import Evaluation, Mistake, PredictionHashes, logits_path, result_path
from stages.records.fingerprint import SCHEME, Fingerprint, Kind
from stages.records.provenance import Dependency, Environment, GitState, Provenance, SpecReference, folder_md5
from stages.records.run import (
    Backend,
    Counts,
    Epoch,
    EpochTime,
    MlflowRun,
    NetworkSize,
    NumericsRecord,
    RunHashes,
    Span,
    TrainingRun,
    TrainingTimes,
    Validated,
)
from stages.records.spec import Code, Modules, Spec, spec_path
from stages.records.test_split import TEST_SPLIT, true_labels
from stages.report import curves
from stages.report.evidence import Evidence, gather
from tests.remembered import remembered_results, remembered_yaml
from tests.shared import shared_folder
from tests.shipped import shipped

ROOT = Path(__file__).parents[3]
LOADED: dict[str, Params] = {}  # by the file's text: reading YAML would take most of the tests' time
WRITTEN: dict[tuple[int, str, str, int], tuple[bytes, bytes]] = {}  # result and logits: making them is the next


class Project:
    """A working folder with params.yaml, the paper's numbers and results."""

    CELLS = "cells"

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.cells = folder / self.CELLS
        for name in ("paper", "labels"):
            shutil.copytree(ROOT / "data" / name, folder / "data" / name, dirs_exist_ok=True)
        (folder / "params.yaml").write_text(pinned())

    @classmethod
    def at(cls, folder: Path) -> Self:
        """The project that a folder has."""
        project = cls.__new__(cls)
        project.folder, project.cells = folder, folder / cls.CELLS
        return project

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
        """Write a result, with its logits beside, for every planned training."""
        params = self.params
        for training in params.trainings():
            self.put(training.key, training.seed, budget or params.budget)
        return self

    def put(self, key: CellKey, seed: int, budget: str) -> Path:
        """Write the result of a cell and seed, with its logits beside; returns its path."""
        path, params = result_path(self.cells, key, seed), self.params
        which = (id(params), budget, str(key), seed)  # `LOADED` keeps params: no other has its id
        if which not in WRITTEN:
            logits = npy(scored(*_tested(params, budget, key, seed)).logits)
            WRITTEN[which] = synthetic(params, budget, key, seed).text().encode(), logits
        path.parent.mkdir(parents=True, exist_ok=True)
        for file, content in zip((path, logits_path(path)), WRITTEN[which], strict=True):
            file.write_bytes(content)
        return path

    def path(self, cell: str, seed: int = 0) -> Path:
        return self.cells / f"{cell}-s{seed}.json"

    def read(self, cell: str, seed: int = 0) -> dict[str, Any]:
        return json.loads(self.path(cell, seed).read_text())

    def remove(self, *cells: str, seed: int = 0) -> None:
        """Remove the results of cells, with their logits."""
        for cell in cells:
            self.path(cell, seed).unlink()
            logits_path(self.path(cell, seed)).unlink()

    def keep(self, *cells: str) -> None:
        """Remove the results of all other cells, of all seeds."""
        for path in self.cells.rglob("*.json"):
            if f"{path.parent.name}/{path.stem.rpartition('-s')[0]}" not in cells:
                path.unlink()
                logits_path(path).unlink()

    def change(self, cell: str, seed: int = 0, /, *, rebind: bool = True, **values: Any) -> None:
        """Replace entries of a result; `run__outcome` stands for the entry `outcome` of `run`.

        With `rebind`, hashes and bindings that follow from the entries are made to agree with them, as far as the
        entries are what a record allows; without, they are left as they were.
        """
        content = self.read(cell, seed)
        for name, value in values.items():
            *path, last = name.split("__")
            section = content
            for part in path:
                section = section[part]
            section[last] = value
        if rebind:
            with suppress(ValidationError, LookupError, TypeError, ValueError):  # else it is refused for the change
                content = agreed(content).content()
        text = json.dumps(content, indent=1, ensure_ascii=False) + "\n"  # as `json_text`, which refuses NaN
        write_text(self.path(cell, seed), text)

    def evidence(self, budget: str | None = None) -> Evidence:
        params = self.params
        return gather(params, budget or params.budget, self.cells, printed_numbers())

    def aggregate(self, *, figures: Literal["all", "png", "empty"] = "png") -> Result:
        """Run the stage, as dvc.yaml does. Drawing is most of its time: figures are PNG alone, or empty files."""
        words = ["--cells", str(self.cells)]
        for name in ("tables", "figures", "studies", "views", "cards"):
            words += [f"--{name}-out", str(self.out(name))]
        words += ["--ledger-out", str(self.out("ledger.csv")), "--ledger-json-out", str(self.out("ledger.json"))]
        words += ["--book-out", str(self.out("index.html"))]
        with pytest.MonkeyPatch.context() as patch:
            if figures != "all":
                patch.setattr(curves, "OPTIONS", {".png": curves.OPTIONS[".png"]})
            if figures == "empty":
                patch.setattr(curves, "_saved", lambda figure, **options: b"")
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
    """The shipped params.yaml with the sizes that the tests' expectations rest on, whatever quick is tuned to."""
    raw = shipped()
    quick = raw["budgets"]["quick"]
    quick["caption"] = "a small share"
    quick["test_images"] = {"mnist": 1000, "cifar10": 1000}
    quick["augmented_images"] = {"mnist": "all", "cifar10": "all"}
    share = {"images": 2500, "validation_images": 250, "sample_images": 250, "epochs": 2}
    small = {"input_size": 32, "batch_size": 32}
    for dataset in ("mnist", "cifar10"):
        quick["train"][dataset] = {
            "default": share | {"overrides": small},
            "vgg": {"images": 800, "overrides": small | {"batch_size": 16, "hidden_layers": []}},
            "googlenet": {"images": 1500},
        }
    return json.dumps(raw)  # YAML 1.2 includes JSON


def synthetic(params: Params, budget: str, key: CellKey, seed: int, predicted_as: int | None = None) -> Evaluation:
    """What `evaluate` would write: random labels and logits, and everything else counted from them.

    `predicted_as` is another seed, whose logits it has.
    """
    tested = _tested(params, budget, key, seed if predicted_as is None else predicted_as)
    found = scored(*tested)
    classes = params.datasets.of(key.dataset).classes
    run, history = trained(params, budget, key, seed)
    return Evaluation.bound(
        stage=params.stage("evaluate", key, budget, seed),
        provenance=provenance("evaluate", params, budget, key, _tested_inputs(run, history)),
        testing=params.testing(key.dataset, budget),
        numerics=numerics(),
        times=Span(**span(4, 13, 2)),
        classes=classes,
        **counted(*tested, tuple(classes)),
        loss=found.loss,
        predictions=digits(found.predictions),
        labels=digits(found.labels),
        most_confused=[mistake(key)],
        history=history,
        run=run,
        sha256=PredictionHashes.model_validate({"logits": found.logits_sha256, "labels": found.labels_sha256}),
    )


def trained(params: Params, budget: str, key: CellKey, seed: int) -> tuple[TrainingRun, list[Epoch]]:
    """What `train` would write: the run record and the history."""
    drawn = random.Random(f"{key} {budget} {seed}")  # noqa: S311
    config = params.run(str(key), budget, seed)
    history = [
        Epoch(
            epoch=epoch,
            train_loss=2.0,
            train_sample_accuracy=drawn.random(),
            train_sample_loss=2.0,
            validation_accuracy=drawn.random(),
            validation_loss=2.0,
        )
        for epoch in range(1, config.epochs + 1)
    ]
    sizes = counts(params, config)
    right = round(history[-1].validation_accuracy * sizes.validation) / sizes.validation
    history[-1] = history[-1].model_copy(update={"validation_accuracy": right})
    data = described(params, key.dataset)
    run = TrainingRun.bound(
        cell=str(key),
        budget=budget,
        seed=seed,
        stage=params.stage("train", key, budget, seed),
        provenance=provenance("train", params, budget, key, _trained_inputs(budget, key, data)),
        config=config,
        data=data,
        network=NetworkSize(parameters=11_181_642, multiply_adds=37_000_000),
        counts=sizes,
        numerics=numerics(),
        times=TrainingTimes(
            **span(4, 12, 30),
            epochs=[epoch_time(6.0)] * config.epochs,
        ),
        machines=[environment()],
        resumed_after=0,
        outcome="finished",
        images_per_second=round(drawn.uniform(50, 300), 1),
        peak_memory=1 << 30,
        validated=validated(history[-1].validation_accuracy, sizes.validation),
        sha256=RunHashes.model_validate(
            {"weights": sha(f"weights {key} {seed}"), "history": _history_hash(history, "sha256")}
        ),
        mlflow=MlflowRun(run_id=sha(f"{key} {seed}")[:32], experiment="Table"),
    )
    return run, history


def agreed(whole: Mapping[str, Any]) -> Evaluation:
    """The result of this content, with the hashes and bindings that follow from the rest of it.

    These are the hashes of dataset.json, history.json and run.json where they are named, and both bindings. Raises
    ValidationError for a content that no record has.
    """
    content: dict[str, Any] = json.loads(json.dumps(whole))
    run, inputs = content["run"], content["provenance"]["inputs"]
    (arrays,) = (
        path for path, found in run["provenance"]["inputs"].items() if "train_images.npy" in found.get("files", ())
    )
    description = DatasetDescription.model_validate(run["data"]).md5()
    _set_file(run["provenance"]["inputs"][arrays], "dataset.json", description)
    inputs[f"{arrays}/dataset.json"]["md5"] = description
    count, last = run["counts"]["validation"], content["history"][-1]
    if set(run["validated"]["labels"]) == {"0"}:  # not those that a test has put there
        last["validation_accuracy"] = round(last["validation_accuracy"] * count) / count
        run["validated"] = validated(last["validation_accuracy"], count).model_dump()
    run["sha256"]["history.json"] = json_hash(content["history"], "sha256")
    bound = TrainingRun.bound(
        **run
        | {
            "provenance": Provenance.model_validate(run["provenance"]),
            "data": DatasetDescription.model_validate(run["data"]),
            "sha256": RunHashes.model_validate(run["sha256"]),
        }
    )
    (folder,) = (path for path, found in inputs.items() if "run.json" in found.get("files", ()))
    _set_file(inputs[folder], "history.json", json_hash(content["history"]))
    _set_file(inputs[folder], "run.json", bound.md5())
    return Evaluation.bound(
        **content
        | {
            "provenance": Provenance.model_validate(content["provenance"]),
            "run": bound,
            "sha256": PredictionHashes.model_validate(content["sha256"]),
        }
    )


def other_array(result: Evaluation, name: str = "augmented_images") -> Evaluation:
    """The same result, of training arrays of which one has other bytes."""
    content = json.loads(result.text())
    content["run"]["data"]["sha256"][name] = sha("rounded otherwise")
    inputs = content["run"]["provenance"]["inputs"]
    (arrays,) = (found for found in inputs.values() if "train_images.npy" in found["files"])
    arrays["files"][f"{name}.npy"] = short("rounded otherwise")
    return agreed(content)


def _set_file(dependency: dict[str, Any], name: str, found: str) -> None:
    """Another md5 of a file in a folder, and so of the folder."""
    dependency["files"][name] = found
    dependency["md5"] = folder_md5(dependency["files"])


def spec(params: Params, budget: str, key: CellKey) -> Spec:
    """What `resolve` would write of a cell, with fingerprints of no real code."""
    settings = params.settings(str(key), budget)
    train, evaluate = (_fingerprint(kind, settings.cell.family) for kind in get_args(Kind))
    return Spec(
        cell=str(key),
        budget=budget,
        settings=settings,
        testing=params.testing(key.dataset, budget),
        code=Code(scheme=SCHEME, train=train.sha256, evaluate=evaluate.sha256),
        modules=Modules(train=train.modules, evaluate=evaluate.modules),
    )


def _fingerprint(kind: Kind, family: str) -> Fingerprint:
    paths = ("stages/config/settings.py", f"stages/engine/networks/{family}/network.py")
    modules = {path: sha(path) for path in (*paths, "stages/engine/training.py" if kind == "train" else paths[0])}
    return Fingerprint(scheme=SCHEME, sha256=digest({"scheme": SCHEME, "modules": modules}), modules=modules)


def provenance(kind: Kind, params: Params, budget: str, key: CellKey, inputs: dict[str, Dependency]) -> Provenance:
    """What a training (testing) started from."""
    asked = spec(params, budget, key)
    path = spec_path(Path("reports", budget, "specs"), str(key))
    return Provenance(
        spec=SpecReference(path=path.as_posix(), md5=asked.md5()),
        code=asked.fingerprint(kind),
        sources={path: short(path) for path in ("stages/__init__.py", f"stages/{kind}/__main__.py")},
        inputs=inputs,
        git=GitState(commit=sha("commit")[:40], dirty=False, changed=[], difference=None),
        environment=environment(),
        run_by="dvc",
    )


def _trained_inputs(budget: str, key: CellKey, data: DatasetDescription) -> dict[str, Dependency]:
    path = f"data/processed/{budget}/{key.dataset}/train"
    files = {f"{name}.npy": short(f"{path}/{name}.npy") for name in TRAIN_ARRAYS} | {"dataset.json": data.md5()}
    return {path: Dependency(md5=folder_md5(files), files=files)}


def _tested_inputs(run: TrainingRun, history: list[Epoch]) -> dict[str, Dependency]:
    data = f"data/processed/{run.budget}/{run.dataset}"
    folder = f"data/runs/{run.budget}/{run.cell}/s{run.seed}"
    arrays = {name: short(f"{data}/test/{name}") for name in ("images.npy", "labels.npy")}
    files = {
        "history.json": _history_hash(history),
        "run.json": run.md5(),
        "weights.safetensors": short(f"{folder}/weights.safetensors"),
    }
    return {
        f"{data}/train/dataset.json": Dependency(md5=run.data.md5()),
        f"{data}/test": Dependency(md5=folder_md5(arrays), files=arrays),
        folder: Dependency(md5=folder_md5(files), files=files),
    }


@cache
def _description(dataset: str, settings: str) -> DatasetDescription:
    sizes = json.loads(settings)
    return DatasetDescription(
        dataset=dataset,
        channels=sizes["channels"],
        size=sizes["size"],
        classes=sizes["classes"],
        images=ImageCounts(
            train=sizes["train_images"],
            validation=sizes["validation_images"],
            test=sizes["test_images"],
            augmented=sizes["train_images"],
        ),
        mean=[0.5] * sizes["channels"],
        std=[0.25] * sizes["channels"],
        sha256={name: sha(f"{dataset} {name}") for name in TRAIN_ARRAYS}
        | {f"test_{name}": sha256 for name, sha256 in TEST_SPLIT[dataset]._asdict().items()},
        made_from=MadeFrom(
            settings=sizes,
            raw_md5={file.name: file.md5 for file in CANONICAL[dataset]},
            raw_sha256={file.name: file.sha256 for file in CANONICAL[dataset]},
        ),
    )


def described(params: Params, dataset: str) -> DatasetDescription:
    """What `preprocess` would write of a data set."""
    return _description(dataset, params.datasets.of(dataset).model_dump_json())


def counts(params: Params, config: Run) -> Counts:
    """Images and steps of an epoch."""
    sizes = params.datasets.of(config.dataset)
    images = resolve_count(config.images, sizes.train_images)
    copies = images if config.cell.augment == "append" else 0
    return Counts(
        train=images,
        augmented=copies,
        validation=resolve_count(config.validation_images, sizes.validation_images),
        sample=config.sample_images,
        steps_per_epoch=-(-(images + copies) // config.cell.batch_size),
    )


def numerics() -> NumericsRecord:
    return NumericsRecord(
        device="cpu",
        precision="float32",
        threads=1,
        backend=Backend(torch="2.14.1", cuda=None, cudnn=None, capability="AVX2", instructions=["avx2", "fma"]),
    )


def environment() -> Environment:
    return Environment(
        python="3.11.7",
        platform="Linux",
        processor="A processor",
        cores=2,
        variables={"MKL_NUM_THREADS": "1"},
        speed_variables={},
        memory_gib=23.5,
        packages={"torch": "2.14.1", "numpy": "2.4.6", "mlflow": None},
    )


def sha(name: str) -> str:
    """A sha256 that nothing else has."""
    return sha256(name.encode()).hexdigest()


def short(name: str) -> str:
    """An md5 that nothing else has."""
    return md5(name.encode(), usedforsecurity=False).hexdigest()


def _history_hash(history: list[Epoch], algorithm: str = "md5") -> str:
    """Hash of the file of a history."""
    return json_hash([epoch.model_dump(mode="json") for epoch in history], algorithm)


def mistake(key: CellKey) -> Mistake:
    """A test image that was named wrongly, of the data set's size and channels."""
    mode, size, color = ("L", (28, 28), 128) if key.dataset == "mnist" else ("RGB", (32, 32), (128, 64, 32))
    buffer = BytesIO()
    Image.new(mode, size, color).save(buffer, "png")
    png = b64encode(buffer.getvalue()).decode()
    return Mistake(test_image=4711, label=3, predicted=5, probability=0.987654, png=png)


def time(hour: int, minute: int, second: int) -> str:
    return f"2026-11-24T{hour:02}:{minute:02}:{second:02}.250+00:00"


def validated(accuracy: float, count: int) -> Validated:
    """Predictions for so many validation images, of which that share is right."""
    right = round(accuracy * count)
    return Validated(predictions="0" * right + "1" * (count - right), labels="0" * count)


def epoch_time(seconds: float) -> EpochTime:
    """That of an epoch on the only machine."""
    return EpochTime(
        train_seconds=seconds,
        seconds=seconds,
        cpu_seconds=seconds,
        ended=time(4, 12, 40),
        machine=0,
        parameters_sha256=sha("parameters"),
    )


def span(hour: int, minute: int, seconds: int) -> dict[str, Any]:
    ended = time(hour, minute, seconds)
    return {"started": time(hour, minute, 0), "ended": ended, "seconds": float(seconds)}


def folder(path: str, *names: str) -> dict[str, Any]:
    """The hashes of a folder with such files."""
    files = {name: short(f"{path}/{name}") for name in names}
    return {"md5": folder_md5(files), "files": files}


class Scored:
    """Random labels and logits, and what follows from them."""

    def __init__(self, labels: NDArray[np.uint8], logits: NDArray[np.float32]) -> None:
        self.labels, self.logits = labels, logits
        self.predictions = logits.argmax(1).astype(np.uint8)
        wide = logits.astype(np.float64)
        self.loss = float((np.log(np.exp(wide).sum(1)) - wide[np.arange(len(labels)), labels]).mean())
        self.logits_sha256, self.labels_sha256 = (sha256(npy(array)).hexdigest() for array in (logits, labels))


def _tested(params: Params, budget: str, key: CellKey, seed: int) -> tuple[str, str, int]:
    count = resolve_count(params.testing(key.dataset, budget).images, params.datasets.of(key.dataset).test_images)
    return f"{key} {budget} {seed}", f"{key.dataset} {budget}", count


@cache
def scored(name: str, images: str, count: int) -> Scored:
    """The true labels of `images` and random logits of `name`; a share of the images, by `name`, is named right."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        labels = true_labels(images.partition(" ")[0], count)
    drawn = _drawn(name)
    quality = drawn.uniform(0.2, 0.9)
    logits = drawn.uniform(0, 1, size=(count, 10)).astype(np.float32)
    known = drawn.random(count) < quality
    logits[known, labels[known]] += 1
    return Scored(labels, logits)


@cache
def counted(name: str, images: str, count: int, classes: tuple[str, ...]) -> dict[str, Any]:
    """The entries of a result that are counted from its predictions."""
    found = scored(name, images, count)
    return score(found.labels, found.predictions, [*classes], count)


def _drawn(name: str) -> np.random.Generator:
    return np.random.default_rng(int(sha(name)[:16], 16))


def npy(array: NDArray[Any]) -> bytes:
    """The bytes of an array's file."""
    buffer = BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


@pytest.fixture(scope="module", autouse=True)
def _remembered() -> Iterator[None]:
    with remembered_results(), remembered_yaml():
        yield


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
    """A project on which the stage has run, the same for all workers. Read it, change nothing."""

    def make(folder: Path) -> None:
        project = Project(folder).fill()
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(folder)
            done = project.aggregate(figures="all")
        assert done.exit_code == 0, done.output
        (folder / "said").write_text(done.stderr)

    return Project.at(shared_folder(tmp_path_factory, "finished", make))
