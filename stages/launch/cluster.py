"""The Dask cluster that runs the units: an embedded one, or one whose scheduler is there already.

A worker takes part once it has shown that its checkout and its software are those of the launch; it then offers a
resource named after the launch, one for each of its threads, and a unit asks for one. So a refused worker of a shared
cluster goes on with whatever else it does, and two launches on one cluster know nothing of each other.
"""

import logging
import signal
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Lock
from typing import Any, NamedTuple

import dask
from distributed import Client, Future, LocalCluster, Worker, WorkerPlugin, get_worker

from stages.config.loading import load_params
from stages.config.reading import PARAMS_FILE
from stages.core.errors import StageError, printable
from stages.core.files import digest, write_text
from stages.core.locks import exclusive
from stages.core.progress import say
from stages.launch import work
from stages.launch.work import FOLDER, Result, Running, Unit
from stages.records import provenance
from stages.records.spec import resolve_specs, write_specs

_DASHBOARD = 8787
_LOOK = 1.0  # seconds between two looks for new workers
_ALONE = 15.0  # seconds without a worker before that is said
_UNREACHABLE = (OSError, ValueError, TypeError, RuntimeError, ImportError)  # the last three: no such protocol here


class Checkout(NamedTuple):
    """What must be the same on every machine that runs a unit."""

    commit: str
    changed: list[str]
    specs: str  # one hash over what every cell is
    python: str
    packages: dict[str, str | None]

    @classmethod
    def here(cls) -> "Checkout":
        """Of the working directory and this process."""
        git, environment = provenance.git_state(), provenance.environment()
        return cls(git.commit, git.changed, _specs_here(), environment.python, environment.packages)

    def differences(self, other: "Checkout") -> list[str]:
        """What `other` has instead, in words; empty when nothing differs."""
        found = []
        if other.commit != self.commit:
            found.append(f"commit {other.commit[:12]} instead of {self.commit[:12]}")
        if other.changed != self.changed:
            found.append(
                f"changed files {', '.join(other.changed) or 'none'} instead of {', '.join(self.changed) or 'none'}"
            )
        if other.specs != self.specs:
            found.append("other settings or code of the cells (params.yaml, stages)")
        ours, theirs = {"python": self.python, **self.packages}, {"python": other.python, **other.packages}
        for name, version in ours.items():
            if theirs.get(name) != version:
                found.append(f"{name} {theirs.get(name)} instead of {version}")
        return found


def _specs_here() -> str:
    """One hash over what every cell is at the chosen budget. Empty where the working directory is no checkout."""
    if not PARAMS_FILE.is_file():
        return ""
    params = load_params()
    return digest({spec.cell: spec.content() for spec in resolve_specs(params, params.budget)})


def _write_specs_here() -> None:
    """Write what every cell is, as stage `resolve` does: trainings and evaluations read it."""
    params = load_params()
    folder = Path("reports", params.budget, "specs")
    with exclusive(folder):
        write_specs(resolve_specs(params, params.budget), folder)


class TrainingPlugin(WorkerPlugin):
    """Checks a worker, offers its threads as this launch's resource, and ends its processes with it.

    A worker that finds the launch's `token` in its working directory shares its files; another one is `remote`.
    """

    running: Running  # made on the worker: a plugin travels there pickled

    def __init__(self, expected: Checkout, token: str) -> None:
        self.expected, self.token = expected, token
        self.name = _named(token)
        self.remote = True

    async def setup(self, worker: Worker) -> None:
        """Offer the worker's threads, or say why not."""
        self.running = Running()
        self.remote = not _token_file(self.token).is_file()
        try:
            different = self.expected.differences(Checkout.here())
        except StageError as error:
            different = [str(error)]
        if self.remote and not different and not _has_remote():
            different = ["it shares no files with the launch, and its clone has no default DVC remote"]
        if different:
            named = f"worker {worker.name} at {worker.address}"
            worker.log_event(self.name, {"refused": named, "why": "; ".join(different)})
        else:
            if self.remote:
                _write_specs_here()
            await worker.set_resources(**{self.name: worker.state.nthreads})

    async def teardown(self, worker: Worker) -> None:
        """End what runs, and offer nothing any more."""
        self.running.stop()
        with suppress(Exception):  # a worker that closes has no scheduler any more
            await worker.set_resources(**{self.name: 0})


