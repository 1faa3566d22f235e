"""Arrays of a result that differ from those of dvc.lock in the augmented copies alone, and all that looks like it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stages.config.cells import CellKey
from stages.core.files import file_hash, write_bytes
from stages.records.copies import PreprocessEntry, find_arrays, other_copies
from stages.records.data import TRAIN_ARRAYS
from stages.records.dvc_lock import Lock
from stages.records.evaluation import Evaluation, result_path, results_folder
from stages.records.provenance import folder_md5, hash_dependency
from tests.shipped import shipped_params
from tests.unit.report.conftest import agreed, other_array, sha, short, synthetic

TRAIN = "data/processed/quick/mnist/train"
PLAIN, AUGMENTED = (CellKey("cells", "mnist", name) for name in ("resnet18", "resnet18-augmented"))
CELLS = results_folder("quick") / "mnist"


def result(key: CellKey = PLAIN, seed: int = 0) -> Evaluation:
    return synthetic(shipped_params(), "quick", key, seed)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


SOURCES = {f"stages/{name}": short(name) for name in ("preprocess/a.py", "preprocess/b.py", "engine/augmentation.py")}


def entry(md5: str, sources: dict[str, str] = SOURCES) -> PreprocessEntry:
    """What dvc.lock has of preprocess: these arrays, by these sources."""
    prefix, augmentation = "stages/preprocess/", "stages/engine/augmentation.py"
    inner = {name.removeprefix(prefix): found for name, found in sources.items() if name.startswith(prefix)}
    return PreprocessEntry({"stages/preprocess": folder_md5(inner), augmentation: sources[augmentation]}, {TRAIN: md5})


def put(found: Evaluation) -> str:
    """Write a result; returns the md5 of its arrays."""
    key = CellKey("cells", *found.run.cell.split("/"))
    found.write(result_path(results_folder("quick"), key, found.run.seed))
    return found.run.training_arrays[1].md5


def recorded(*but: Path) -> Lock:
    """A dvc.lock that has every result that lies here but these."""
    outs = [{"path": path.as_posix(), "md5": file_hash(path)} for path in sorted({*CELLS.glob("*.json")} - {*but})]
    Path("dvc.lock").write_text(json.dumps({"schema": "2.0", "stages": {"evaluate": {"cmd": "python", "outs": outs}}}))
    return Lock()


def test_copies_with_other_bytes_are_told_from_the_same_arrays() -> None:
    md5 = put(result())
    assert other_copies(other_array(result(seed=1)).run, TRAIN, entry(md5), CELLS, recorded())
    assert not other_copies(result(seed=1).run, TRAIN, entry(md5), CELLS, recorded())


@pytest.mark.parametrize("name", ["train_images", "train_labels", "validation_images", "test_images"])
def test_any_other_array_with_other_bytes_is_other_data(name: str) -> None:
    md5 = put(result())
    assert not other_copies(other_array(result(seed=1), name).run, TRAIN, entry(md5), CELLS, recorded())


def test_without_a_result_of_the_arrays_nothing_proves_what_they_are() -> None:
    md5 = result().run.training_arrays[1].md5
    put(other_array(result(seed=1)))
    assert find_arrays(TRAIN, md5, CELLS) is None
    assert not other_copies(other_array(result(seed=1)).run, TRAIN, entry(md5), CELLS, recorded())


def test_arrays_that_lie_there_prove_it_too(tmp_path: Path) -> None:
    found = result()
    files = {f"{name}.npy": name.encode() for name in TRAIN_ARRAYS} | {"dataset.json": found.run.data.text().encode()}
    for name, content in files.items():
        write_bytes(Path(TRAIN, name), content)
    md5 = hash_dependency(Path(TRAIN)).md5
    arrays = find_arrays(TRAIN, md5, CELLS)
    assert arrays is not None
    assert arrays.data == found.run.data
    outside = tmp_path.parent / "elsewhere.npy"
    outside.write_bytes(files["train_images.npy"])
    Path(TRAIN, "train_images.npy").unlink()
    Path(TRAIN, "train_images.npy").symlink_to(outside)
    assert find_arrays(TRAIN, md5, CELLS) is None  # the same bytes, out of the repository
    outside.unlink()


def test_another_name_than_that_of_a_result_proves_nothing() -> None:
    md5 = put(result())
    path = result_path(results_folder("quick"), PLAIN, 0)
    path.rename(path.with_name("aaa.json"))
    assert find_arrays(TRAIN, md5, CELLS) is None


@pytest.mark.parametrize("name", ["train_images.npy", "leak.npy"])
def test_a_file_that_is_smuggled_in_with_the_copies_is_other_data(name: str) -> None:
    md5 = put(result())
    content = json.loads(other_array(result(seed=1)).text())
    content["run"]["provenance"]["inputs"][TRAIN]["files"][name] = short("smuggled")
    assert not other_copies(agreed(content).run, TRAIN, entry(md5), CELLS, recorded())


@pytest.mark.parametrize("edited", [None, *SOURCES])
def test_copies_that_a_training_reads_must_come_from_the_same_code(edited: str | None) -> None:
    md5 = put(result())
    content = json.loads(other_array(result(AUGMENTED)).text())
    content["run"]["provenance"]["sources"] |= SOURCES
    of_lock = SOURCES | ({edited: short("edited")} if edited else {})
    found = other_copies(agreed(content).run, TRAIN, entry(md5, of_lock), CELLS, recorded())
    assert (found is not None) == (edited is None)


@pytest.mark.parametrize(
    "read", ["the same copies", "no copies", "others", "files that are not the folder's", "what dvc.lock does not have"]
)
def test_another_result_on_the_same_copies_may_have_the_code(read: str) -> None:
    """What no copy depends on may change between two trainings, as the command line of `preprocess` does."""
    md5 = put(result())
    earlier, later = (json.loads(other_array(result(AUGMENTED, seed)).text()) for seed in (1, 2))
    earlier["run"]["provenance"]["sources"] |= SOURCES | {"stages/preprocess/a.py": short("edited")}
    if read == "others":
        later = json.loads(result(AUGMENTED, 2).text())
    if read == "no copies":
        later = json.loads(other_array(result(PLAIN, 2)).text())
    later["run"]["provenance"]["sources"] |= SOURCES
    put(agreed(later))
    path = result_path(results_folder("quick"), AUGMENTED, 2)
    if read == "files that are not the folder's":
        forged = json.loads(path.read_text())
        forged["run"]["provenance"]["inputs"][TRAIN]["files"]["augmented_images.npy"] = short("forged")
        path.write_text(agreed(forged).text())
    lock = recorded(*([path] if read == "what dvc.lock does not have" else []))
    found = other_copies(agreed(earlier).run, TRAIN, entry(md5), CELLS, lock)
    assert (found is not None) == (read == "the same copies")
    if found:
        assert found.sentence("preprocess").endswith(
            f"; {path}, trained on the same copies, records the code of dvc.lock"
        )


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
    assert find_arrays(TRAIN, md5, CELLS) is None


def test_it_is_said_whether_the_training_reads_the_copies() -> None:
    md5 = put(result())
    said = []
    for key in (PLAIN, AUGMENTED):
        content = json.loads(other_array(result(key)).text())
        content["run"]["provenance"]["sources"] |= SOURCES
        found = other_copies(agreed(content).run, TRAIN, entry(md5), CELLS, recorded())
        assert found is not None
        said.append(found.sentence("preprocess"))
    assert [sentence.rpartition("; ")[2] for sentence in said] == [
        "the training does not read them",
        "the training read its own, which nothing here proves",
    ]
