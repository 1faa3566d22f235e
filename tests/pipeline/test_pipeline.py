"""What runs, and what does not, in a real DVC repository after a full run on real data."""

import csv
import json
import re
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.held import held
from tests.pipeline.conftest import ROOT, Repository, environment

CELLS = ["mnist/vgg11", "mnist/resnet18", "mnist/resnet18-sgd", "cifar10/googlenet-sgd", "cifar10/resnet18-lr1e-2"]
STUDY = "cifar10/resnet18-lr1e-2-sgd"


def stage(kind: str, cell: str, seed: int = 0) -> str:
    dataset, name = cell.split("/")
    study = "study-" if cell == STUDY else ""
    return f"{kind}-{study}{dataset}@quick-{name}-{seed}"


@pytest.fixture
def restored(repository: Repository) -> Any:
    """The repository, with params.yaml and sources put back afterwards."""
    yield repository
    repository.run("git", "checkout", "-q", "--", "params.yaml", "stages")
    assert repository.stale() == set()


def table(repository: Repository, number: int) -> list[dict[str, str]]:
    path = repository.folder / f"reports/quick/tables/table_{number}.csv"
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def metrics(repository: Repository, cell: str, seed: int = 0) -> Any:
    return json.loads((repository.folder / f"reports/quick/cells/{cell}-s{seed}.json").read_text())


def test_every_stage_ran_and_the_tables_hold_the_predictions_accuracy(repository: Repository) -> None:
    rows = {row["row"]: row for number in (1, 2, 5, 6) for row in table(repository, number)}
    expected = {
        "VGG11": "mnist/vgg11",
        "ResNet18": "mnist/resnet18",
        "ResNet18 with SGD": "mnist/resnet18-sgd",
        "ResNet18 with lr=0.01": "cifar10/resnet18-lr1e-2",
        "GoogLeNet with SGD": "cifar10/googlenet-sgd",
    }
    assert rows.keys() == expected.keys()
    for label, cell in expected.items():
        found = metrics(repository, cell)
        hits = sum(p == t for p, t in zip(found["predictions"], found["labels"], strict=True))
        assert len(found["labels"]) == 100
        assert float(rows[label]["mean"]) == pytest.approx(hits)  # of 100 images, so hits are percent
        assert rows[label]["stages"].split(";") == [stage("evaluate", cell), stage("train", cell)]


def test_every_link_of_the_overview_leads_somewhere(repository: Repository) -> None:
    tables = repository.folder / "reports/quick/tables"
    links = re.findall(r"\]\(([^)]+)\)", (tables / "tables.md").read_text())
    assert any("samples" in link for link in links)
    assert [link for link in links if not (tables / link).is_file()] == []


def test_a_run_record_holds_the_hashes_that_dvc_lock_holds(repository: Repository) -> None:
    from ruamel.yaml import YAML

    locked = YAML(typ="safe").load((repository.folder / "dvc.lock").read_text())["stages"]
    for cell in [*CELLS, STUDY]:
        record = metrics(repository, cell)["run"]
        lock = locked[stage("train", cell)]
        assert {path: found["md5"] for path, found in record["deps"].items()} == {
            entry["path"]: entry["md5"] for entry in lock["deps"]
        }
        assert record["params"] == lock["params"]["params.yaml"]
        assert record["git"]["dirty"] is False
        assert record["git"]["commit"] == repository.run("git", "rev-parse", "HEAD").strip()


def test_mlflow_has_one_finished_run_a_cell_and_the_tables_name_it(repository: Repository) -> None:
    with sqlite3.connect(repository.folder / "mlflow.db") as database:
        runs = dict(database.execute("select run_uuid, status from runs").fetchall())
        accuracy = dict(database.execute("select run_uuid, value from metrics where key = 'test_accuracy'").fetchall())
    assert len(runs) == len(CELLS) + 1
    assert set(runs.values()) == {"FINISHED"}
    named = {row["runs"]: float(row["mean"]) / 100 for number in (1, 2, 5, 6) for row in table(repository, number)}
    assert named.keys() < runs.keys()
    for run, mean in named.items():
        assert accuracy[run] == pytest.approx(mean)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # MLflow's own store uses what SQLAlchemy 2.1 deprecates
