"""Tracking servers and databases that fail in every way: no training is lost, and a sync makes all runs whole."""

import os
import shutil
import socket
import sqlite3
import subprocess
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from random import Random

from tests.faults.outcome import Outcome, check
from tests.faults.project import CELL, RUN, Project
from tests.pipeline.conftest import environment

_AT_ONCE = 8


def _failing(draw: Random, project: Project, amount: float) -> Iterator[Outcome]:
    """A training for each failure, and a sync after them."""
    expected = project.content(f"{RUN}/weights.safetensors", f"{RUN}/history.json")
    outcome = Outcome("tracking", "the server or database fails while a training runs")
    faults = [*FAULTS.items()]
    draw.shuffle(faults)
    for what, fault in faults[: max(1, round(len(faults) * amount))]:
        with outcome.trial(what), fault(project) as uri:
            done = project.finish(project.command(f"train-{CELL}"), MLFLOW_TRACKING_URI=uri)
            check(done.returncode == 0, f"the training is lost: {done.stderr[-300:]}")
            check("not mirrored to MLflow" in done.stderr, "no warning")
            check(project.content(*expected) == expected, "other bytes")
    yield outcome
    yield _synced(project)


def _synced(project: Project) -> Outcome:
    outcome = Outcome("tracking", "a sync after that, and a second one")
    with outcome.trial("sync"):
        uri = f"sqlite:///{project.folder}/synced.db"
        for expected in ("0 there already", " 0 added, 0 completed"):
            done = project.finish(["python", "-m", "stages.track", "sync"], MLFLOW_TRACKING_URI=uri)
            check(done.returncode == 0, done.stderr[-300:])
            check(expected in done.stderr, f"not {expected}: {done.stderr[-300:]}")
    return outcome


def _at_once(_: Random, project: Project, amount: float) -> Iterator[Outcome]:
    """Trainings that mirror to one SQLite store that none has made yet."""
    count = max(2, round(_AT_ONCE * amount))
    outcome = Outcome("tracking", f"{count} trainings at once on one SQLite store")
    command = project.command(f"train-{CELL}")
    command = command[: command.index("--out")]
    file = project.folder / "many.db"
    running = [
        subprocess.Popen(
            [*command, "--out", f"data/runs/many/mnist/resnet18/s{number}"],
            cwd=project.folder,
            env=environment(MLFLOW_TRACKING_URI=f"sqlite:///{file}"),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(count)
    ]
    for number, process in enumerate(running):
        with outcome.trial(f"training {number}"):
            said = process.communicate()[1]
            check(process.returncode == 0, f"lost: {said[-300:]}")
    with closing(sqlite3.connect(file)) as database:
        held = [status for (status,) in database.execute("SELECT status FROM runs")]
    mirrored = held.count("FINISHED")
    with outcome.trial("the store"):
        check(mirrored == len(held), f"{mirrored} of {len(held)} runs are whole")
    yield outcome


@contextmanager
def _dead(_: Project) -> Iterator[str]:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"http://user:hunter2@127.0.0.1:{bound.getsockname()[1]}"


@contextmanager
def _answering(status: int | None) -> Iterator[str]:
    """A server that answers with a status, or never."""
    stop = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            if status is None:
                stop.wait(60)
            else:
                self.send_response(status)
                self.end_headers()

        do_GET = do_POST  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        stop.set()
        server.shutdown()
        server.server_close()


@contextmanager
def _server_error(_: Project) -> Iterator[str]:
    with _answering(500) as uri:
        yield uri


@contextmanager
def _slow(_: Project) -> Iterator[str]:
    with _answering(None) as uri:
        yield uri


@contextmanager
def _database(project: Project, name: str) -> Iterator[tuple[Path, str]]:
    """A copy of the project's store."""
    file = project.folder / f"{name}.db"
    shutil.copy(project.folder / "mlflow.db", file)
    yield file, f"sqlite:///{file}"


@contextmanager
def _locked(project: Project) -> Iterator[str]:
    with _database(project, "locked") as (file, uri), closing(sqlite3.connect(file)) as holder:
        holder.execute("BEGIN EXCLUSIVE")
        yield uri


@contextmanager
def _older(project: Project) -> Iterator[str]:
    with _database(project, "older") as (file, uri):
        with closing(sqlite3.connect(file)) as database:
            database.execute("UPDATE alembic_version SET version_num = '451aebb31d03'")
            database.commit()
        yield uri


@contextmanager
def _broken(project: Project) -> Iterator[str]:
    with _database(project, "broken") as (file, uri):
        file.write_bytes(b"no database" * 1000)
        yield uri


@contextmanager
def _pipe(project: Project) -> Iterator[str]:
    """What is no file must stay what it is: a store was once put in the place of a device. Only ever in our folder."""
    place = project.folder / "pipe.db"
    os.mkfifo(place)
    yield f"sqlite:///{place}"
    check(place.is_fifo(), "it was replaced")


@contextmanager
def _no_folder(project: Project) -> Iterator[str]:
    (project.folder / "no_folder").write_text("", encoding="utf-8")
    yield f"sqlite:///{project.folder}/no_folder/mlflow.db"


@contextmanager
def _unclear(_: Project) -> Iterator[str]:
    yield "http://u:p@ss/w@127.0.0.1:1"


FAULTS = {
    "dead": _dead,
    "answers 500": _server_error,
    "never answers": _slow,
    "database locked": _locked,
    "older schema": _older,
    "broken": _broken,
    "no file in its place": _pipe,
    "a file in its folder's place": _no_folder,
    "a password that cannot be read": _unclear,
}

JOBS = {"failing": _failing, "at once": _at_once}
