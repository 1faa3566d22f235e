"""The server of `tests.forks`: imports libraries, then forks a child for each program that it is asked to run.

    python tests/fork_server.py FOLDER NAME MODULE ...

It listens at FOLDER/NAME, and writes a line for each program: its module, and the exit status and CPU time of the
child, or why there was none.
"""

import atexit
import ctypes
import gc
import marshal
import os
import runpy
import selectors
import signal
import socket
import sys
import threading
import time
import types
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[1]
ABSENT = {"stages": (), "mirrors": ("numpy", "pandas")}  # a mirror makes MLflow do without them
# A command may have others of these than the server: most are read late. Each stage sets the number of threads itself;
# PYTHONHASHSEED and malloc's threshold are what Dask sets for its workers, and decide nothing that a test looks at.
LATE = (
    *("COLUMNS", "DATASETS_FOLDER", "HOME", "LINES", "OLDPWD", "PATH", "PWD", "SHLVL", "TMPDIR", "TRAINING_PROGRESS"),
    *("CUBLAS_WORKSPACE_CONFIG", "MKL_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "PYTHONHASHSEED"),
    *("MALLOC_TRIM_THRESHOLD_", "_", "__DASK_PARENT_PID"),
)
LATE_START = ("DVC_", "GIT_", "MLFLOW_", "PYTEST_", "TORCHINDUCTOR_")  # nothing here is compiled
OWN = {"mirrors": {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_LOGGING_LEVEL": "ERROR"}}  # while it imports
SIGNALS = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)
PATIENCE = 300  # seconds until somebody asks, on a machine that does much else


class Request(NamedTuple):
    """What a program that is to run was started with; `files` are the numbers of its open ones."""

    arguments: list[str]
    folder: str
    environment: dict[bytes, bytes]
    umask: int
    ignored: list[int]
    files: list[int]
    always: bool  # the first of its module too

    @property
    def module(self) -> str:
        return self.arguments[1] if self.arguments[0] == "-m" else self.arguments[0]

    def others(self, environment: dict[bytes, bytes]) -> list[str]:
        """The variables in which the environment differs from another one, without those that are read late."""
        names = {name for name, _ in self.environment.items() ^ environment.items()}
        late, start = {name.encode() for name in LATE}, tuple(name.encode() for name in LATE_START)
        if self.environment.get(b"PYTHONPATH") == os.fsencode(ROOT):  # no other modules than those of `stages` there
            late.add(b"PYTHONPATH")
        return [os.fsdecode(name) for name in names if name not in late and not name.startswith(start)]


class Server:
    """Forks what is asked for. `serve` returns in the children alone."""

    def __init__(self, place: Path, environment: dict[bytes, bytes]) -> None:
        self.environment = environment
        self.started: set[str] = set()  # modules that have run from nothing
        self.selector = selectors.DefaultSelector()
        self.children: dict[socket.socket, int] = {}
        self.leases: set[socket.socket] = set()
        self.leased = False
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(f"{place}.new")
        self.listener.listen(64)
        Path(f"{place}.new").rename(place)
        self.place = place
        self.selector.register(self.listener, selectors.EVENT_READ)

    def serve(self) -> tuple[Request, list[int]]:
        """Answer until the last worker of pytest is gone."""
        until = time.monotonic() + PATIENCE  # for the first one
        while self.leases or (not self.leased and time.monotonic() < until):
            for key, _ in self.selector.select(1):
                if key.fileobj is self.listener:
                    self.selector.register(self.listener.accept()[0], selectors.EVENT_READ)
                elif isinstance(key.fileobj, socket.socket):
                    asked = self.hear(key.fileobj)
                    if asked:
                        return asked
                else:
                    self.ended(key.fd, key.data)
        self.place.unlink()
        self.selector.unregister(self.listener)
        self.listener.close()
        for child in self.children.values():
            os.kill(child, signal.SIGKILL)
        sys.exit()

    def hear(self, peer: socket.socket) -> tuple[Request, list[int]] | None:
        """Take a request, or the end of who has asked."""
        try:
            start, files, _, _ = socket.recv_fds(peer, 4, 250)
        except OSError:
            start, files = b"", []
        size = int.from_bytes(start, "little")
        if start and not size:
            self.leases.add(peer)
            self.leased = True
        elif start:
            content = bytearray()
            while len(content) < size:
                content += peer.recv(size - len(content))
            return self.answer(peer, Request(*marshal.loads(content)), files)  # noqa: S302 - of our own program
        else:
            self.leases.discard(peer)
            if child := self.children.pop(peer, None):
                with suppress(ProcessLookupError):
                    os.kill(child, signal.SIGKILL)
            self.selector.unregister(peer)
            peer.close()
        return None

    def answer(self, peer: socket.socket, request: Request, files: list[int]) -> tuple[Request, list[int]] | None:
        """Fork a child, which this returns in, or refuse."""
        child = 0
        first = request.module not in self.started and not request.always
        self.started.add(request.module)
        others = request.others(self.environment)
        if first or others:
            print(f"{request.module}: by the interpreter, {', '.join(others) or 'the first'}", flush=True)
        else:
            child = os.fork()
            if not child:
                self.selector.close()
                self.listener.close()
                for other in (*self.leases, *self.children, peer):
                    other.close()
                return request, files
            handle = os.pidfd_open(child)
            self.selector.register(handle, selectors.EVENT_READ, (peer, child, request.module))
            self.children[peer] = child
        for file in files:
            os.close(file)
        with suppress(OSError):  # it is gone, which `hear` is told
            peer.sendall(child.to_bytes(4, "little"))
        return None

    def ended(self, handle: int, of: tuple[socket.socket, int, str]) -> None:
        """Hand on the exit status of a child."""
        peer, child, module = of
        _, status, used = os.wait4(child, 0)
        self.selector.unregister(handle)
        os.close(handle)
        code = os.waitstatus_to_exitcode(status)
        print(f"{module}: {code}, {used.ru_utime + used.ru_stime:.2f} s of CPU", flush=True)
        if self.children.pop(peer, None):
            with suppress(OSError):
                peer.sendall(code.to_bytes(4, "little", signed=True))


def become(request: Request, files: list[int]) -> None:
    """Make this process what the interpreter would be as it begins to run the request's module."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: with the server
    highest = max([*request.files, *files]) + 1
    moved = [os.dup2(file, highest + number) for number, file in enumerate(files)]
    for file in files:
        os.close(file)
    for file, number in zip(moved, request.files, strict=True):
        os.dup2(file, number)
        os.close(file)
    for number in SIGNALS:
        usual = signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
        signal.signal(number, signal.SIG_IGN if number in request.ignored else usual)
    own_path = os.environ.get("PYTHONPATH")
    os.chdir(request.folder)
    os.umask(request.umask)
    os.environb.clear()
    os.environb.update(request.environment)
    path = os.environ.get("PYTHONPATH") if os.environ.get("PYTHONPATH") != own_path else None
    sys.path[:0] = [request.folder if request.arguments[0] == "-m" else "", *([path] if path else [])]
    sys.orig_argv = [sys.executable, *request.arguments]
    sys.argv = ["-m" if request.arguments[0] == "-m" else "-c", *request.arguments[2:]]
    sys.modules["__main__"] = types.ModuleType("__main__")


def main(folder: Path, name: str, imported: Sequence[str]) -> None:
    """Import, then serve; a child of it goes on as what was asked for."""
    environment, own = dict(os.environb), OWN.get(name, {})
    os.environ |= own
    del sys.path[0]  # of this file
    sys.modules.update(dict.fromkeys(ABSENT[name]))  # type: ignore[arg-type]
    gc.disable()
    for module in imported:
        import_module(module)
    gc.freeze()
    gc.enable()
    assert not any(module.partition(".")[0] == "stages" for module in sys.modules)
    request, files = Server(folder / name, environment).serve()
    become(request, files)
    run_to_the_end(request.arguments)


def run_to_the_end(arguments: list[str]) -> None:
    """Run a program as the interpreter does, but for taking apart what was imported: that would take a second."""
    status: Any = 0
    try:
        if arguments[0] == "-m":
            runpy._run_module_as_main(arguments[1])  # type: ignore[attr-defined]
        else:
            exec(arguments[1], vars(sys.modules["__main__"]))  # noqa: S102 - what multiprocessing asks for
    except SystemExit as end:
        status = end.code
    except BaseException as error:
        sys.excepthook(type(error), error, error.__traceback__)
        status = error
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    with suppress(OSError):  # nobody reads it any more
        sys.stdout.flush()
    if not isinstance(status, int | None):
        if not isinstance(status, BaseException):
            print(status, file=sys.stderr)
        sys.stderr.flush()
        if isinstance(status, KeyboardInterrupt):
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGINT)
        status = 1
    sys.stderr.flush()
    os._exit((status or 0) & 0xFF)


if __name__ == "__main__":
    _own = sys.modules["__main__"]  # whose names a child goes on using
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3:])
