"""The SQLite store of a clone: made whole, its schema checked, and its artifacts found where the clone lies now."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from filelock import FileLock
from mlflow.tracking import MlflowClient

from stages.core.errors import StageError
from stages.core.files import atomic_path
from stages.track.uri import upgrade_command

ARTIFACTS = Path("mlartifacts")
_SQLITE = "sqlite:///"
_PLACES = (("experiments", "artifact_location"), ("runs", "artifact_uri"), ("logged_models", "artifact_location"))
_LOCKED, _QUICK = 5.0, 1.0  # seconds that another process may have the database: for a run, for a look


def database_file(uri: str) -> Path | None:
    """The file of a SQLite address; None for another kind of store."""
    return Path(uri.removeprefix(_SQLITE).partition("?")[0]) if uri.startswith(_SQLITE) else None


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
    file = database_file(uri)
    if not file or not file.is_file():
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
