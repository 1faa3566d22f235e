"""A folder of its own for each test, with an MLflow store made once, and a run to mirror into it; a real server."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from stages.config.params import Params
from stages.records.provenance import GitState
from stages.track.describe import TrainingStart
from tests.forks import forks
from tests.remembered import remembered_yaml
from tests.shared import shared_folder
from tests.shipped import shipped_params
from tests.unit.report.conftest import trained

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module", autouse=True)
def _remembered() -> Iterator[None]:
    with remembered_yaml():
        yield


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty store. Making one takes seconds, a copy of it none."""

    def make(folder: Path) -> None:
        command = [sys.executable, "-c", "from stages.track.store.runs import Store; Store()"]
        subprocess.run(command, cwd=folder, env={"PYTHONPATH": str(ROOT)}, check=True)

    return shared_folder(tmp_path_factory, "store", make) / "mlflow.db"


@pytest.fixture(scope="session")
def python(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The interpreter; mirrors that it starts are forked, but for the first."""
    with forks(tmp_path_factory, "mirrors") as found:
        yield found.python if found else sys.executable


@pytest.fixture
def workplace(tmp_path: Path, python: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder, in which `stages` can be imported and no tracking server is named."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "executable", python)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return tmp_path


@pytest.fixture
def store(workplace: Path, template: Path) -> Path:
    """The working folder's own, empty store."""
    return Path(shutil.copy(template, workplace / "mlflow.db"))


@pytest.fixture(scope="session")
def params() -> Params:
    return shipped_params()


@pytest.fixture(scope="session")
def start(params: Params) -> Callable[..., TrainingStart]:
    """The start of a cell's training, as stage `train` knows it."""

    def make(cell: str = "mnist/vgg16") -> TrainingStart:
        key, _ = params.find(cell)
        run, _ = trained(params, "quick", key, 3)
        git = GitState(commit="0123456789" * 4, dirty=True, changed=["stages/train/__main__.py"], difference="x")
        data = run.data.model_copy(update={"sha256": {"train_images": "ab" * 32}})
        return TrainingStart.of(run)._replace(git=git, data=data, started="2026-01-02T03:04:05.678+00:00")

    return make


def unused_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def free_port() -> int:
    return unused_port()


class Server:
    """A real `mlflow server`, whose processes can be made to stand still: it then accepts and never answers."""

    def __init__(self, folder: Path) -> None:
        port = unused_port()
        self.uri = f"http://127.0.0.1:{port}"
        command = [sys.executable, "-m", "mlflow", "server", "--workers", "1", "--host", "127.0.0.1"]
        command += ["--port", str(port), "--backend-store-uri", f"sqlite:///{folder}/mlflow.db"]
        command += ["--artifacts-destination", str(folder / "served")]
        quiet = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
        self.process = subprocess.Popen(
            command,
            cwd=folder,
            env=os.environ | quiet,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # its workers are signalled with it
        )

    def wait(self) -> None:
        """Until it answers."""
        import requests

        deadline = time.monotonic() + 120
        while True:
            assert self.process.poll() is None
            try:
                requests.get(f"{self.uri}/health", timeout=1)
                return
            except (requests.ConnectionError, requests.Timeout):
                assert time.monotonic() < deadline
                time.sleep(0.2)

    def signal(self, number: int) -> None:
        os.killpg(self.process.pid, number)

    def hang(self) -> None:
        self.signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self.signal(signal.SIGCONT)


@pytest.fixture(scope="session")
def running(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One for all tests: it takes long to start."""
    folder = tmp_path_factory.mktemp("server")
    shutil.copy(template, folder / "mlflow.db")
    server = Server(folder)
    try:
        server.wait()
        yield server
    finally:
        server.signal(signal.SIGKILL)
        server.process.wait()


@pytest.fixture
def server(workplace: Path, running: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """The tracking server, in a working folder without a store."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", running.uri)
    yield running
    running.go_on()
