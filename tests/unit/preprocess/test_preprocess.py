"""The stage on tiny files: what it writes, that it writes the same bytes twice, and what it refuses."""

import json
import struct
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from PIL import Image
from ruamel.yaml import YAML

from stages.config.loading import load_params
from stages.config.reading import read_yaml
from stages.core.files import file_hash
from stages.engine.augmentation import Augmentation, augment
from stages.preprocess import copies as copies_module
from stages.preprocess.__main__ import main
from stages.preprocess.raw import READERS
from stages.preprocess.split import channel_statistics, split

REPOSITORY = Path(__file__).resolve().parents[3]
SIZES = {"train_images": 30, "validation_images": 10, "test_images": 8}
FILES = [
    "processed/test/images.npy",
    "processed/test/labels.npy",
    "processed/train/augmented_images.npy",
    "processed/train/dataset.json",
    "processed/train/train_images.npy",
    "processed/train/train_labels.npy",
    "processed/train/validation_images.npy",
    "processed/train/validation_labels.npy",
    "samples/augmented.png",
    "samples/plain.png",
]


def write_raw(folder: Path, dataset: str) -> None:
    """40 training and 8 test images, in the canonical files' formats."""
    folder.mkdir()
    random = np.random.default_rng(0)
    if dataset == "mnist":
        for prefix, count in (("train", 40), ("t10k", 8)):
            pixels, labels = random.integers(0, 256, (count, 28, 28), np.uint8), random.integers(0, 10, count, np.uint8)
            header = struct.pack(">IIII", 0x803, count, 28, 28)
            (folder / f"{prefix}-images-idx3-ubyte").write_bytes(header + pixels.tobytes())
            (folder / f"{prefix}-labels-idx1-ubyte").write_bytes(struct.pack(">II", 0x801, count) + labels.tobytes())
        return
    for name in (*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin"):
        records = random.integers(0, 256, (8, 3073), np.uint8)
        records[:, 0] %= 10
        (folder / name).write_bytes(records.tobytes())


@pytest.fixture(params=["mnist", "cifar10"])
def dataset(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A folder with tiny raw files and the shipped params.yaml, shrunk to them; this process does the work."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(copies_module, "ProcessPoolExecutor", lambda *_: ThreadPoolExecutor(1))
    torch.set_num_threads(1)
    write_raw(tmp_path / "raw", request.param)
    shrink(request.param, SIZES)
    return request.param


def shrink(dataset: str, sizes: dict[str, int], copies: int | str = "all") -> None:
    """Shrink params.yaml; `copies` are those of budget quick."""
    data = read_yaml(REPOSITORY / "params.yaml")
    data["datasets"][dataset] = data["datasets"][dataset] | sizes
    excepted = data["claims"]["classes"]["excepted"]
    excepted[dataset] = [name for name in excepted[dataset] if name in data["datasets"][dataset]["classes"]]
    for name, budget in data["budgets"].items():
        budget["test_images"][dataset] = 8
        budget["augmented_images"][dataset] = copies if name == "quick" else "all"
        images = 30 if copies == "all" else copies
        counts = {"images": images, "validation_images": 10, "sample_images": 2, "epochs": 2}
        budget["train"][dataset] = {"default": counts | {"overrides": {}}}
    with Path("params.yaml").open("w") as file:
        YAML(typ="safe").dump(json.loads(json.dumps(data)), file)


def preprocess(dataset: str, out: str = ".", *options: str) -> Result:
    outs = ["--train-out", f"{out}/processed/train", "--test-out", f"{out}/processed/test"]
    return CliRunner().invoke(main, [dataset, *options, "--raw", "raw", *outs, "--samples-out", f"{out}/samples"])


def array(name: str) -> np.ndarray:
    return np.load(f"processed/{name}.npy", allow_pickle=False)


def written(out: str) -> dict[str, str]:
    files = (path for path in Path(out).rglob("*") if path.is_file())
    return {path.relative_to(out).as_posix(): file_hash(path, "sha256") for path in files}


def test_the_arrays_are_the_split_the_copies_and_the_test_images(dataset: str) -> None:
    assert preprocess(dataset).exit_code == 0
    whole, test = READERS[dataset](Path("raw"), "train"), READERS[dataset](Path("raw"), "test")
    settings = load_params().datasets.of(dataset)
    augmentation = Augmentation(**settings.augmentation.model_dump())
    train, validation = split(40, 30, 10, settings.split_seed)
    expected = {
        "train/train_images": whole.images[train],
        "train/train_labels": whole.labels[train],
        "train/augmented_images": augment(whole.images[train], augmentation),
        "train/validation_images": whole.images[validation],
        "train/validation_labels": whole.labels[validation],
        "test/images": test.images,
        "test/labels": test.labels,
    }
    for name, values in expected.items():
        assert array(name).dtype == np.uint8
        assert np.array_equal(array(name), values), name
    description = json.loads(Path("processed/train/dataset.json").read_text())
    assert (description["mean"], description["std"]) == channel_statistics(whole.images[train])
    assert description["classes"] == settings.classes
    assert description["sha256"] == {
        name.removeprefix("train/").replace("test/", "test_"): file_hash(f"processed/{name}.npy", "sha256")
        for name in expected
    }
    raw = sorted(Path("raw").iterdir())
    assert description["made_from"] == {
        "settings": settings.model_dump(exclude={"title"}),  # which changes no byte
        "raw_md5": {file.name: file_hash(file) for file in raw},
        "raw_sha256": {file.name: file_hash(file, "sha256") for file in raw},
    }
    for name in ("plain", "augmented"):
        with Image.open(f"samples/{name}.png") as sheet:
            assert sheet.size[0] > sheet.size[1] / 2 > 0


def test_a_budget_may_ask_for_fewer_copies(dataset: str) -> None:
    """Those of the first images, the same as when all are made; all else but the sheet is the same too."""
    shrink(dataset, SIZES, copies=4)
    assert preprocess(dataset, "all", "--budget", "paper").exit_code == 0
    assert preprocess(dataset, "few", "--budget", "quick").exit_code == 0
    counted = (json.loads(Path(out, "processed/train/dataset.json").read_text())["images"] for out in ("all", "few"))
    assert [images["augmented"] for images in counted] == [30, 4]
    every, few = (np.load(f"{out}/processed/train/augmented_images.npy") for out in ("all", "few"))
    assert np.array_equal(few, every[:4])
    different = {name for name, content in written("few").items() if content != written("all")[name]}
    assert different == {f"processed/train/{name}" for name in ("augmented_images.npy", "dataset.json")} | {
        "samples/augmented.png"
    }


def test_the_same_bytes_twice(dataset: str) -> None:
    for out in ("one", "two"):
        assert preprocess(dataset, out).exit_code == 0
    assert sorted(written("one")) == FILES
    assert written("one") == written("two")


@pytest.mark.parametrize(
    ("sizes", "said"),
    [
        ({"train_images": 31}, "expected images (41, "),
        ({"test_images": 9}, "expected images (9, "),
        ({"size": 30}, ", 30, 30)"),
        ({"classes": ["a", "b"]}, "expected labels below 2"),
    ],
)
def test_raw_files_that_params_do_not_describe_are_refused(dataset: str, sizes: dict[str, Any], said: str) -> None:
    shrink(dataset, SIZES | sizes)
    result = preprocess(dataset)
    assert result.exit_code == 1
    assert result.output.startswith("Error: raw: ")
    assert result.output.count("\n") == 1
    assert said in result.output
    assert not Path("processed").exists()


def test_a_damaged_raw_file_leaves_nothing_half_written(dataset: str) -> None:
    path = sorted(Path("raw").iterdir())[0]
    path.write_bytes(path.read_bytes()[:-1])
    result = preprocess(dataset)
    assert (result.exit_code, result.output.count("\n")) == (1, 1)
    assert str(path) in result.output
    assert not Path("processed").exists()
