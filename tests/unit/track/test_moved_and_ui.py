"""A clone that was moved or copied keeps to its own artifacts; the UI finds a port and stays on this machine."""

import os
import socket
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner

from stages.core.errors import StageError
from stages.track import ui as module
from stages.track.ui import free_port, ui

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def test_a_moved_clone_writes_nothing_at_its_old_place(store: Path, workplace: Path) -> None:
    from stages.track.store.runs import Store

    with closing(sqlite3.connect(store)) as database:
        rows = [
            (1, "file:///old/clone/mlartifacts/Table%20I"),
            (2, "s3://bucket/mlartifacts/x"),
            (3, "file:///other/artifacts"),
        ]
        for number, place in rows:
            columns = "experiment_id, name, artifact_location, lifecycle_stage"
            query = f"INSERT INTO experiments ({columns}) VALUES (?, ?, ?, 'active')"  # noqa: S608
            database.execute(query, (number, f"e{number}", place))
        database.commit()
    for _ in range(2):
        Store()
        with closing(sqlite3.connect(store)) as database:
            found = dict(
                database.execute("SELECT experiment_id, artifact_location FROM experiments WHERE name LIKE 'e%'")
            )
        assert found == dict(rows) | {1: f"{(workplace / 'mlartifacts').as_uri()}/Table%20I"}


def test_a_moved_clone_finds_its_artifacts(store: Path, workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of runs and of models, once any of our commands has opened the store there."""
    from mlflow.tracking import MlflowClient

    from stages.track.store.database import relocate_artifacts
    from stages.track.store.runs import Store

    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{store}")  # in one process MLflow opens a relative one once
    (workplace / "run.json").write_text("{}")
    made = Store()
    experiment = made.experiment("Table I: VGG on MNIST")
    run_id = made.client.create_run(experiment).info.run_id
    made.artifacts(run_id, ["run.json"])
    model_id = made.client.create_logged_model(experiment, "network", run_id).model_id
    moved = workplace.rename(workplace.with_name("moved"))
    monkeypatch.chdir(moved)
    assert relocate_artifacts(moved / "mlflow.db") == 3  # the experiment, the run, the model
    client = MlflowClient(f"sqlite:///{moved}/mlflow.db")
    monkeypatch.setenv("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    assert Path(client.download_artifacts(run_id, "run.json")).read_text() == "{}"
    model = client.get_logged_model(model_id)
    assert model.artifact_location.startswith(f"{(moved / 'mlartifacts').as_uri()}/")
    assert relocate_artifacts(moved / "mlflow.db") == 0


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The commands that would take this process's place."""
    found: list[list[str]] = []
    monkeypatch.setattr(os, "execve", lambda _, command, __: found.append(command))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///elsewhere.db")
    return found


def test_the_ui_takes_the_next_port_on_loopback(started: list[list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken = server.getsockname()[1]
        monkeypatch.setattr(module, "PORT", taken)
        assert free_port() != taken
        done = CliRunner().invoke(ui, [])
        assert done.exit_code == 0
        [command] = started
        assert command[command.index("--host") + 1] == "127.0.0.1"
        port = command[command.index("--port") + 1]
        assert int(port) != taken
        assert f"http://127.0.0.1:{port}" in done.stderr
        refused = CliRunner().invoke(ui, ["--port", str(taken)])
    assert (refused.exit_code, f"--port: {taken} is not allowed" in refused.stderr) == (1, True)


def test_the_runs_of_a_server_are_there(started: list[list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://u:hunter2@h:5000")
    done = CliRunner().invoke(ui, [])
    assert done.exit_code == 1
    assert done.stderr == "Error: your runs are at http://h:5000: open it in a browser\n"
    assert started == []


def test_what_is_no_file_is_left_as_it_is(tmp_path: Path) -> None:
    """As root a rename would put a database in the place of a device."""
    from stages.track.store.database import create_database

    place = tmp_path / "pipe"
    os.mkfifo(place)
    with pytest.raises(StageError, match="is no file"):
        create_database(place)
    assert place.is_fifo()
    assert [path.name for path in tmp_path.iterdir()] == ["pipe"]
