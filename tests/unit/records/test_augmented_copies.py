"""Arrays of a result that differ from those of dvc.lock in the augmented copies alone, and all that looks like it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stages.config.cells import CellKey
from stages.records.copies import find_description, has_other_copies, other_copies_sentence
from stages.records.evaluation import Evaluation, result_path, results_folder
from stages.records.provenance import folder_md5
from tests.shipped import shipped_params
from tests.unit.report.conftest import other_array, sha, synthetic

TRAIN = "data/processed/quick/mnist/train"
PLAIN, AUGMENTED = (CellKey("cells", "mnist", name) for name in ("resnet18", "resnet18-augmented"))
CELLS = results_folder("quick") / "mnist"


def result(key: CellKey = PLAIN, seed: int = 0) -> Evaluation:
    return synthetic(shipped_params(), "quick", key, seed)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def put(found: Evaluation) -> str:
    """Write a result; returns the md5 of its arrays."""
    key = CellKey("cells", *found.run.cell.split("/"))
    found.write(result_path(results_folder("quick"), key, found.run.seed))
    return found.run.training_arrays[1].md5


def test_copies_with_other_bytes_are_told_from_the_same_arrays() -> None:
    md5 = put(result())
    assert has_other_copies(other_array(result(seed=1)).run, TRAIN, md5, CELLS)
    assert not has_other_copies(result(seed=1).run, TRAIN, md5, CELLS)


@pytest.mark.parametrize("name", ["train_images", "train_labels", "validation_images", "test_images"])
def test_any_other_array_with_other_bytes_is_other_data(name: str) -> None:
    md5 = put(result())
    assert not has_other_copies(other_array(result(seed=1), name).run, TRAIN, md5, CELLS)


def test_without_a_result_of_the_arrays_nothing_proves_what_they_are() -> None:
    md5 = result().run.training_arrays[1].md5
    put(other_array(result(seed=1)))
    assert find_description(TRAIN, md5, CELLS) is None
    assert not has_other_copies(other_array(result(seed=1)).run, TRAIN, md5, CELLS)


def test_arrays_that_lie_there_prove_it_too() -> None:
    found = result()
    Path(TRAIN).mkdir(parents=True)
    found.run.data.write(Path(TRAIN, "dataset.json"))
    md5 = folder_md5({"dataset.json": found.run.data.md5()})
    assert find_description(TRAIN, md5, CELLS) == found.run.data
    Path(TRAIN, "train_images.npy").write_bytes(b"images")
    assert find_description(TRAIN, md5, CELLS) is None


FORGED: list[Callable[[dict[str, Any]], object]] = [
    lambda run: run["data"]["sha256"].update(train_images=sha("forged")),  # the folder's hash does not bear it out
    lambda run: run["provenance"]["inputs"][TRAIN]["files"].pop("dataset.json"),
    lambda run: run["provenance"]["inputs"][TRAIN].update(files=None),
    lambda run: run["provenance"].update(inputs=[]),
    lambda run: run.clear(),
]


@pytest.mark.parametrize("forge", FORGED)
def test_a_result_that_contradicts_itself_proves_nothing(forge: Callable[[dict[str, Any]], object]) -> None:
    md5 = put(result())
    path = result_path(results_folder("quick"), PLAIN, 0)
    content = json.loads(path.read_text())
    forge(content["run"])
    path.write_text(json.dumps(content))
    assert find_description(TRAIN, md5, CELLS) is None


def test_it_is_said_whether_the_training_reads_the_copies() -> None:
    said = [other_copies_sentence(other_array(result(key)).run, "preprocess") for key in (PLAIN, AUGMENTED)]
    assert [sentence.rpartition("; ")[2] for sentence in said] == [
        "the training does not read them",
        "the training read its own",
    ]
