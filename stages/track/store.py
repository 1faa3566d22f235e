"""The one module that imports MLflow: opens a run, adds to it, closes it."""

import re
from pathlib import Path
from typing import Any

from filelock import FileLock
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, RunTag
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from stages.core.records import atomic_path
from stages.track.uri import tracking_uri

ARTIFACTS = Path("mlartifacts")
_SQLITE = "sqlite:///"
_PARAM_LENGTH = 6000  # characters MLflow keeps of a parameter


class Store:
    """Runs in the tracking server or database that MLFLOW_TRACKING_URI names, or in `mlflow.db`."""

    def __init__(self) -> None:
        self.uri = tracking_uri()
        if self.uri.startswith(_SQLITE):
            create_database(Path(self.uri.removeprefix(_SQLITE).partition("?")[0]))
        self.client = MlflowClient(self.uri)

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
        context = InputTag("mlflow.data.context", "training")
        self.client.log_inputs(run.info.run_id, [DatasetInput(Dataset(**description["dataset"]), [context])])
        return run.info.run_id

    def metrics(self, run_id: str, metrics: dict[str, float], time: int, step: int) -> None:
        """Add one value to each metric's series, at `time` in milliseconds."""
        self.client.log_batch(run_id, metrics=[Metric(key, value, time, step) for key, value in metrics.items()])

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
        """The id of an experiment, made if need be, and brought back if it was deleted: its name is taken for good."""
        found = self.client.get_experiment_by_name(name)
        if found is None:
            try:
                return self.client.create_experiment(name, artifact_location=self._artifacts(name))
            except MlflowException:
                found = self.client.get_experiment_by_name(name)  # another process was faster
                if found is None:
                    raise
        if found.lifecycle_stage == "deleted":
            self.client.restore_experiment(found.experiment_id)
        return found.experiment_id

    def _artifacts(self, experiment: str) -> str | None:
        """A server knows where artifacts belong; beside a database MLflow would put them into a folder `mlruns/`."""
        if self.uri.startswith("http"):
            return None
        return (ARTIFACTS / re.sub(r"[^\w.-]+", " ", experiment).strip()).resolve().as_uri()


def create_database(file: Path) -> None:
    """Make an empty SQLite store unless there is one, whole or not at all.

    MLflow builds it in seconds of migrations, which break it for good when two processes are at it or one is killed.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{file}.lock"):
        if file.is_file() and file.stat().st_size:
            return
        with atomic_path(file) as temporary:
            MlflowClient(f"{_SQLITE}{temporary}").search_experiments(max_results=1)
