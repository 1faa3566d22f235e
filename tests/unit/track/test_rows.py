"""A row with several seeds has a run of its own: their statistics, and their runs as its children."""

import json
import shutil
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import pytest
from filelock import FileLock

from stages.config.loading import load_params
from stages.config.params import Params
from stages.paper.reading import read_paper
from stages.records.evaluation import Evaluation
from stages.report.evidence import CellResults, Evidence
from stages.report.rows import all_rows
from stages.track.uri import tracking_uri
from tests.held import MlflowClient
from tests.shipped import shipped
from tests.unit.track import live
from tests.unit.track.evaluated import put_result, result, sealed

ROOT = Path(__file__).parents[3]
CELL = "mnist/resnet18"
ROWS = "{} rows with several seeds: {} added, {} completed, {} there already"
# MLflow's own store, in this process: it uses what SQLAlchemy 2.1 deprecates.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def plan(folder: Path, seeds: list[int], batch_size: int | None = None) -> Params:
    """params.yaml of a working folder, with these seeds; with another batch size of budget quick on MNIST."""
    content = shipped() | {"seeds": seeds}
    if batch_size:
        content["budgets"]["quick"]["train"]["mnist"]["default"]["overrides"]["batch_size"] = batch_size
    (folder / "params.yaml").write_text(json.dumps(content), encoding="utf-8")
    return load_params(folder / "params.yaml")


@pytest.fixture
def clone(store: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder of three seeds, with an empty store."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{store}")  # in one process MLflow opens a relative one once
    (store.parent / "data").mkdir()
    (store.parent / "data/paper").symlink_to(ROOT / "data/paper")
    plan(store.parent, [0, 1, 2])
    return store.parent


def runs(kind: str) -> list[Any]:
    """The runs there are: of rows, or of trainings."""
    client = MlflowClient(tracking_uri())
    everywhere = [experiment.experiment_id for experiment in client.search_experiments()]
    found = client.search_runs(everywhere, order_by=["start_time"])
    return [run for run in found if (run.data.tags.get("kind") == "row") is (kind == "row")]


def parents() -> list[str | None]:
    return [run.data.tags.get("mlflow.parentRunId") for run in runs("training")]


def synced() -> list[str]:
    done = live.sync_here()
    assert done.exit_code == 0, done.stderr
    return [line for line in done.stderr.splitlines() if " seeds: " in line or " runs: " in line]


def printed(params: Params, results: list[dict[str, Any]]) -> dict[str, Any]:
    """What the tables say of the cell."""
    found = tuple(Evaluation.parse(one, "result.json", "evaluate") for one in results)
    key = params.find(CELL)[0]
    cells = {CELL: CellResults(key, (0, 1, 2), found)}
    (row,) = [row for row in all_rows(Evidence(params, "quick", cells, read_paper())) if row.key == key]
    return {"row": row, "interval": row.interval, "paper": float(row.paper or "nan")}


def dump() -> list[str]:
    with closing(sqlite3.connect(tracking_uri().removeprefix("sqlite:///"))) as connection:
        return list(connection.iterdump())


def test_a_row_has_the_tables_statistics_and_its_seeds_below_it(clone: Path) -> None:
    made = [result(CELL, seed=seed) for seed in range(3)]
    for one in made:
        put_result(one, clone)
    put_result(result("mnist/vgg16", later=1), clone)
    said = synced()
    assert said == ["4 runs: 4 added, 0 completed, 0 there already", ROWS.format(1, 1, 0, 0)]
    [row] = runs("row")
    percent = [100 * one["accuracy"] for one in made]
    expected = printed(load_params(clone / "params.yaml"), made)
    assert row.data.metrics == pytest.approx(
        {
            "test_accuracy_percent": fmean(percent),
            "row.mean_percent": fmean(percent),
            "row.std_points": stdev(percent),
            "row.seeds": 3,
            "row.interval_low_percent": expected["interval"][0],
            "row.interval_high_percent": expected["interval"][1],
            "row.paper_percent": expected["paper"],
            "row.difference_points": fmean(percent) - expected["paper"],
        }
    )
    assert (row.info.run_name, row.info.status) == ("ResNet18, mean", "FINISHED")
    assert "seed" not in row.data.params
    assert row.data.params["cell.lr"] == "0.001"
    assert parents() == [row.info.run_id, None, row.info.run_id, row.info.run_id]
    before = dump()
    assert synced() == ["4 runs: 0 added, 0 completed, 4 there already", ROWS.format(1, 0, 0, 1)]
    assert dump() == before


def test_stages_make_and_renew_it_as_a_sync_does(clone: Path) -> None:
    params = load_params(clone / "params.yaml")
    with live.mirrored_here():
        for seed in range(3):
            one = result(CELL, seed=seed)
            live.train(one, params, clone)
            live.evaluate(one, clone, params)
            assert len(runs("row")) == int(seed > 0)
    [row] = runs("row")
    assert (row.data.metrics["row.seeds"], row.data.tags["seeds"]) == (3, "0, 1, 2")
    assert parents() == [row.info.run_id] * 3
    before = dump()
    assert synced()[1] == ROWS.format(1, 0, 0, 1)
    assert dump() == before


