"""The ledger and `explain` of a real run: what they say is what DVC and git recorded, on a fresh clone too."""

import csv
import json
import resource
import shutil
import sys
from typing import Any

import pytest

from stages.audit.pipeline import Stages
from stages.config.cells import CellKey
from stages.config.loading import load_params
from stages.config.reading import read_yaml
from stages.records.dvc_lock import Lock
from stages.records.evaluation import Evaluation
from stages.records.lineage import lineage
from tests.pipeline.conftest import Repository

CELLS = ["mnist/vgg11", "mnist/resnet18-sgd", "cifar10/googlenet-sgd", "cifar10/resnet18-lr1e-2-sgd"]


@pytest.fixture(scope="module")
def clone(repository: Repository, tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """A clone with the reports and dvc.lock, as they are committed, without data, weights and predictions."""
    folder = tmp_path_factory.mktemp("clone") / "project"
    repository.run("git", "clone", "-q", str(repository.folder), str(folder))
    shutil.copytree(repository.folder / "reports", folder / "reports")
    shutil.copy(repository.folder / "dvc.lock", folder)
    assert sorted(path.name for path in (folder / "data").iterdir()) == ["labels", "paper"]
    return Repository(folder)


def explain(project: Repository, *words: str) -> Any:
    done = project.attempt("python", "-m", "stages.audit", "explain", *words, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("cell", CELLS)
def test_a_fresh_clone_explains_a_number_with_its_whole_chain(clone: Repository, cell: str) -> None:
    found = explain(clone, cell)
    assert found["notes"] == []
    assert all(record["hash"] == link["hash"] for link in found["chain"] for record in link["recorded"])
    assert not any(link["here"] for link in found["chain"] if (link["path"] or "").startswith("data/"))
    for code in found["code"].values():
        assert (code["commit_is_here"], code["differs_from_commit"]) == (True, [])
        assert code["commit"] == clone.run("git", "rev-parse", "HEAD").strip()
    train, evaluate = found["reproduce"]["plain"]
    assert train.startswith(f"python -m stages.train {cell} ")
    assert evaluate.startswith(f"python -m stages.evaluate {cell} ")


def test_where_the_data_is_every_hash_is_that_of_the_bytes(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(repository.folder)
    result = Evaluation.read("reports/quick/cells/mnist/vgg11-s0.json", "evaluate-mnist@quick-vgg11-0")
    places = Stages("quick", load_params()).places(CellKey("cells", "mnist", "vgg11"), 0)
    artifacts = [artifact for artifact in lineage(result, Lock(), places) if artifact.path]
    assert len(artifacts) > 20
    assert [artifact for artifact in artifacts if artifact.found() != artifact.hash] == []


def test_an_answer_takes_less_than_two_seconds(clone: Repository) -> None:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    clone.run(sys.executable, "-m", "stages.audit", "explain", "II", "ResNet18 with SGD")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 2


def test_the_ledger_holds_what_dvc_lock_holds(repository: Repository) -> None:
    locked = read_yaml(repository.folder / "dvc.lock")["stages"]
    with (repository.folder / "reports/quick/ledger.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == 6
    for line in lines:
        train, evaluate = locked[line["training_stage"]], locked[line["evaluation_stage"]]
        deps = {entry["path"]: entry["md5"] for entry in train["deps"]}
        outs = {entry["path"]: entry["md5"] for entry in [*train["outs"], *evaluate["outs"]]}
        assert deps[line["training_data_path"]] == line["training_data_md5"]
        assert outs[line["training_run_path"]] == line["training_run_md5"]
        assert outs[line["result_path"]] == line["result_md5"]
        assert line["mlflow_run"]
        assert line["training_run_by"] == "dvc"
    ours = {entry["path"] for entry in locked["aggregate-tables@quick"]["outs"]}
    assert {"reports/quick/ledger.csv", "reports/quick/ledger.json"} < ours
