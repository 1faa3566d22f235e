"""The ledger: every number with its whole chain, in both forms, and no number without one."""

import csv
import io
import json
from typing import Any

import pandas as pd
import pytest

from stages.core.errors import CorruptFileError
from stages.core.files import digest, file_hash
from stages.report.ledger import ledger, ledger_csv, ledger_json

CELL = "cifar10/vgg16-adam"
STUDY = "resnet18-lr1e-2-optimizer"


def lines(project: Any) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(project.text("ledger.csv"))))


def test_every_number_of_the_tables_and_of_the_planned_studies_has_its_line(finished: Any) -> None:
    found = lines(finished)
    tables = finished.params.tables
    expected = [(number, row.row) for number, table in tables.items() for row in table.rows]
    assert [(line["table"], line["row"]) for line in found] == [*expected, (STUDY, "resnet18-lr1e-2-sgd")]
    assert len(found) == 35
    assert [entry["row"] for entry in json.loads(finished.text("ledger.json"))["numbers"]] == [
        line["row"] for line in found
    ]


def test_a_line_has_the_number_and_all_that_it_comes_from(finished: Any) -> None:
    (line,) = [line for line in lines(finished) if line["cell"] == CELL]
    result = finished.read(CELL)
    run, made = result["run"], result["run"]["provenance"]
    assert (line["table"], line["row"], line["paper"], line["n"]) == ("IV", "VGG16 with ADAM", "82.3", "1")
    assert float(line["value"]) == float(line["mean"]) == pytest.approx(100 * result["accuracy"])
    assert float(line["difference"]) == pytest.approx(100 * result["accuracy"] - 82.3)
    assert line["training_stage"] == "train-cifar10@quick-vgg16-adam-0"
    assert line["evaluation_stage"] == "evaluate-cifar10@quick-vgg16-adam-0"
    assert line["mlflow_run"] == run["mlflow"]["run_id"]
    assert (line["training_commit"], line["training_dirty"]) == (made["git"]["commit"], "False")
    assert line["training_settings_sha256"] == digest(run["config"])
    assert line["training_code_sha256"] == made["code"]["sha256"]
    assert line["evaluation_code_sha256"] == result["provenance"]["code"]["sha256"]
    assert (line["training_spec_path"], line["training_spec_md5"]) == (made["spec"]["path"], made["spec"]["md5"])
    assert (line["training_binding"], line["result_binding"]) == (run["binding"], result["binding"])
    assert line["training_data_md5"] == made["inputs"][line["training_data_path"]]["md5"]
    assert line["evaluation_data_path"] == "data/processed/quick/cifar10/test"
    assert line["training_weights_sha256"] == run["sha256"]["weights.safetensors"]
    assert line["evaluation_logits_sha256"] == result["sha256"]["logits.npy"]
    assert line["evaluation_labels_sha256"] == result["sha256"]["labels.npy"]
    assert line["result_md5"] == file_hash(finished.path(CELL))
    assert (line["training_device"], line["training_threads"]) == ("cpu", "1")
    assert (line["training_packages_torch"], line["training_packages_mlflow"]) == ("2.14.1", "")
    assert line["training_started"] == run["times"]["started"]
    assert float(line["evaluation_seconds"]) == result["times"]["seconds"] == 2.0


def test_pandas_reads_the_numbers_as_numbers(finished: Any) -> None:
    frame = pd.read_csv(finished.out("ledger.csv"))
    assert frame["difference"].isna().sum() == 1  # of the study's alternative, which the paper does not print
    assert frame.loc[frame["table"] == "IV", "value"].between(0, 100).all()
    assert frame["training_dirty"].dtype == bool


def test_seeds_are_lines_of_the_csv_and_lie_within_a_number_in_the_json(project: Any) -> None:
    project.edit(lambda raw: raw.update(seeds=[0, 3]))
    evidence = project.fill().evidence()
    found = [line for line in csv.DictReader(io.StringIO(ledger_csv(ledger(evidence)))) if line["cell"] == CELL]
    values = [float(line["value"]) for line in found]
    assert [line["seed"] for line in found] == ["0", "3"]
    assert values[0] != values[1]
    assert {line["mean"] for line in found} == {str(round(sum(values) / 2, 6))}
    (number,) = [
        entry for entry in json.loads(ledger_json("quick", ledger(evidence)))["numbers"] if entry["cell"] == CELL
    ]
    assert (number["n"], [one["seed"] for one in number["seeds"]]) == (2, [0, 3])
    assert number["seeds"][1]["training"]["stage"] == "train-cifar10@quick-vgg16-adam-3"


