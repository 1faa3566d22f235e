"""The runs of trainings in MLflow: opened, extended, closed and found."""

import re
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, RunTag, ViewType
from mlflow.environment_variables import MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient
from sqlalchemy.exc import SQLAlchemyError

from stages.track.store.database import ARTIFACTS, create_database, database_file, relocate_artifacts
from stages.track.uri import DEFAULT_URI, check_uri, tracking_uri

_PARAM_LENGTH = 6000  # characters MLflow keeps of a parameter
_BATCH = 1000  # metric values that MLflow takes in one call
FAILURES = (MlflowException, SQLAlchemyError, OSError)  # what a store that is down, full or broken raises
_PAGE = 1000  # runs or experiments that MLflow returns in one call


class StoredRun(NamedTuple):
    """A training's run, as the store has it; `start_time` in milliseconds since the epoch."""

    run_id: str
    experiment_id: str
    start_time: int
    status: str
    deleted: bool
    tags: dict[str, str]
    metrics: dict[str, float]  # the last values
    params: dict[str, str]


class Store:
    """Runs in the tracking server or database that MLFLOW_TRACKING_URI names, or in `mlflow.db`."""

    def __init__(self) -> None:
        self.uri = tracking_uri()
        check_uri(self.uri)
        if file := database_file(self.uri):
            create_database(file)
            if self.uri == DEFAULT_URI:
                with suppress(sqlite3.Error):  # of a store that is broken, which MLflow says in its own words
                    relocate_artifacts(file)
        self.client = MlflowClient(self.uri)
        self.experiments: dict[str, str] = {}

    def open(self, description: dict[str, Any]) -> str:
        """Create a run with its parameters, tags and data set, and return its id."""
        experiment = self.experiment(description["experiment"])
        run = self.client.create_run(
            experiment,
            start_time=description["start_time"],
            tags=description["tags"],
            run_name=description["run_name"],
        )
        self.describe(run.info.run_id, description)
        return run.info.run_id

    def describe(self, run_id: str, description: dict[str, Any]) -> None:
        """Add a run's parameters and data set; those that are there are left alone, other values refused."""
        self.parameters(run_id, description["parameters"])
        context = InputTag("mlflow.data.context", "training")
        inputs = [DatasetInput(Dataset(**description["dataset"]), [context])]
        try:
            self.client.log_inputs(run_id, inputs)
        except MlflowException as error:
            if error.error_code != "BAD_REQUEST":
                raise
            self.client.log_inputs(run_id, inputs)  # another process added this data set first: MLflow looks, then adds

    def parameters(self, run_id: str, parameters: dict[str, str]) -> None:
        """Add parameters to a run, as long as MLflow keeps them."""
        self.client.log_batch(run_id, params=[Param(*one) for one in cut(parameters).items()])

    def metrics(self, run_id: str, metrics: Sequence[tuple[dict[str, float], int, int]]) -> None:
        """Add to the metrics' series: some values by their names, their time in milliseconds, and their step.

        A value that is there already, with this time and step, stays single.
        """
        values = [Metric(key, value, time, step) for some, time, step in metrics for key, value in some.items()]
        for start in range(0, len(values), _BATCH):
            self.client.log_batch(run_id, metrics=values[start : start + _BATCH])

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

    def wants_system_metrics(self) -> bool:
        """Whether MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING asks for them. Raises ValueError for neither true nor false."""
        return bool(MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING.get())

    def sample_system_metrics(self, run_id: str) -> Callable[[], None]:
        """Begin to log this machine's load as `system/...`, every MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL seconds (10).

        Returns what ends it.
        """
        from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

        monitor = SystemMetricsMonitor(run_id, tracking_uri=self.uri)
        monitor.start()
        return monitor.finish

    def trainings(self, budget: str) -> list[StoredRun]:
        """The runs of a budget's trainings in every experiment, deleted ones too."""
        return self.search(f"tags.budget = '{budget}' AND tags.dvc_stage LIKE 'train-%'")

    def search(self, wanted: str) -> list[StoredRun]:
        """The runs of every experiment that a filter lets through, deleted ones too."""
        some = [one.experiment_id for one in _paged(self.client.search_experiments, view_type=ViewType.ALL)]
        runs = _paged(self.client.search_runs, experiment_ids=some, filter_string=wanted, run_view_type=ViewType.ALL)
        return [
            StoredRun(
                run.info.run_id,
                run.info.experiment_id,
                run.info.start_time,
                run.info.status,
                run.info.lifecycle_stage == "deleted",
                run.data.tags,
                run.data.metrics,
                run.data.params,
            )
            for run in runs
        ]

    def files(self, run_id: str) -> set[str]:
        """The names of a run's artifacts."""
        return {artifact.path for artifact in self.client.list_artifacts(run_id)}

    def restore(self, run: StoredRun) -> None:
        """Bring a deleted run back, and its experiment if that was deleted."""
        if self.client.get_experiment(run.experiment_id).lifecycle_stage == "deleted":
            self.client.restore_experiment(run.experiment_id)
        self.client.restore_run(run.run_id)

    def abandon(self, run_id: str) -> None:
        """Mark a run as killed, at a time that nobody knows."""
        self.client.update_run(run_id, "KILLED")

    def experiment(self, name: str) -> str:
        """The id of an experiment, which is asked for once."""
        if name not in self.experiments:
            self.experiments[name] = self._find_experiment(name)
        return self.experiments[name]

    def _find_experiment(self, name: str) -> str:
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


def cut(parameters: dict[str, str]) -> dict[str, str]:
    """Parameters as MLflow keeps them: of a long value the start."""
    return {name: value[:_PARAM_LENGTH] for name, value in parameters.items()}


def refuses(error: Exception) -> bool:
    """Whether MLflow refuses a value, such as another one for a parameter that a run has, rather than fails."""
    return isinstance(error, MlflowException) and error.error_code == "INVALID_PARAMETER_VALUE"


def _paged(search: Callable[..., Any], **wanted: Any) -> Iterator[Any]:
    """All that a search finds, page by page."""
    token = None
    while True:
        page = search(**wanted, max_results=_PAGE, page_token=token)
        yield from page
        token = page.token
        if not token:
            return
