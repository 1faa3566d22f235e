"""The one module that imports MLflow: opens, extends, closes and finds runs."""

import os
import re
import sqlite3
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

from filelock import FileLock
from mlflow.entities import (
    Dataset,
    DatasetInput,
    InputTag,
    LoggedModelOutput,
    LoggedModelStatus,
    Metric,
    Param,
    RunTag,
    ViewType,
)
from mlflow.environment_variables import MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient
from sqlalchemy.exc import SQLAlchemyError

from stages.core.errors import StageError
from stages.core.files import atomic_path
from stages.track.describe import ADDED, COMPLETED, THERE
from stages.track.uri import DEFAULT_URI, check_uri, tracking_uri, upgrade_command

ARTIFACTS = Path("mlartifacts")
_SQLITE = "sqlite:///"
_PLACES = (("experiments", "artifact_location"), ("runs", "artifact_uri"), ("logged_models", "artifact_location"))
_ROWS_LOCK = "mlflow.db.rows.lock"
_PARENT = "mlflow.parentRunId"
_LOCKED, _QUICK = 5.0, 1.0  # seconds that another process may have the database: for a run, for a look
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
        if self.uri.startswith(_SQLITE):
            create_database(Path(self.uri.removeprefix(_SQLITE).partition("?")[0]))
        if self.uri == DEFAULT_URI:
            with suppress(sqlite3.Error):  # of a store that is broken, which MLflow says in its own words
                relocate_artifacts(Path(DEFAULT_URI.removeprefix(_SQLITE)))
        self.client = MlflowClient(self.uri)
        self.experiments: dict[str, str] = {}

    def open(self, description: dict[str, Any]) -> str:
        """Create a run with its parameters, tags and data set, and return its id."""
        experiment = self._experiment(description["experiment"])
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
        self._parameters(run_id, description["parameters"])
        context = InputTag("mlflow.data.context", "training")
        inputs = [DatasetInput(Dataset(**description["dataset"]), [context])]
        try:
            self.client.log_inputs(run_id, inputs)
        except MlflowException as error:
            if error.error_code != "BAD_REQUEST":
                raise
            self.client.log_inputs(run_id, inputs)  # another process added this data set first: MLflow looks, then adds

    def _parameters(self, run_id: str, parameters: dict[str, str]) -> None:
        """Add parameters to a run, as long as MLflow keeps them."""
        self.client.log_batch(run_id, params=[Param(*one) for one in _cut(parameters).items()])

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

    def models(self, run: StoredRun, name: str) -> list[tuple[str, dict[str, str]]]:
        """Id and tags of the models of this name that were logged for a run."""
        wanted = f"source_run_id = '{run.run_id}' AND name = '{name}'"
        found = self.client.search_logged_models(experiment_ids=[run.experiment_id], filter_string=wanted)
        return [(one.model_id, one.tags) for one in found if one.status == LoggedModelStatus.READY]

    def log_model(
        self, run: StoredRun, name: str, network: Any, example: Any, logits: Any, tags: dict[str, str]
    ) -> str:
        """Log a torch module as a model of a run, which does not list it before `accept_model`; return the model's id.

        The format is PyTorch's exported program, in which nothing is pickled; `example` (n, channels, side, side) and
        `logits` (n, classes) are numpy arrays, of which the signature is made.
        """
        import mlflow.pytorch
        from mlflow.models import infer_signature

        mlflow.set_tracking_uri(self.uri)
        parameters = self.client.get_run(run.run_id).data.params
        made = self.client.create_logged_model(
            run.experiment_id, name, source_run_id=run.run_id, tags=tags, params=parameters, model_type="classifier"
        )
        try:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", message="No complete tensor found in the group")  # views of masters
                mlflow.pytorch.log_model(
                    network,
                    model_id=made.model_id,
                    serialization_format="pt2",
                    signature=infer_signature(example, logits),
                    input_example=example,
                    pip_requirements=[f"torch=={version('torch').partition('+')[0]}", f"mlflow=={version('mlflow')}"],
                )
        except BaseException:
            self.client.delete_logged_model(made.model_id)
            raise
        return made.model_id

    def accept_model(self, run: StoredRun, model_id: str, tags: dict[str, str]) -> None:
        """Make a logged model an output of its run, which stays as it is otherwise; then set tags of the model."""
        self.client.log_outputs(run.run_id, [LoggedModelOutput(model_id, step=0)])
        self.client.set_logged_model_tags(model_id, tags)

    def load_model(self, model_id: str) -> Any:
        """A logged model as MLflow gives it back: a torch module."""
        import mlflow.pytorch

        mlflow.set_tracking_uri(self.uri)
        return mlflow.pytorch.load_model(f"models:/{model_id}")

    def remove_model(self, model_id: str) -> None:
        """Delete a logged model."""
        self.client.delete_logged_model(model_id)

    def trainings(self, budget: str) -> list[StoredRun]:
        """The runs of a budget's trainings in every experiment, deleted ones too."""
        return self._found(f"tags.budget = '{budget}' AND tags.dvc_stage LIKE 'train-%'")

    def _found(self, wanted: str) -> list[StoredRun]:
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

    def sync_row(self, row: dict[str, Any], whole: bool) -> str:
        """Bring a row's run (`stages.track.rows`) to hold what it should, and its seeds' runs to be its children.

        Returns ADDED, COMPLETED or THERE. Of several runs of a row, as two machines may have made, one stays.
        MLflow changes no parameter: where the settings are others, the run is made anew. It takes no metric back
        either: a run with a metric that the row no longer has, as after a seed was taken out, is made anew if all
        results were looked at (`whole`); a stage sees those alone that are there as it ends.
        """
        tags = row["tags"]
        place = f"tags.budget = '{tags['budget']}' AND tags.cell = '{tags['cell']}'"
        with FileLock(_ROWS_LOCK, timeout=_LOCKED):
            found = sorted(
                self._found(f"{place} AND tags.kind = 'row'"), key=lambda run: (run.deleted, run.start_time, run.run_id)
            )
            done = THERE if found and self._holds(found[0], row) else COMPLETED if found else ADDED
            run_id = found[0].run_id if found else ""
            if done is not THERE:
                run_id = self._write_row(found[0] if found else None, row, whole)
            for other in found:
                if other.run_id != run_id and not other.deleted:
                    self.client.delete_run(other.run_id)
            trainings = self._found(f"{place} AND tags.dvc_stage LIKE 'train-%'")
            nested = self._nest(run_id, row, {run_id, *(run.run_id for run in found)}, trainings)
        return COMPLETED if nested and done is THERE else done

    def _holds(self, run: StoredRun, row: dict[str, Any]) -> bool:
        return (
            not run.deleted
            and run.status == "FINISHED"
            and row["tags"].items() <= run.tags.items()
            and run.metrics == row["metrics"]
            and run.params == _cut(row["parameters"])
        )

    def _write_row(self, run: StoredRun | None, row: dict[str, Any], whole: bool) -> str:
        """Write a row into its run, or into a new one, and return its id."""
        if run and not run.params.items() <= _cut(row["parameters"]).items():
            return self._write_row(None, row, whole)
        if run is None:
            experiment = self._experiment(row["experiment"])
            run_id = self.client.create_run(experiment, row["start_time"], row["tags"], row["run_name"]).info.run_id
        else:
            run_id = run.run_id
            if run.deleted:
                self.restore(run)
        self.metrics(run_id, [(row["metrics"], row["end_time"], 0)])
        if run and whole and self.client.get_run(run_id).data.metrics != row["metrics"]:
            self.client.delete_run(run_id)
            return self._write_row(None, row, whole)
        self._parameters(run_id, row["parameters"])
        self.tags(run_id, row["tags"])
        self.close(run_id, "FINISHED", row["end_time"])
        return run_id

    def _nest(self, run_id: str, row: dict[str, Any], rows: set[str], runs: Sequence[StoredRun]) -> bool:
        """Set the parents of a row's trainings, and return whether any has changed.

        The trainings of the row's results become children of its run `run_id`. A training that is not one of them and
        is a child of one of `rows`, the runs that this row has or had, loses its parent.
        """
        children, changed = {tuple(identity) for identity in row["children"]}, False
        for run in runs:
            parent = run.tags.get(_PARENT)
            if run.deleted:
                continue
            if (run.tags["dvc_stage"], run.start_time) in children:
                if parent != run_id:
                    self.client.set_tag(run.run_id, _PARENT, run_id)
                    changed = True
            elif parent in rows:
                self.client.delete_tag(run.run_id, _PARENT)
                changed = True
        return changed

    def remove_rows(self, budget: str, cells: set[str]) -> int:
        """Delete the rows' runs of some cells, whose trainings then have no parent; returns how many."""
        with FileLock(_ROWS_LOCK, timeout=_LOCKED):
            found = self._found(f"tags.budget = '{budget}' AND tags.kind = 'row'")
            rows = [run for run in found if run.tags.get("cell") in cells]
            removed = {run.run_id for run in rows}
            for run in self.trainings(budget) if rows else []:
                if not run.deleted and run.tags.get(_PARENT) in removed:
                    self.client.delete_tag(run.run_id, _PARENT)
            there = [run for run in rows if not run.deleted]
            for run in there:
                self.client.delete_run(run.run_id)
        return len(there)

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

    def _experiment(self, name: str) -> str:
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