class LaunchContext(NamedTuple):
    """What every unit of a launch is run with: entries of dvc.lock for a remote worker, GPUs for embedded ones."""

    token: str
    supplies: dict[str, Any]
    gpus: list[str]


def perform(unit: Unit, context: LaunchContext) -> Result:
    """Run a unit on the worker that this is called on."""
    worker = get_worker()
    trainings = worker.plugins[_named(context.token)]
    assert isinstance(trainings, TrainingPlugin)  # noqa: S101 - registered under that name here

    def report(seen: dict[str, Any]) -> None:
        worker.log_event(trainings.name, seen)

    variables = _gpu(worker.name, context.gpus)
    if not trainings.remote:
        return work.perform(unit, variables, report, trainings.running)
    from stages.launch import remote_worker  # imports DVC

    supplies = {name: context.supplies[name] for name in unit.inputs}
    return remote_worker.perform(unit, supplies, variables, report, trainings.running)


def _gpu(worker: Any, gpus: list[str]) -> dict[str, str]:
    """The environment variable that gives a worker its GPU. Workers of an embedded cluster are numbered."""
    return {"CUDA_VISIBLE_DEVICES": gpus[worker % len(gpus)]} if gpus and isinstance(worker, int) else {}


def _named(token: str) -> str:
    """The name of a launch's plugin, of its resource, and of the topic of its workers' events."""
    return f"launch-{token}"


def _token_file(token: str) -> Path:
    return FOLDER / f"{token}.token"


def _has_remote() -> bool:
    asked = [sys.executable, "-m", "dvc", "config", "core.remote"]
    return subprocess.run(asked, capture_output=True, check=False).returncode == 0  # noqa: S603


@contextmanager
def connected(
    scheduler: str | None, jobs: int, token: str, on_event: Callable[[dict[str, Any]], None]
) -> Iterator[Client]:
    """A client of the scheduler at that address, or of an embedded cluster of `jobs` processes.

    `on_event` is called, in another thread, with what workers say. Raises StageError when nothing answers there.
    """
    for library in ("distributed", "tornado"):  # the view tells what concerns the user
        logging.getLogger(library).setLevel(logging.CRITICAL)
    settings = {
        "distributed.worker.daemon": True,
        "distributed.scheduler.allowed-failures": 5,
        "distributed.nanny.pre-spawn-environ": {},  # what decides bits is set by the launch alone
        # Dask watches itself up to 100 times a second, which took a ninth of a core from the trainings of two.
        "distributed.worker.profile.enabled": False,
        "distributed.admin.tick.interval": "500ms",
        "distributed.admin.system-monitor.interval": "10s",
    }
    with dask.config.set(settings), ExitStack() as open_ones:
        if scheduler is None:
            scheduler = open_ones.enter_context(_embedded(jobs)).scheduler_address
        client = open_ones.enter_context(client_of(scheduler))
        open_ones.enter_context(_prepared(client, token, on_event))
        yield client


def client_of(scheduler: str) -> Client:
    """A client of the scheduler at an address. Raises StageError when nothing answers there."""
    try:
        return Client(scheduler, timeout=10)
    except _UNREACHABLE as error:
        raise StageError(printable(f"--scheduler {scheduler}: no Dask scheduler answers there ({error})")) from None


@contextmanager
def _embedded(jobs: int) -> Iterator[LocalCluster]:
    """A cluster of processes of this machine. Ctrl-C on a terminal is not for them: the launch ends what they run."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        cluster = LocalCluster(
            n_workers=jobs,
            threads_per_worker=1,
            host="127.0.0.1",
            dashboard_address=f"127.0.0.1:{_port()}",
            memory_limit=0,  # what takes memory is a process of its own
            local_directory=".cache/dask",
            silence_logs=logging.CRITICAL,
        )
    finally:
        signal.signal(signal.SIGINT, before)
    try:
        yield cluster
    finally:
        with suppress(TimeoutError):  # on a busy machine; the workers are daemons, and end with this process
            cluster.close()


def _port() -> int:
    """Dask's usual port for the dashboard, or any when another one has that."""
    with socket.socket() as probe:
        return 0 if probe.connect_ex(("127.0.0.1", _DASHBOARD)) == 0 else _DASHBOARD