def test_a_clone_that_never_trained_gets_the_same_runs_by_a_sync(repository: Repository, tmp_path: Path) -> None:
    """From the results alone MLflow then holds, but for the runs' ids, all that it was told while they ran."""
    clone = tmp_path / "clone"
    shutil.copytree(repository.folder / "reports/quick/cells", clone / "reports/quick/cells")
    shutil.copy(repository.folder / "params.yaml", clone)
    command = [sys.executable, "-m", "stages.track", "sync"]
    variables = environment(PYTHONPATH=str(ROOT))
    done = subprocess.run(command, cwd=clone, env=variables, capture_output=True, text=True, check=True)
    assert done.stderr.splitlines()[0] == "6 runs: 6 added, 0 completed, 0 there already"
    lived = held(f"sqlite:///{repository.folder}/mlflow.db", tmp_path / "lived")
    synced = held(f"sqlite:///{clone}/mlflow.db", tmp_path / "synced")
    assert {run["tags"]["recorded_run_id"]: run for run in synced.values()} == lived


def test_dvc_compares_the_rows_of_the_tables_and_nothing_else(repository: Repository) -> None:
    path = "reports/quick/views/metrics.json"
    changed = json.loads(repository.attempt("dvc", "metrics", "diff", "--json").stdout)
    assert changed.keys() == {path}  # the first commit has no results at all
    found = {name: change["new"] for name, change in changed[path].items()}
    rows = {f"Table {roman}": table(repository, number) for number, roman in ((1, "I"), (2, "II"), (5, "V"), (6, "VI"))}
    assert found == {f"{name}.{row['row']}": float(row["mean"]) for name, lines in rows.items() for row in lines}


def test_dvc_plots_the_rows_beside_the_paper_and_by_epoch(repository: Repository) -> None:
    plots = json.loads(repository.attempt("dvc", "plots", "show", "accuracy", "curves", "--json").stdout)["data"]
    assert plots.keys() == {"accuracy", "curves"}
    accuracy, curves = (plots[name][0]["content"]["data"]["values"] for name in ("accuracy", "curves"))
    assert len(accuracy) == 2 * 5
    assert len(curves) == 5 * 2  # epochs
    assert {line["table"] for line in curves} == {"I", "II", "V", "VI"}


def test_a_second_repro_runs_nothing(repository: Repository) -> None:
    assert repository.repro() == []
    assert "up to date" in repository.run("dvc", "status")


def test_a_new_learning_rate_retrains_its_cell_and_the_tables_alone(restored: Repository) -> None:
    before = metrics(restored, "mnist/resnet18-sgd")["run"]["sha256"]

    def change(params: Any) -> None:
        params["cells"]["mnist"]["resnet18-sgd"]["lr"] = 0.002

    restored.edit_params(change)
    ran = [stage("train", "mnist/resnet18-sgd"), stage("evaluate", "mnist/resnet18-sgd"), "aggregate-tables@quick"]
    assert restored.repro() == ran
    record = metrics(restored, "mnist/resnet18-sgd")["run"]
    assert record["config"]["cell"]["lr"] == 0.002
    assert record["sha256"] != before
    restored.edit_params(lambda params: params["cells"]["mnist"]["resnet18-sgd"].update(lr=0.001))
    assert restored.repro() == ["aggregate-tables@quick"]  # the rest is in DVC's run-cache
    assert metrics(restored, "mnist/resnet18-sgd")["run"]["sha256"] == before


def test_the_looks_of_tables_retrain_nothing(restored: Repository) -> None:
    for file in ("stages/report/tables.py", "stages/aggregate_tables.py"):
        with (restored.folder / file).open("a") as source:
            source.write("\n# another look\n")
    assert restored.stale() == {"aggregate-tables@quick"}


def test_progress_mirror_and_parameter_reading_retrain_nothing(restored: Repository) -> None:
    for file in ("core/progress.py", "core/params.py", "core/provenance.py", "track/store.py", "track/client.py"):
        with (restored.folder / "stages" / file).open("a") as source:
            source.write("\n# cannot change a number\n")
    assert restored.stale() == set()


