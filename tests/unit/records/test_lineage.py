"""The artifacts behind a result: from the record alone, and with what dvc.lock witnesses of them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stages.core.errors import CorruptFileError
from stages.core.files import file_hash
from stages.records.dvc_lock import Lock
from stages.records.evaluation import Evaluation, File
from stages.records.lineage import Artifact, Lineage, Witness, lineage, recorded_places
from stages.records.provenance import folder_md5

FILE = "reports/quick/cells/mnist/resnet18-s3.json"
OTHER = "0" * 31 + "1.dir"


@pytest.fixture
def result(evaluation_fields: dict[str, Any]) -> Evaluation:
    return Evaluation.bound(**evaluation_fields).model_copy(update={"file": File(path=FILE, md5="3" * 32)})


def locked(folder: Path, outs: dict[str, dict[str, str]]) -> Lock:
    """A dvc.lock in which each stage has these outputs."""
    stages = {
        stage: {"cmd": "python", "outs": [{"path": path, "md5": md5} for path, md5 in of.items()]}
        for stage, of in outs.items()
    }
    path = folder / "dvc.lock"
    path.write_text(json.dumps({"schema": "2.0", "stages": stages}))
    return Lock(path)


def keys(artifacts: Lineage, name: str) -> list[str]:
    return [str(witness) for artifact in artifacts if artifact.name == name for witness in artifact.witnesses]


def test_the_record_alone_has_a_hash_of_everything(result: Evaluation) -> None:
    artifacts = lineage(result)
    assert all(artifact.hash for artifact in artifacts)
    assert {witness.file for artifact in artifacts for witness in artifact.witnesses} == {FILE}
    assert artifacts.of("weights", "weights", "sha256").hash == result.run.sha256.weights
    assert artifacts.of("predictions", "logits", "sha256").path == FILE.replace(".json", ".npy")
    file = artifacts.of("number", "result")
    assert (file.path, file.hash) == (FILE, "3" * 32)
    with pytest.raises(KeyError):
        artifacts.of("table", "tables")


def test_a_file_in_a_folder_has_the_hashes_that_are_recorded(result: Evaluation) -> None:
    run, test = lineage(result).of("weights", "run"), lineage(result).of("arrays", "test arrays")
    assert run.hashes("run.json").keys() == {"md5"}
    assert run.hashes("history.json") == {"md5": run.files["history.json"], "sha256": result.run.sha256.history}
    assert test.hashes("labels.npy")["sha256"] == result.run.data.sha256["test_labels"]


def test_dvc_lock_is_a_witness_and_one_that_says_something_else_is_named(result: Evaluation, tmp_path: Path) -> None:
    lock = locked(tmp_path, {"old": {"data/test": "0" * 32 + ".dir"}, "preprocess": {"data/test": OTHER}})
    places = recorded_places(result)._replace(preprocess="preprocess")
    arrays = lineage(result, lock, places).of("arrays", "test arrays")
    files = folder_md5(dict.fromkeys(("images.npy", "labels.npy"), "0" * 32))
    assert [(witness.key, witness.hash) for witness in arrays.disagreeing] == [
        ("provenance.inputs.data/test.files", files),
        ("preprocess.outs.data/test", OTHER),
    ]
    assert [witness.key for witness in arrays.silent] == ["evaluate-mnist@quick-resnet18-3.deps.data/test"]
    places = recorded_places(result)._replace(preprocess="old", evaluate="test")
    named = lineage(result, lock, places)
    assert keys(named, "test arrays")[2:] == [f"{lock.path}: old.outs.data/test", f"{lock.path}: test.deps.data/test"]


def test_the_hash_is_that_of_most_witnesses_whichever_stands_first() -> None:
    def artifact(*hashes: str | None) -> Artifact:
        witnesses = tuple(Witness("file", str(place), found) for place, found in enumerate(hashes))
        return Artifact("weights", "run", None, "md5", witnesses)

    false_first = artifact("f", "t", "t")
    assert (false_first.hash, [one.key for one in false_first.disagreeing]) == ("t", ["0"])
    undecided = artifact("f", None, "t")  # one against one: the first is shown, and neither is right
    assert (undecided.hash, [one.hash for one in undecided.silent]) == ("f", [None])
    assert artifact(None).hash is None


def without(fields: dict[str, Any], change: Callable[[dict[str, Any]], None]) -> Evaluation:
    """The result whose evaluation names other inputs."""
    inputs = dict(fields["provenance"].inputs)
    change(inputs)
    made = fields["provenance"].model_copy(update={"inputs": inputs})
    return Evaluation.bound(**fields | {"provenance": made})


def test_a_record_that_lacks_an_input_is_refused_or_the_input_is_named(
    evaluation_fields: dict[str, Any], tmp_path: Path
) -> None:
    """Its other witnesses stay: what dvc.lock says of it, and the hashes of its files."""
    whole = recorded_places(Evaluation.bound(**evaluation_fields))
    result = without(evaluation_fields, lambda inputs: inputs.pop("data/run"))
    with pytest.raises(
        CorruptFileError, match=r"provenance\.inputs has no one input with weights\.safetensors and hist"
    ):
        lineage(result)
    lacking: list[str] = []
    lock = locked(tmp_path, {whole.train: {"data/run": OTHER}})
    artifacts = lineage(result, lock, whole, lacking)
    assert "provenance.inputs has no data/run" in lacking
    run = artifacts.of("weights", "run")
    assert run.hash == OTHER
    assert [one.key for one in run.silent][:2] == ["provenance.inputs.data/run", "provenance.inputs.data/run.files"]
    assert artifacts.of("weights", "weights", "sha256").hash == result.run.sha256.weights


def test_a_file_that_an_input_does_not_name_hides_no_other(evaluation_fields: dict[str, Any]) -> None:
    def change(inputs: dict[str, Any]) -> None:
        files = {name: md5 for name, md5 in inputs["data/run"].files.items() if name != "run.json"}
        inputs["data/run"] = inputs["data/run"].model_copy(update={"files": files})

    whole = recorded_places(Evaluation.bound(**evaluation_fields))
    lacking: list[str] = []
    artifacts = lineage(without(evaluation_fields, change), None, whole, lacking)
    assert "provenance.inputs.data/run.files has no run.json" in lacking
    record = artifacts.of("weights", "run record")
    assert [one.key for one in record.silent] == ["provenance.inputs.data/run.files.run.json"]
    assert all(artifact.hash for artifact in artifacts if artifact.step != "number")  # it was read from no file


def test_the_raw_data_have_no_place_where_nothing_names_one(result: Evaluation, tmp_path: Path) -> None:
    raw = lineage(result, locked(tmp_path, {"old": {"data/test": OTHER}})).of("raw data", "raw data")
    assert (raw.path, [one.key for one in raw.witnesses]) == (None, ["run.data.made_from.raw_md5"])
    lock = locked(tmp_path, {"get": {"data/raw/mnist": OTHER}})
    places = recorded_places(result)._replace(raw="data/raw/mnist", download="get")
    assert f"{lock.path}: get.outs.data/raw/mnist" in keys(lineage(result, lock, places), "raw data")


def test_found_is_the_hash_of_what_lies_there(
    result: Evaluation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert lineage(result).of("arrays", "test arrays").found() is None
    test = Path("data/test")
    test.mkdir(parents=True)
    for name in ("images.npy", "labels.npy"):
        (test / name).write_bytes(name.encode())
    md5 = {name: file_hash(test / name) for name in ("images.npy", "labels.npy")}
    assert lineage(result).of("arrays", "test arrays").found() == folder_md5(md5)
