"""A mirror that fails costs one warning and at most its patience; the stage never notices more."""

import json
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace

import pytest

from stages.config.params import Params
from stages.track import client
from stages.track.client import PATIENCE, Mirror
from stages.track.describe import TrainingStart
from tests.held import held
from tests.shipped import shipped_text
from tests.unit.track import live
from tests.unit.track.conftest import Server
from tests.unit.track.evaluated import put_result, result

Start = Callable[..., TrainingStart]
# MLflow's own store, in this process: it uses what SQLAlchemy 2.1 deprecates.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
END = ". The stage goes on; its results are in files, and python -m stages.track sync adds them to MLflow later\n"
FAILING = """
import json, sys, time
from stages.config.loading import load_params
from stages.records.run import TrainingRun
from stages.track.client import Mirror
from stages.track.describe import TrainingStart

run = TrainingRun.parse(json.loads(sys.argv[1]), "run.json", "train")
with Mirror() as mirror:
    mirror.start(TrainingStart.of(run), load_params(sys.argv[2]))
    mirror.metrics({"a": 1.0}, 1)
    print(mirror.run(), flush=True)
    if sys.argv[3] == "sleep":
        time.sleep(60)
    raise {"error": ValueError, "interrupt": KeyboardInterrupt}[sys.argv[3]]("planned")
"""


