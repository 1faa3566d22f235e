"""The one module that imports MLflow: opens a run, adds to it, closes it."""

import os
from pathlib import Path
from typing import Any

from filelock import FileLock
from mlflow.entities import Dataset, DatasetInput, Metric, Param, RunTag
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from stages.track.uri import tracking_uri

ARTIFACTS = Path("mlartifacts")
LOCK = Path(".cache/mlflow.lock")
_PARAM_LENGTH = 6000  # characters MLflow keeps of a parameter


class Store:
    """Runs in the tracking server or database that MLFLOW_TRACKING_URI names, or in `mlflow.db`."""

    def __init__(self) -> None:
        LOCK.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(LOCK):  # two first connections at once race in the store's migration and break it for good
            self.uri = tracking_uri()
            self.client = MlflowClient(self.uri)
            self.client.search_experiments(max_results=1)

    def open(self, description: dict[str, Any]) -> str:
        """Create a run with its parameters, tags and data set, and return its id."""
        experiment = self._experiment(description["experiment"])
        run = self.client.create_run(
            experiment,
            start_time=description["start_time"],
            tags=description["tags"],
            run_name=description["run_name"],
        )
        parameters = [Param(key, value[:_PARAM_LENGTH]) for key, value in description["parameters"].items()]
        self.client.log_batch(run.info.run_id, params=parameters)
        self.client.log_inputs(run.info.run_id, [DatasetInput(Dataset(**description["dataset"]))])
        return run.info.run_id

    def metrics(self, run_id: str, metrics: dict[str, float | None], time: int, step: int) -> None:
        """Add one value to each metric's series, at `time` in milliseconds, save those that are None (not finite)."""
        entities = [Metric(key, value, time, step) for key, value in metrics.items() if value is not None]
        self.client.log_batch(run_id, metrics=entities)

    def tags(self, run_id: str, tags: dict[str, str]) -> None:
        """Set tags of a run."""
        self.client.log_batch(run_id, tags=[RunTag(key, value) for key, value in tags.items()])

    def artifacts(self, run_id: str, files: list[str]) -> None:
        """Copy files to a run's artifacts."""
        for file in files:
            self.client.log_artifact(run_id, file)

    def close(self, run_id: str, status: str, end_time: int) -> None:
        """End a run as FINISHED, FAILED or KILLED, at `end_time` (milliseconds)."""
        self.client.set_terminated(run_id, status, end_time)

    def _experiment(self, name: str) -> str:
        found = self.client.get_experiment_by_name(name)
        if found is not None:
            return found.experiment_id
        # A server knows where its artifacts belong; a local database would put them into the working folder's mlruns/.
        location = None if self.uri.startswith("http") else (ARTIFACTS / name.replace(":", "")).resolve().as_uri()
        try:
            return self.client.create_experiment(name, artifact_location=location)
        except MlflowException:
            found = self.client.get_experiment_by_name(name)  # another process was faster
            if found is None:
                raise
            return found.experiment_id


def quieten() -> None:
    """Make a dead server fail within seconds (MLflow's defaults retry for minutes), and keep MLflow's chatter down."""
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "3")
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "ERROR")