def test_a_dirty_commit_and_a_missing_mirror_stand_in_the_ledger(filled: Any) -> None:
    changed = ["dvc.yaml", "stages/engine/loop.py"]
    dirty = {"commit": "a" * 40, "dirty": True, "changed": changed, "difference": "a patch"}
    filled.change(CELL, run__provenance__git=dirty, run__mlflow=None)
    (line,) = [one for one in csv.DictReader(io.StringIO(ledger_csv(ledger(filled.evidence())))) if one["cell"] == CELL]
    assert (line["training_dirty"], line["training_changed"]) == ("True", "dvc.yaml;stages/engine/loop.py")
    assert line["mlflow_run"] == ""


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("run__provenance", "no run.provenance"),
        ("run__provenance__git", "no run.provenance.git"),
        ("run__provenance__git__commit", "no run.provenance.git.commit"),
        ("run__provenance__spec", "no run.provenance.spec"),
        ("run__provenance__inputs", "no run.provenance.inputs"),
        ("run__provenance__environment__processor", "no run.provenance.environment.processor"),
        ("run__provenance__run_by", "no run.provenance.run_by"),
        ("run__data", "no run.data"),
        ("run__binding", "no run.binding"),
        ("run__sha256__weights.safetensors", "no run.sha256.weights.safetensors"),
        ("run__times__started", "no run.times.started"),
        ("provenance", "no provenance"),
        ("provenance__git__dirty", "no provenance.git.dirty"),
        ("times", "no times"),
        ("sha256__logits.npy", "no sha256.logits.npy"),
    ],
)
def test_what_is_absent_fails_the_stage_with_the_file_and_the_key(filled: Any, name: str, said: str) -> None:
    content = filled.read(CELL)
    *path, last = name.split("__")
    section = content
    for part in path:
        section = section[part]
    del section[last]
    filled.path(CELL).write_text(json.dumps(content))
    done = filled.aggregate()
    assert done.exit_code == 1
    assert done.output.count("\n") == 1
    wanted = "expected the record that dvc repro evaluate-cifar10@quick-vgg16-adam-0 writes"
    assert f"vgg16-adam-s0.json: {said}; {wanted}" in done.output
    assert not (filled.folder / "out").exists()


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("run__provenance__git__commit", "", "run.provenance.git.commit: ''"),
        ("run__provenance__git__commit", "unknown", "run.provenance.git.commit: 'unknown'"),
        ("run__provenance__sources", {}, "run.provenance.sources: {}"),
        ("run__provenance__inputs", {}, "run.provenance.inputs: {}"),
        ("run__provenance__environment__packages", {}, "run.provenance.environment.packages: {}"),
        ("run__provenance__run_by", "someone", "run.provenance.run_by: 'someone'"),
        ("run__data__sha256", {}, "run.data.sha256: {}"),
        ("run__times__started", "yesterday", "run.times.started: 'yesterday'"),
        ("sha256__logits.npy", "abc", "sha256.logits.npy: 'abc'"),
        ("run__provenance__inputs", {"data/x": {"md5": "0" * 32, "files": None}}, "no one input with train_images.npy"),
        ("provenance__inputs", {"data/x": {"md5": "0" * 32, "files": None}}, "no one input with dataset.json"),
        ("run__data__dataset", "mnist", "data of mnist in a run of cifar10/vgg16-adam"),
        ("run__binding", "0" * 64, "binding is not that of cell, budget, seed, code"),
    ],
)
def test_what_is_empty_or_contradicts_itself_is_refused(filled: Any, name: str, value: object, said: str) -> None:
    filled.change(CELL, rebind=not name.endswith("binding"), **{name: value})
    with pytest.raises(CorruptFileError) as caught:
        filled.evidence()
    assert "vgg16-adam-s0.json" in caught.value.message
    assert said in caught.value.message


def test_a_test_on_other_data_than_the_training_is_refused(filled: Any) -> None:
    inputs = filled.read(CELL)["provenance"]["inputs"]
    inputs["data/processed/quick/cifar10/train/dataset.json"]["md5"] = "0" * 32
    filled.change(CELL, rebind=False, provenance__inputs=inputs)
    with pytest.raises(
        CorruptFileError, match=r"the test read dataset.json of md5 0{32}, the training one of [0-9a-f]{32}"
    ):
        filled.evidence()