def _cut(parameters: dict[str, str]) -> dict[str, str]:
    """Parameters as MLflow keeps them: of a long value the start."""
    return {name: value[:_PARAM_LENGTH] for name, value in parameters.items()}


def create_database(file: Path) -> None:
    """Make an empty SQLite store unless there is one, whole or not at all.

    MLflow builds it in seconds of migrations, which break it for good when two processes are at it or one is killed.
    """
    if file.exists() and not file.is_file():
        raise StageError(f"{file} is no file, and is left as it is; MLFLOW_TRACKING_URI must name a database")
    file.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{file}.lock"):
        if file.is_file() and file.stat().st_size:
            return
        with atomic_path(file) as temporary:
            MlflowClient(f"{_SQLITE}{temporary}").search_experiments(max_results=1)


def database_problem(uri: str) -> str:
    """What stands in the way of a SQLite store, with its cure; empty for one that works, or that is not there yet."""
    file = Path(uri.removeprefix(_SQLITE).partition("?")[0])
    if not uri.startswith(_SQLITE) or not file.is_file():
        return ""
    if not os.access(file, os.W_OK) or not os.access(file.parent, os.W_OK):
        return "it cannot be written; chown or chmod it and its folder"
    from mlflow.store.db.utils import _get_latest_schema_revision

    try:
        with closing(sqlite3.connect(file, timeout=_QUICK)) as database:
            database.execute("BEGIN IMMEDIATE").close()
            found = database.execute("SELECT version_num FROM alembic_version").fetchone()
    except sqlite3.OperationalError as error:
        if "locked" in str(error):
            return "another process has it for longer than a moment; end that (fuser shows it)"
        return f"no store of MLflow's ({error}); move it away, and python -m stages.track sync makes it again"
    except sqlite3.DatabaseError as error:
        return f"it is broken ({error}); move it away, and python -m stages.track sync makes it again"
    latest = _get_latest_schema_revision()
    return "" if found == (latest,) else f"its schema is {found and found[0]}, not {latest}: {upgrade_command()}"


def relocate_artifacts(file: Path) -> int:
    """Tell the store of a clone that was moved or copied where its artifacts lie now; returns how many places changed.

    MLflow stores absolute addresses (mlflow issue 3144), and would go on writing into the old clone. Only addresses of
    a folder `mlartifacts` that is not this one are changed.
    """
    here, changed = ARTIFACTS.resolve().as_uri(), 0
    with closing(sqlite3.connect(file, timeout=_LOCKED)) as database, database:
        for table, column in _PLACES:
            old = f"file://%/{ARTIFACTS.name}/%"
            query = f"SELECT DISTINCT {column} FROM {table} WHERE {column} LIKE ? AND {column} NOT LIKE ?"  # noqa: S608
            for (address,) in database.execute(query, (old, f"{here}/%")).fetchall():
                moved = f"{here}/{address.partition(f'/{ARTIFACTS.name}/')[2]}"
                database.execute(f"UPDATE {table} SET {column} = ? WHERE {column} = ?", (moved, address))  # noqa: S608
                changed += 1
    return changed


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