@pytest.fixture
def stub(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Put a module of one's own in MLflow's place."""

    def put(source: str) -> None:
        (workplace / "stub").mkdir()
        (workplace / "stub" / "mlflow.py").write_text(source)
        monkeypatch.setenv("PYTHONPATH", str(workplace / "stub"), prepend=":")

    return put


@contextmanager
def one_warning(capfd: pytest.CaptureFixture[str], *parts: str, within: float = PATIENCE) -> Iterator[None]:
    """The block warns in one line that says all `parts`, and takes at most `within` seconds."""
    start = time.monotonic()
    yield
    assert time.monotonic() - start < within + 1.0  # s that the stage itself may take
    out, warning = capfd.readouterr()
    assert (out, warning.count("\n")) == ("", 1)
    assert warning.startswith("warning: not mirrored to MLflow at ")
    assert warning.endswith(END)
    for part in parts:
        assert part in warning


@pytest.fixture
def stage(start: Start, params: Params) -> Callable[[], Mirror]:
    """A stage's whole talk with its mirror, which must come through whatever happens."""

    def talk() -> Mirror:
        with Mirror() as mirror:
            mirror.start(start(), params)
            mirror.metrics({"a": 1.0}, 1)
            assert mirror.run() is None
            mirror.metrics({"a": 1.0}, 2)
            mirror.close([], {}, "FINISHED")
        return mirror

    return talk


def test_nothing_listens(
    workplace: Path,
    stage: Callable[[], Mirror],
    free_port: int,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://user:secret@127.0.0.1:{free_port}")
    with one_warning(capfd, f"at http://127.0.0.1:{free_port}: MlflowException", "Connection refused"):
        stage()


def test_server_accepts_and_never_answers(
    workplace: Path, stage: Callable[[], Mirror], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{server.getsockname()[1]}")
        with one_warning(capfd, "MlflowException", "Read timed out"):
            stage()


def test_mlflow_cannot_be_imported(
    stub: Callable[[str], None], stage: Callable[[], Mirror], capfd: pytest.CaptureFixture[str]
) -> None:
    stub("import os\nprint('noise')\nraise ImportError(os.environ['MLFLOW_DISABLE_TELEMETRY'] + ', and\\nbroken')")
    with one_warning(capfd, "at sqlite:///mlflow.db: ImportError: true, and broken"):
        stage()


def test_mlflow_ends_the_process(
    stub: Callable[[str], None], stage: Callable[[], Mirror], capfd: pytest.CaptureFixture[str]
) -> None:
    stub("import os; os._exit(7)")
    with one_warning(capfd, "the mirror process ended early (exit status 7)"):
        stage()


def test_database_is_broken(workplace: Path, stage: Callable[[], Mirror], capfd: pytest.CaptureFixture[str]) -> None:
    (workplace / "mlflow.db").write_bytes(b"not a database" * 1000)
    with one_warning(capfd, "file is not a database"):
        stage()


def test_process_hangs_while_many_epochs_are_sent(
    stub: Callable[[str], None],
    start: Start,
    params: Params,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """The pipe holds 64 KiB, which a stopped process never empties; the training must not stop with it."""
    stub("import time; time.sleep(60)")
    monkeypatch.setattr(client, "PATIENCE", 1.0)
    with one_warning(capfd, "no answer within 1 s", within=1.0), Mirror() as mirror:
        mirror.start(start(), params)
        began = time.monotonic()
        for epoch in range(2000):
            mirror.metrics({"train_loss": 1.0, "validation_loss": 2.0}, epoch)
        assert time.monotonic() - began < 0.5
        assert mirror.run() is None
        mirror.close([], {}, "FINISHED")


def test_process_is_killed_midway(store: Path, start: Start, params: Params, capfd: pytest.CaptureFixture[str]) -> None:
    """The run that it opened is still known, and the warning comes with the next epoch."""
    with one_warning(capfd, "the mirror process ended early (SIGKILL)"), Mirror() as mirror:
        mirror.start(start(), params)
        opened = mirror.run()
        assert opened
        assert mirror.process
        mirror.process._process.kill()
        mirror.process._process.wait()
        time.sleep(0.1)  # s for the end to be heard of
        mirror.metrics({"a": 1.0}, 1)
        assert mirror.failed
        assert mirror.run() == opened
        mirror.close([], {}, "FINISHED")


def test_what_cannot_be_described_ends_no_stage(
    workplace: Path, params: Params, capfd: pytest.CaptureFixture[str]
) -> None:
    nothing = SimpleNamespace(cell="mnist/vgg16")
    with one_warning(capfd, "AttributeError: ", "'started'", within=0.0), Mirror() as mirror:
        mirror.start(nothing, params)  # type: ignore[arg-type]
        mirror.metrics({"a": "b"}, 1)  # type: ignore[dict-item]
        assert mirror.run() is None
        mirror.close([], {}, "FINISHED")


def test_nothing_to_say_starts_nothing(workplace: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with suppress(RuntimeError), Mirror() as mirror:
        mirror.metrics({"a": 1.0}, 1)
        assert mirror.run() is None
        raise RuntimeError("before its run was opened")
    assert mirror.process is None
    assert capfd.readouterr() == ("", "")


def statuses(store: Path) -> list[tuple[str, int]]:
    """Status of each run, and how many metric values it has."""
    with sqlite3.connect(store) as connection:
        query = "select status, (select count(*) from metrics where run_uuid = runs.run_uuid) from runs"
        found = connection.execute(query).fetchall()
    connection.close()
    return found


def failing(store: Path, record: str, how: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", FAILING, record, str(Path(__file__).parents[3] / "params.yaml"), how]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.fixture
def record() -> str:
    return json.dumps(result()["run"])


@pytest.mark.parametrize(("how", "status"), [("error", "FAILED"), ("interrupt", "KILLED")])
def test_exception_in_the_stage(store: Path, record: str, how: str, status: str) -> None:
    with failing(store, record, how) as process:
        _, errors = process.communicate(timeout=PATIENCE + 5)
    assert process.returncode == (1 if how == "error" else -signal.SIGINT)
    assert "planned" in errors
    assert "warning" not in errors
    assert statuses(store) == [(status, 1)]


def test_stage_is_killed(store: Path, record: str) -> None:
    with failing(store, record, "sleep") as process:
        assert process.stdout
        assert "run_id" in process.stdout.readline()
        process.kill()
    deadline = time.monotonic() + 10
    while statuses(store) != [("KILLED", 1)] and time.monotonic() < deadline:
        time.sleep(0.1)
    assert statuses(store) == [("KILLED", 1)]


def test_killed_while_it_makes_the_store(workplace: Path) -> None:
    """A store whose migrations were broken off would stay broken for good."""
    command = [sys.executable, "-m", "stages.track.mirror"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        deadline = time.monotonic() + 20
        while not any(file.stat().st_size for file in workplace.glob(".mlflow.db.*.db")):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        process.kill()
    assert not (workplace / "mlflow.db").exists()


@pytest.mark.parametrize("until", [0, 2])
def test_a_server_that_hangs_costs_no_run(
    until: int,
    server: Server,
    workplace: Path,
    template: Path,
    params: Params,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """From the start, or after the first epoch. The training ends as ever, and once the server answers, a sync makes
    there what a sync makes in a new store.
    """
    made = result(seed=until)
    with one_warning(capfd, f"at {server.uri}: MlflowException", "Read timed out"):
        live.train(made, params, workplace, until, server.hang)
    server.go_on()
    put_result(made, workplace)
    (workplace / "params.yaml").write_text(shipped_text())
    done = live.sync_here()
    assert done.stdout == ""
    assert (
        done.stderr.splitlines()[0] == f"1 runs: {int(until == 0)} added, {int(until > 0)} completed, 0 there already"
    )
    there = held(server.uri, tmp_path_factory.mktemp("fetched")).values()
    [completed] = (run for run in there if run["tags"]["dvc_stage"] == made["run"]["stage"])
    assert live.sync_here().output == "1 runs: 0 added, 0 completed, 1 there already\n"
    uri = f"sqlite:///{shutil.copy(template, workplace / 'mlflow.db')}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    assert live.sync_here().exit_code == 0
    [anew] = held(uri, tmp_path_factory.mktemp("fetched")).values()
    assert completed == anew