def test_the_engine_retrains_every_cell_and_no_data_is_made_again(restored: Repository) -> None:
    with (restored.folder / "stages/learn/engine.py").open("a") as source:
        source.write("\n# can change a number\n")
    ran = {name for cell in [*CELLS, STUDY] for name in (stage("train", cell), stage("evaluate", cell))}
    assert restored.stale() == ran  # the tables follow when an evaluation has come out differently


def test_a_seed_adds_its_stages_alone(restored: Repository) -> None:
    restored.edit_params(lambda params: params.update(seeds=[0, 1]))
    ran = {name for cell in [*CELLS, STUDY] for name in (stage("train", cell, 1), stage("evaluate", cell, 1))}
    assert restored.stale() == ran | {"aggregate-tables@quick"}


def test_a_row_adds_its_stages_alone(restored: Repository) -> None:
    def change(params: Any) -> None:
        params["cells"]["mnist"]["resnet18-fast"] = params["cells"]["mnist"]["resnet18"] | {"lr": 0.005}
        params["tables"]["II"]["rows"].append({"row": "ResNet18 with lr=0.005", "cell": "resnet18-fast"})

    restored.edit_params(change)
    cell = "mnist/resnet18-fast"
    ran = [stage("train", cell), stage("evaluate", cell), "aggregate-tables@quick"]
    assert [name for name in restored.repro() if name != "audit-paper"] == ran  # which reads `tables` too
    added = table(restored, 2)[-1]
    assert (added["row"], added["paper"], added["difference"]) == ("ResNet18 with lr=0.005", "", "")
    restored.run("git", "checkout", "-q", "--", "params.yaml")
    restored.repro()


def test_threads_stale_nothing(restored: Repository) -> None:
    restored.edit_params(lambda params: params["budgets"]["quick"].update(threads="auto"))
    assert restored.stale() == set()


def test_another_budget_keeps_the_entries_of_the_first(restored: Repository) -> None:
    restored.edit_params(lambda params: params.update(budget="paper"))
    assert all("@paper" in name for name in restored.stale())
    restored.edit_params(lambda params: params.update(budget="quick"))
    assert restored.stale() == set()


def test_bad_parameters_stop_the_pipeline_before_anything_runs(restored: Repository) -> None:
    before = (restored.folder / "dvc.lock").read_bytes()
    restored.edit_params(lambda params: params["cells"]["mnist"]["vgg11"].update(optimizer="adamw"))
    done = restored.attempt("dvc", "repro")
    assert done.returncode != 0
    lines = [line for line in done.stderr.splitlines() if line.startswith("Error: ")]
    assert len(lines) == 1
    for part in ("cells.mnist.vgg11.optimizer", "adamw", "rmsprop"):
        assert part in lines[0]
    assert "Traceback" not in done.stderr
    assert (restored.folder / "dvc.lock").read_bytes() == before
    restored.run("git", "checkout", "-q", "--", "params.yaml")
    restored.repro()


def test_a_source_edited_while_a_training_runs_is_not_recorded(restored: Repository) -> None:
    locked = (restored.folder / "dvc.lock").read_text()
    name = stage("train", "mnist/resnet18-sgd")
    running = restored.start("dvc", "repro", "--single-item", "--force", name)
    for line in running.stderr or ():
        if "epoch 1/2" in line:
            break
    with (restored.folder / "stages/learn/seeding.py").open("a") as source:
        source.write("\n# edited meanwhile\n")
    _, said = running.communicate()
    assert running.returncode != 0
    assert f"Error: stages/learn changed while {name} ran" in said
    assert (restored.folder / "dvc.lock").read_text() == locked
    restored.run("git", "checkout", "-q", "--", "stages")
    restored.repro()


def test_one_cell_alone_runs_without_dvc_and_without_mlflow(repository: Repository, tmp_path: Path) -> None:
    data, out = "data/processed/quick/mnist/train", tmp_path / "quick/mnist/resnet18/s0"
    done = repository.attempt(
        "env", "MLFLOW_TRACKING_URI=http://127.0.0.1:9", "python", "-m", "stages.train", "mnist/resnet18",
        "--budget", "quick", "--data", data, "--out", str(out),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "warning: not mirrored to MLflow" in done.stderr
    record = json.loads((out / "run.json").read_text())
    assert record["mlflow"] is None
    assert record["sha256"] == metrics(repository, "mnist/resnet18")["run"]["sha256"]  # the same bits again
