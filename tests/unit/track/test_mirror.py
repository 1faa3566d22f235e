"""What MLflow holds of a run that was mirrored: a real SQLite store, read back with MLflow's own client."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

with pytest.MonkeyPatch.context() as patch:
    patch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    from mlflow.entities import Run
    from mlflow.tracking import MlflowClient

from stages.config.params import Params
from stages.track.client import Mirror
from stages.track.describe import TrainingStart, description, parameters
from tests.unit.track.conftest import Server

Start = Callable[..., TrainingStart]
# MLflow's own store, in this process: it uses what SQLAlchemy 2.1 deprecates.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def runs(uri: str) -> dict[str, list[Run]]:
    """The runs of each experiment that has any."""
    client = MlflowClient(uri)
    found = {one.name: list(client.search_runs([one.experiment_id])) for one in client.search_experiments()}
    return {name: some for name, some in found.items() if some}


def series(uri: str, run_id: str, metric: str) -> list[tuple[int, int, float]]:
    history = MlflowClient(uri).get_metric_history(run_id, metric)
    return [(point.step, point.timestamp, point.value) for point in history]


def mirrored(start: TrainingStart, params: Params, status: str | None = "FINISHED") -> str:
    """Mirror a training without epochs and return its run's id."""
    with Mirror() as mirror:
        mirror.start(start, params)
        opened = mirror.run()
        assert opened is not None
        mirror.close([], {}, status)
    return opened["run_id"]


def test_round_trip(store: Path, start: Start, params: Params, capfd: pytest.CaptureFixture[str]) -> None:
    (store.parent / "mlruns" / "0").mkdir(parents=True)  # a left-over of MLflow's file store
    (store.parent / "mlruns" / "0" / "meta.yaml").write_text("experiment_id: '0'\nname: Default\n")
    before = int(time.time() * 1000)
    with Mirror() as mirror:
        mirror.start(start(), params)
        mirror.metrics({"train_loss": 2.5, "validation_loss": 0.25}, 1, at=1767323050.125)
        mirror.metrics({"train_loss": None, "validation_loss": 0.5}, 2)
        mirror.metrics({"train_loss": float("nan"), "validation_loss": float("inf")}, 3)
        opened = mirror.run()
        file = store.parent / "run.json"
        file.write_text("{}")
        mirror.close([file], {"outcome": "trained"}, "FINISHED")
    after = time.time() * 1000
    assert capfd.readouterr() == ("", "")

    uri = f"sqlite:///{store}"
    [(experiment, [run])] = runs(uri).items()
    assert opened == {"run_id": run.info.run_id, "experiment": experiment}
    assert (experiment, run.info.run_name) == ("Table I: VGG on MNIST", "VGG16")
    assert (run.info.status, run.info.start_time) == ("FINISHED", 1767323045678)
    assert before <= run.info.end_time <= after
    assert run.data.params == parameters(start().settings)
    assert (run.data.params["cell.lr"], run.data.params["cell.hidden_layers"]) == ("0.001", "[]")
    expected = {"table": "I", "row": "VGG16", "budget": "quick", "seed": "3", "dvc_stage": "train-mnist@quick-vgg16-3"}
    expected |= {"cell": "mnist/vgg16", "git_commit": "0123456789" * 4, "git_dirty": "true", "outcome": "trained"}
    assert expected.items() <= run.data.tags.items()
    assert series(uri, run.info.run_id, "train_loss") == [(1, 1767323050125, 2.5)]
    [first, (step, taken, value)] = series(uri, run.info.run_id, "validation_loss")
    assert first == (1, 1767323050125, 0.25)
    assert (step, value) == (2, 0.5)
    assert before <= taken <= after
    assert run.inputs
    [given] = run.inputs.dataset_inputs
    assert (given.dataset.name, given.dataset.digest) == ("MNIST training split", "ab" * 8)
    assert json.loads(given.dataset.source) == {"uri": "data/processed/quick/mnist/train"}
    assert [(tag.key, tag.value) for tag in given.tags] == [("mlflow.data.context", "training")]
    assert [artifact.path for artifact in MlflowClient(uri).list_artifacts(run.info.run_id)] == ["run.json"]
    assert [path.name for path in (store.parent / "mlruns").rglob("*")] == ["0", "meta.yaml"]
    assert len(list((store.parent / "mlartifacts" / "Table I VGG on MNIST").rglob("run.json"))) == 1