@contextmanager
def _prepared(client: Client, token: str, on_event: Callable[[dict[str, Any]], None]) -> Iterator[None]:
    """Make the workers ours meanwhile; what still runs when it ends is ended."""
    write_text(_token_file(token), "")
    plugin = TrainingPlugin(Checkout.here(), token)
    try:
        client.subscribe_topic(plugin.name, lambda event: on_event(event[1]))
        client.register_plugin(plugin)
        yield
    finally:
        _token_file(token).unlink(missing_ok=True)
        with suppress(Exception):  # of workers that are lost at that moment, and end what they run by themselves
            client.unregister_worker_plugin(plugin.name)


def slots(client: Client, token: str) -> int:
    """How many units the workers that take part can run at once."""
    workers = client.scheduler_info(n_workers=-1).get("workers", {}).values()
    return int(sum(worker["resources"].get(_named(token), 0) for worker in workers))


class _WorkerWatch:
    """Says once that no worker has taken part for a while: none yet, or none any more."""

    def __init__(self) -> None:
        self._ever, self._said = False, False
        self._none_since: float | None = time.monotonic()

    def note(self, workers: int) -> None:
        """Take note of how many workers there are now. May be called as seldom as the caller likes."""
        if workers:
            self._ever, self._said, self._none_since = True, False, None
        elif self._none_since is None:
            self._none_since = time.monotonic()
        elif not self._said and time.monotonic() - self._none_since > _ALONE:
            say(f"no worker takes part {'any more' if self._ever else 'yet'}")
            self._said = True


def run(
    client: Client, units: list[Unit], context: LaunchContext, doing: Callable[[Unit, LaunchContext], Result] = perform
) -> Iterator[list[Result]]:
    """Run the units, those at the front first; yields what has ended since the last time, which may be nothing.

    Dask is handed as many as there are slots and gets the next one when one ends, so that their order holds to the end.
    The unit of a worker that is lost runs again elsewhere. Raises StageError when the scheduler is lost.
    """
    waiting, running, guard = deque(units), dict[Future[Result], str](), Lock()
    ended: SimpleQueue[Result] = SimpleQueue()

    def hand_out() -> None:
        free = slots(client, context.token)
        with guard:
            while waiting and len(running) < free:
                unit = waiting.popleft()
                future = client.submit(doing, unit, context, pure=False, resources={_named(context.token): 1})
                running[future] = unit.name
                future.add_done_callback(take_back)

    def take_back(future: "Future[Result]") -> None:
        with guard:
            unit = running.pop(future, None)
        if unit is None:
            return  # the launch is being ended, and Dask tells that its futures are cancelled
        ended.put(_result(future, unit))
        with suppress(Exception):  # the loop below tries again, and says what is wrong
            hand_out()

    left, watch = len(units), _WorkerWatch()
    try:
        while left:
            hand_out()  # workers may have come
            watch.note(slots(client, context.token))
            results = []
            with suppress(Empty):
                results.append(ended.get(timeout=_LOOK))
                while True:
                    results.append(ended.get_nowait())
            left -= len(results)
            yield results
    except (OSError, RuntimeError) as error:
        raise StageError(f"the Dask scheduler is lost ({error}); start again to go on") from None
    finally:
        with guard:
            waiting.clear()
            running.clear()


def _result(future: "Future[Result]", unit: str) -> Result:
    try:
        return future.result()
    except Exception as error:  # whatever Dask or the worker raises is this unit's failure, and the rest goes on
        return Result(unit, (), f"{unit}: {type(error).__name__}: {' '.join(str(error).split())}")
