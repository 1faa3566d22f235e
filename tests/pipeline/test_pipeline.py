"""What runs, and what does not, in a real DVC repository after a full run on real data."""

import csv
import json
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.held import held
from tests.pipeline.conftest import ROOT, Repository, copy_project, environment

CELLS = ["mnist/vgg11", "mnist/resnet18", "mnist/resnet18-sgd", "cifar10/googlenet-sgd", "cifar10/resnet18-lr1e-2"]
STUDY = "cifar10/resnet18-lr1e-2-sgd"
NETWORKS = "architectures@quick"


def stage(kind: str, cell: str, seed: int = 0) -> str:
    dataset, name = cell.split("/")
    study = "study-" if cell == STUDY else ""
    return f"{kind}-{study}{dataset}@quick-{name}-{seed}"


def both(*cells: str, seed: int = 0) -> set[str]:
    """The train and evaluate stages of cells."""
    return {stage(kind, cell, seed) for cell in cells for kind in ("train", "evaluate")}


@pytest.fixture(scope="module")
def repository(repository: Repository, tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """A copy of the repository, to be changed; `kept` beside it holds what DVC has written into it."""
    folder = tmp_path_factory.mktemp("own") / "project"
    copy_project(repository, folder)
    with closing(sqlite3.connect(folder / "mlflow.db")) as store, store:  # artifacts have absolute paths in it
        for column in ("experiments.artifact_location", "runs.artifact_uri"):
            table_name, name = column.split(".")
            moved = f"update {table_name} set {name} = replace({name}, ?, ?)"  # noqa: S608 - of the two above
            store.execute(moved, (str(repository.folder), str(folder)))
    kept = folder.with_name("kept")
    shutil.copytree(folder / "reports/quick", kept / "reports/quick")
    shutil.copy2(folder / "dvc.lock", kept)
    return Repository(folder)


@pytest.fixture
def restored(repository: Repository) -> Iterator[Repository]:
    """The repository, with params.yaml, sources, reports and dvc.lock put back: for tests that train nothing."""
    yield repository
    repository.run("git", "checkout", "-q", "--", "params.yaml", "stages")
    shutil.rmtree(repository.folder / "reports/quick")
    shutil.copytree(repository.folder.with_name("kept"), repository.folder, dirs_exist_ok=True)


@pytest.fixture
def restored_by_dvc(repository: Repository) -> Iterator[Repository]:
    """The repository, with params.yaml and sources put back afterwards, and all else by DVC, which trains nothing."""
    yield repository
    repository.run("git", "checkout", "-q", "--", "params.yaml", "stages")
    assert not any(name.startswith("train-") for name in repository.repro())
    assert repository.stale() == set()


def append(repository: Repository, file: str, text: str) -> None:
    with (repository.folder / file).open("a") as source:
        source.write(text)


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


def test_records_hold_what_dvc_lock_holds(repository: Repository) -> None:
    from ruamel.yaml import YAML

    locked = YAML(typ="safe").load((repository.folder / "dvc.lock").read_text())["stages"]
    for cell in [*CELLS, STUDY]:
        result = metrics(repository, cell)
        run = result["run"]
        spec = json.loads((repository.folder / f"reports/quick/specs/{cell}.json").read_text())
        settings = {name: value for name, value in run["config"].items() if name != "seed"}
        expected = {
            "train": (run, {"settings": settings, "code.train": run["provenance"]["code"]["sha256"]}),
            "evaluate": (
                result,
                {"testing": spec["testing"], "code.evaluate": result["provenance"]["code"]["sha256"]},
            ),
        }
        for kind, (record, params) in expected.items():
            lock = locked[stage(kind, cell)]
            assert {path: found["md5"] for path, found in record["provenance"]["inputs"].items()} == {
                entry["path"]: entry["md5"] for entry in lock["deps"]
            }
            assert lock["params"] == {f"reports/quick/specs/{cell}.json": params}
            assert record["provenance"]["git"]["changed"] in ([], [f"reports/quick/specs/{cell}.json"])
            assert record["provenance"]["git"]["commit"] == repository.run("git", "rev-parse", "HEAD").strip()


def test_mlflow_has_one_finished_run_a_cell_and_the_tables_name_it(repository: Repository) -> None:
    with sqlite3.connect(repository.folder / "mlflow.db") as database:
        runs = dict(database.execute("select run_uuid, status from runs").fetchall())
        accuracy = dict(
            database.execute("select run_uuid, value from metrics where key = 'test_accuracy_percent'").fetchall()
        )
    assert len(runs) == len(CELLS) + 1
    assert set(runs.values()) == {"FINISHED"}
    named = {row["runs"]: float(row["mean"]) for number in (1, 2, 5, 6) for row in table(repository, number)}
    assert named.keys() < runs.keys()
    for run, mean in named.items():
        assert accuracy[run] == pytest.approx(mean)


@pytest.mark.slow
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


def less_networks(ran: list[str]) -> list[str]:
    """What ran but for the pages of the networks, which are made again when a spec changes, before the tables."""
    assert "resolve@quick" in ran[: ran.index(NETWORKS)]
    assert ran.index(NETWORKS) < ran.index("aggregate-tables@quick")
    return [name for name in ran if name != NETWORKS]


@pytest.mark.slow
def test_a_new_learning_rate_retrains_its_cell_and_the_tables_alone(restored_by_dvc: Repository) -> None:
    before = metrics(restored_by_dvc, "mnist/resnet18-sgd")["run"]["sha256"]

    def change(params: Any) -> None:
        params["cells"]["mnist"]["resnet18-sgd"]["lr"] = 0.002

    restored_by_dvc.edit_params(change)
    ran = ["resolve@quick", *sorted(both("mnist/resnet18-sgd"), reverse=True), "aggregate-tables@quick"]
    assert less_networks(restored_by_dvc.repro()) == ran
    record = metrics(restored_by_dvc, "mnist/resnet18-sgd")["run"]
    assert record["config"]["cell"]["lr"] == 0.002
    assert record["sha256"] != before
    restored_by_dvc.edit_params(lambda params: params["cells"]["mnist"]["resnet18-sgd"].update(lr=0.001))
    again = less_networks(restored_by_dvc.repro())
    assert again == ["resolve@quick", "aggregate-tables@quick"]  # the rest is in DVC's run-cache
    assert metrics(restored_by_dvc, "mnist/resnet18-sgd")["run"]["sha256"] == before


def test_the_looks_of_tables_retrain_nothing(restored: Repository) -> None:
    for file in ("stages/report/tables.py", "stages/aggregate_tables.py"):
        with (restored.folder / file).open("a") as source:
            source.write("\n# another look\n")
    assert restored.stale() == {"aggregate-tables@quick"}


def test_progress_and_mirror_retrain_nothing(restored: Repository) -> None:
    for file in ("core/progress.py", "train/progress.py", "track/store/runs.py", "track/client.py"):
        append(restored, f"stages/{file}", "\nEDITED = 1\n")
    assert restored.repro() == ["resolve@quick"]


def test_a_comment_in_the_engine_runs_resolve_alone(restored: Repository) -> None:
    append(restored, "stages/engine/loop.py", "\n# cannot change a number\n")
    assert restored.repro() == ["resolve@quick"]


def test_a_change_in_the_engine_retrains_every_cell_and_no_data_is_made_again(
    restored_by_dvc: Repository,
) -> None:
    append(restored_by_dvc, "stages/engine/loop.py", "\nEDITED = 1\n")
    assert restored_by_dvc.repro("resolve@quick") == ["resolve@quick"]
    trainings = {stage("train", cell) for cell in [*CELLS, STUDY]}
    assert restored_by_dvc.stale() == trainings | {NETWORKS}  # testing does not run the loop


def test_a_change_in_a_family_s_module_retrains_its_cells_alone(restored: Repository) -> None:
    append(restored, "stages/engine/networks/googlenet/network.py", "\nEDITED = 1\n")
    assert restored.repro("resolve@quick") == ["resolve@quick"]
    assert restored.stale() == both("cifar10/googlenet-sgd") | {NETWORKS}


def test_an_edit_of_a_study_s_base_reruns_base_and_alternative(restored: Repository) -> None:
    restored.edit_params(lambda params: params["cells"]["cifar10"]["resnet18-lr1e-2"].update(lr=0.02))
    assert restored.repro("resolve@quick") == ["resolve@quick"]
    trains = {stage("train", cell) for cell in ("cifar10/resnet18-lr1e-2", STUDY)}
    others = {NETWORKS, "aggregate-tables@quick"}
    assert restored.stale() == trains | others  # testing follows when the weights are others


def test_an_overridden_value_retrains_nothing(restored: Repository) -> None:
    restored.edit_params(lambda params: params["inputs"]["mnist"]["default"].update(batch_size=64))
    assert restored.repro() == ["resolve@quick", "aggregate-tables@quick"]  # whose ledger says what is overridden


def test_a_seed_adds_its_stages_alone(restored: Repository) -> None:
    restored.edit_params(lambda params: params.update(seeds=[0, 1]))
    assert restored.stale() == both(*CELLS, STUDY, seed=1) | {"resolve@quick", "aggregate-tables@quick"}


@pytest.mark.slow
def test_further_seeds_of_one_cell_add_their_stages_alone(restored: Repository) -> None:
    """`make plan` counts as DVC does."""
    restored.edit_params(lambda params: params["more_seeds"].update(mnist={"cells": ["resnet18"], "seeds": [1, 2]}))
    added = {f"{kind}-more-mnist@quick-resnet18-{seed}" for kind in ("train", "evaluate") for seed in (1, 2)}
    assert restored.stale() == added | {"resolve@quick", "aggregate-tables@quick"}
    plan = restored.run("python", "-m", "stages.plan").splitlines()
    assert "8 trainings, 6 done" in plan[0]
    [resnets] = [line.split() for line in plan if line.startswith("  mnist resnet ")]
    assert resnets[2:6] == ["2", "done", "2", "left"]
    restored.repro("resolve@quick")
    assert restored.repro("--single-item", "aggregate-tables@quick") == ["aggregate-tables@quick"]
    overview = (restored.folder / "reports/quick/tables/tables.md").read_text()
    assert "**6 of 8 planned trainings are done.**" in overview


@pytest.mark.slow
def test_a_row_adds_its_stages_alone(restored_by_dvc: Repository) -> None:
    def change(params: Any) -> None:
        params["cells"]["mnist"]["resnet18-fast"] = params["cells"]["mnist"]["resnet18"] | {"lr": 0.005}
        params["tables"]["II"]["rows"].append({"row": "ResNet18 with lr=0.005", "cell": "resnet18-fast"})

    restored_by_dvc.edit_params(change)
    cell = "mnist/resnet18-fast"
    ran = ["resolve@quick", stage("train", cell), stage("evaluate", cell), "aggregate-tables@quick"]
    found = less_networks(restored_by_dvc.repro())
    assert [name for name in found if name != "audit-paper"] == ran  # which reads `tables` too
    added = table(restored_by_dvc, 2)[-1]
    assert (added["row"], added["paper"], added["difference"]) == ("ResNet18 with lr=0.005", "", "")
    for ending in ("json", "npy"):
        (restored_by_dvc.folder / f"reports/quick/cells/{cell}-s0.{ending}").unlink()


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


def test_code_edited_while_a_training_runs_is_not_recorded(restored_by_dvc: Repository) -> None:
    locked = (restored_by_dvc.folder / "dvc.lock").read_text()
    name = stage("train", "mnist/resnet18-sgd")
    running = restored_by_dvc.start("dvc", "repro", "--single-item", "--force", name)
    for line in running.stderr or ():
        if "epoch 1/2" in line:
            break
    append(restored_by_dvc, "stages/engine/seeding.py", "\nEDITED = 1\n")
    _, said = running.communicate()
    assert running.returncode != 0
    assert f"Error: stages/engine/seeding.py changed while {name} ran" in said
    assert (restored_by_dvc.folder / "dvc.lock").read_text() == locked


# A clone with what is committed: reports and dvc.lock, neither data nor weights


@pytest.fixture(scope="module")
def clone(repository: Repository, tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """A clone of the repository once its results are committed."""
    origin = Repository(tmp_path_factory.mktemp("origin") / "project")
    ignored = shutil.ignore_patterns("data", "mlflow.db*", "mlartifacts", "cache", "tmp")
    shutil.copytree(repository.folder, origin.folder, ignore=ignored)
    for name in ("paper", "labels"):
        shutil.copytree(repository.folder / "data" / name, origin.folder / "data" / name)
    origin.commit("results")
    folder = origin.folder.with_name("clone")
    origin.run("git", "clone", "-q", str(origin.folder), str(folder))
    return Repository(folder)


def test_a_launch_without_weights_trains_nothing(clone: Repository) -> None:
    said = clone.run("python", "-m", "stages.launch")
    assert "6 of 6 trainings are done" in said
    assert "Running stage" not in said
    assert clone.repro("--allow-missing") == []
    assert sorted(path.name for path in (clone.folder / "data").iterdir()) == ["labels", "paper"]
    assert clone.run("git", "status", "--porcelain") == ""
    plan = clone.run("python", "-m", "stages.plan")
    assert "6 trainings, 6 done" in plan
    assert "time left: none, every training has a recorded result" in plan


@pytest.mark.slow
def test_the_tables_without_weights_are_the_same(clone: Repository) -> None:
    append(clone, "stages/report/tables.py", "\n# another look\n")
    said = clone.run("python", "-m", "stages.launch")
    assert [line for line in said.splitlines() if line.startswith("Running stage")] == [
        "Running stage 'aggregate-tables@quick':"
    ]
    clone.run("git", "checkout", "-q", "--", "stages")
    clone.run("python", "-m", "stages.launch")
    assert clone.run("git", "status", "--porcelain", "reports") == ""


def test_a_plan_without_weights_says_what_is_left(clone: Repository) -> None:
    cell = "mnist/vgg11"
    result = clone.folder / f"reports/quick/cells/{cell}-s0.json"
    result.unlink()
    plan = clone.run("python", "-m", "stages.plan").splitlines()
    assert "6 trainings, 5 done" in plan[0]
    assert "  1 left: no result" in plan
    assert clone.stale() >= both(cell)
    clone.run("git", "checkout", "-q", "--", "reports")
    clone.edit_params(lambda params: params["cells"]["mnist"]["resnet18"].update(lr=0.002))
    plan = clone.run("python", "-m", "stages.plan").splitlines()
    assert "  1 left: a result of other settings" in plan
    clone.run("git", "checkout", "-q", "--", "params.yaml")


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
