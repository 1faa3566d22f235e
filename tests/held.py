"""All that an MLflow store holds, read back with MLflow's own client, in a form that can be compared."""

from pathlib import Path
from typing import Any

import pytest

with pytest.MonkeyPatch.context() as patch:
    patch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    from mlflow.entities import Run, ViewType
    from mlflow.tracking import MlflowClient

# What says which store and which run it is, and nothing of the training.
OWN = ("run_id", "run_uuid", "artifact_uri", "experiment_id")


def held(uri: str, folder: Path) -> dict[str, dict[str, Any]]:
    """Every run of a store by its id; artifacts are fetched into `folder`."""
    client = MlflowClient(uri)
    found = {}
    for experiment in client.search_experiments(view_type=ViewType.ALL):
        for run in client.search_runs([experiment.experiment_id], run_view_type=ViewType.ALL):
            found[run.info.run_id] = {"experiment": experiment.name, **_contents(client, run, folder)}
    return found


def _contents(client: MlflowClient, run: Run, folder: Path) -> dict[str, Any]:
    run_id = run.info.run_id
    everything = run.to_dictionary()
    (folder / run_id).mkdir(parents=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
        client.download_artifacts(run_id, "", str(folder / run_id))
    fetched = {path.relative_to(folder / run_id).as_posix(): path for path in (folder / run_id).rglob("*")}
    return {
        "info": {name: value for name, value in everything["info"].items() if name not in OWN},
        "parameters": run.data.params,
        "tags": run.data.tags,
        "last values": run.data.metrics,
        "series": {
            name: sorted(
                (point.step, point.timestamp, point.value) for point in client.get_metric_history(run_id, name)
            )
            for name in run.data.metrics
        },
        "inputs": everything["inputs"],
        "outputs": everything["outputs"],
        "artifacts": {name: path.read_bytes() for name, path in fetched.items() if path.is_file()},
    }