def test_a_row_that_fails_leaves_its_run_whole(
    clone: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The warning is of the row alone, and a sync has nothing else to add."""
    from stages.track.store import rows

    params = load_params(clone / "params.yaml")
    monkeypatch.setattr(rows, "_LOCKED", 0.05)
    with live.mirrored_here(), FileLock(rows._LOCK):
        for seed in range(2):
            one = result(CELL, seed=seed)
            live.train(one, params, clone)
            live.evaluate(one, clone, params)
    (warning,) = capfd.readouterr().err.splitlines()
    assert warning.startswith(f"warning: MLflow at {tracking_uri()}: Timeout: ")
    assert warning.endswith(": the row's mean is not renewed; python -m stages.track sync does it")
    assert synced() == ["2 runs: 0 added, 0 completed, 2 there already", ROWS.format(1, 1, 0, 0)]


def test_a_training_that_no_longer_counts_leaves_the_row(clone: Path) -> None:
    """Two seeds have no interval, and MLflow takes no metric back: the row is made anew, and there is one."""
    for seed in range(3):
        put_result(result(CELL, seed=seed), clone)
    synced()
    [old] = runs("row")
    plan(clone, [0, 1])
    assert synced()[1] == ROWS.format(1, 0, 1, 0)
    [row] = runs("row")
    assert row.info.run_id != old.info.run_id
    assert "row.interval_low_percent" not in row.data.metrics
    assert parents() == [row.info.run_id, row.info.run_id, None]


def test_a_row_of_other_settings_is_made_anew(clone: Path) -> None:
    """MLflow changes no parameter of a run; the numbers of today must not stand beside the settings of before."""
    for seed in range(2):
        put_result(result(CELL, seed=seed), clone)
    synced()
    [old] = runs("row")
    assert old.data.params["cell.batch_size"] == "32"
    plan(clone, [0, 1], batch_size=64)
    for seed in range(2):
        again = result(CELL, seed=seed, later=100)
        again["run"]["config"]["cell"]["batch_size"] = 64
        put_result(sealed(again), clone)
    assert synced()[1] == ROWS.format(1, 0, 1, 0)
    [row] = runs("row")
    assert row.info.run_id != old.info.run_id
    assert row.data.params["cell.batch_size"] == "64"
    assert parents() == [None, row.info.run_id, None, row.info.run_id]
    assert synced()[1] == ROWS.format(1, 0, 0, 1)


def test_a_row_that_falls_below_two_seeds_is_removed(clone: Path) -> None:
    """Unless a file was left out, which may be its other seed; with both seeds planned again, the row comes back."""
    for seed in range(2):
        put_result(result(CELL, seed=seed), clone)
    synced()
    [row] = runs("row")
    other = clone / f"reports/quick/cells/{CELL}-s1.json"
    text = other.read_text(encoding="utf-8")
    other.write_text(text[1:], encoding="utf-8")
    assert live.sync_here().exit_code == 1
    assert parents() == [row.info.run_id] * 2
    other.write_text(text, encoding="utf-8")
    plan(clone, [0])
    assert synced()[1] == ROWS.format(0, 0, 0, 0) + "; 1 removed"
    assert (runs("row"), parents()) == ([], [None, None])
    before = dump()
    assert synced() == ["2 runs: 0 added, 0 completed, 2 there already"]
    assert dump() == before
    plan(clone, [0, 1])
    assert synced()[1] == ROWS.format(1, 0, 1, 0)
    assert parents() == [row.info.run_id] * 2


def test_a_row_of_a_cell_without_results_here_stays(clone: Path) -> None:
    """On a tracking server it may be another clone's. The tables' modules, which take long, are not imported for it."""
    for seed in range(2):
        put_result(result(CELL, seed=seed), clone)
    synced()
    shutil.rmtree(clone / "reports")
    put_result(result("mnist/vgg16", later=1), clone)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "stages.sync.rows", None)
        assert synced() == ["1 runs: 1 added, 0 completed, 0 there already"]
    assert len(runs("row")) == 1


def a_row_that_another_machine_made(store: Any, row: dict[str, Any]) -> None:
    from stages.track.store.rows import RowRuns

    RowRuns(store)._write_row(None, row, whole=True)


def deleted(store: Any, row: dict[str, Any]) -> None:
    store.client.delete_run(runs("row")[0].info.run_id)


@pytest.mark.parametrize("happened", [a_row_that_another_machine_made, deleted])
def test_there_is_one_row_whatever_happened(clone: Path, happened: Callable[[Any, dict[str, Any]], None]) -> None:
    from stages.sync.rows import rows
    from stages.track.store.runs import Store

    made = [result(CELL, seed=seed) for seed in range(2)]
    for one in made:
        put_result(one, clone)
    synced()
    [first] = runs("row")
    found = [Evaluation.parse(one, "result.json", "evaluate") for one in made]
    happened(Store(), rows(load_params(clone / "params.yaml"), "quick", found)[0])
    synced()
    [row] = runs("row")
    if happened is deleted:
        assert row.info.run_id == first.info.run_id
    assert parents() == [row.info.run_id] * 2


def test_results_of_other_settings_are_in_no_row(clone: Path) -> None:
    for seed in range(2):
        other = result(CELL, seed=seed)
        other["run"]["config"]["epochs"] = 1 + other["run"]["config"]["epochs"]
        put_result(sealed(other), clone)
    assert synced() == ["2 runs: 2 added, 0 completed, 0 there already"]
    assert runs("row") == []