def test_system_metrics_are_logged_where_asked_for(
    store: Path, start: Start, params: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the machine that trains: the mirror process runs there. A resumed run, as of an evaluation, gets none."""
    monkeypatch.setenv("MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING", "true")
    monkeypatch.setenv("MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL", "0.05")
    client = MlflowClient(f"sqlite:///{store}")
    with Mirror() as mirror:
        mirror.start(start(), params)
        opened = mirror.run()
        assert opened
        deadline = time.monotonic() + 60
        while "system/cpu_utilization_percentage" not in client.get_run(opened["run_id"]).data.metrics:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        mirror.close([], {}, "FINISHED")
    found = client.get_run(opened["run_id"])
    assert found.info.status == "FINISHED"
    assert found.data.metrics["system/system_memory_usage_megabytes"] > 0


def test_system_metrics_asked_for_in_another_word_are_refused_in_one_line(
    store: Path, start: Start, params: Params, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING", "perhaps")
    with Mirror() as mirror:
        mirror.start(start(), params)
        assert mirror.run() is None
    (line,) = capfd.readouterr().err.splitlines()
    assert "MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING" in line
    assert "perhaps" in line
    assert runs(f"sqlite:///{store}") == {}


def test_resume_adds_and_leaves_status_and_end(store: Path, start: Start, params: Params) -> None:
    """Even when the evaluation fails: the training has not."""
    run_id = mirrored(start(), params)
    uri = f"sqlite:///{store}"
    [[before]] = runs(uri).values()
    with suppress(RuntimeError), Mirror() as mirror:
        mirror.resume(run_id)
        assert mirror.run() == {"run_id": run_id}
        mirror.metrics({"test_accuracy_percent": 75.0}, 2)
        raise RuntimeError("of the evaluation")
    with Mirror() as mirror:
        mirror.resume(run_id)
        mirror.metrics({"test_loss": 0.5}, 2)
        mirror.close([store.parent / "mlflow.db.lock"], {"evaluate_stage": "evaluate"}, None)
    [[after]] = runs(uri).values()
    assert (after.info.status, after.info.end_time) == ("FINISHED", before.info.end_time)
    assert after.data.metrics == {"test_accuracy_percent": 75.0, "test_loss": 0.5}
    assert after.data.tags["evaluate_stage"] == "evaluate"


def test_deleted_experiment_comes_back(store: Path, start: Start, params: Params) -> None:
    run_id = mirrored(start(), params)
    client = MlflowClient(f"sqlite:///{store}")
    client.delete_experiment(client.get_run(run_id).info.experiment_id)
    again = mirrored(start(), params)
    assert {run.info.run_id for run in runs(f"sqlite:///{store}")["Table I: VGG on MNIST"]} == {again, run_id}


def test_tracking_uri_is_respected(store: Path, start: Start, params: Params, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = store.rename(store.parent / "elsewhere.db")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{elsewhere}")
    mirrored(start("cifar10/resnet18-lr1e-2-sgd"), params)
    assert list(runs(f"sqlite:///{elsewhere}")) == ["Study resnet18-lr1e-2-optimizer"]
    assert not (store.parent / "mlflow.db").exists()


def test_four_first_connections_at_once(workplace: Path, start: Start, params: Params) -> None:
    events: list[dict[str, Any]] = [{"event": "open", "description": description(start(), params)}]
    events += [{"event": "metrics", "metrics": {"a": 1.0}, "time": 1, "step": step} for step in (1, 2)]
    events += [{"event": "close", "artifacts": [], "tags": {}, "status": "FINISHED", "time": 2}]
    script = "".join(json.dumps(event) + "\n" for event in events)
    (workplace / "events").write_text(script)
    command = [sys.executable, "-m", "stages.track.mirror"]
    started = []
    for _ in range(4):
        with (workplace / "events").open() as file:
            started.append(subprocess.Popen(command, stdin=file, stdout=subprocess.PIPE, text=True))
    answers = [process.communicate(timeout=60)[0].splitlines() for process in started]
    ids = {json.loads(opened)["run_id"] for opened, _ in answers}
    assert [json.loads(closed)["closed"] in ids for _, closed in answers] == [True] * 4
    [(_, found)] = runs(f"sqlite:///{workplace}/mlflow.db").items()
    assert sorted(run.info.run_id for run in found) == sorted(ids)
    assert {run.info.status for run in found} == {"FINISHED"}
    assert sorted(os.listdir(workplace)) == ["events", "mlflow.db", "mlflow.db.lock"]  # noqa: PTH208


def test_server(server: Server, workplace: Path, start: Start, params: Params) -> None:
    file = workplace / "run.json"
    file.write_text("{}")
    with Mirror() as mirror:
        mirror.start(start(), params)
        mirror.metrics({"a": 1.5}, 1, at=1.0)
        opened = mirror.run()
        mirror.close([file], {"outcome": "trained"}, "FINISHED")
    assert opened
    client = MlflowClient(server.uri)
    run = client.get_run(opened["run_id"])
    assert client.get_experiment(run.info.experiment_id).name == "Table I: VGG on MNIST"
    assert (run.info.status, run.data.metrics) == ("FINISHED", {"a": 1.5})
    assert [artifact.path for artifact in client.list_artifacts(run.info.run_id)] == ["run.json"]
    assert not (workplace / "mlartifacts").exists()
