"""Processes of the pipeline's commands, forked from one that has imported their libraries: importing is most of a test.

`python` and `dvc` in `Forks.programs` stand in for the real ones. A command that they know runs in a child of a server:
`python -m stages.train`, `dvc`, Dask's, a worker that multiprocessing starts, and `forked -c PROGRAM`. The child gets
the working directory, environment, arguments and open files of the command, and its signals; the command ends with the
exit status of the child. The server has imported nothing of `stages`: what runs is what lies in the working directory.

Everything else runs as ever, and so do

- the first command of each module (not `forked -c PROGRAM`): it starts from nothing, as a user's does;
- a command whose environment differs from the server's in a variable that is not known to be read late.

One set of servers serves all workers of pytest, or all processes of `make faults`, and ends with the last of them,
however that ends.
"""

import os
import socket
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from filelock import FileLock

from tests.fork_server import SIGNALS
from tests.shared import base_folder

SERVER = Path(__file__).with_name("fork_server.py")
SUPPORTED = sys.platform == "linux" and hasattr(os, "pidfd_open")
MIRROR = "stages.track.mirror"
# What a server imports, by its name: what its commands would import, MLflow as a mirror does it. Much of it they import
# late: all commands of DVC and what these need, pydantic's classes, the writers of figures and the fonts' subsets.
IMPORTED = {
    "stages": (
        *("click", "distributed", "filelock", "jinja2", "multiprocessing.spawn", "numpy", "psutil", "ruamel.yaml"),
        *("safetensors.torch", "scipy.stats", "sklearn.metrics", "torch", "torchvision.transforms.v2", "tqdm"),
        *("dvc.cli", "dvc.cli.parser", "dvc.commands.repro", "dvc.repo", "dvc.repo.graph", "dvc.repo.index"),
        *("dvc.repo.metrics", "dvc.repo.open_repo", "dvc.repo.params", "dvc.repo.plots", "dvc.repo.reproduce"),
        *("dvc.repo.stage", "dvc.repo.status", "dvc.rwlock", "dvc.utils.strictyaml", "dvc_data.hashfile.db.local"),
        *("dvc_render.vega", "flatten_dict", "fsspec.implementations.memory", "networkx", "platformdirs.unix"),
        *("scmrepo.git", "dulwich.worktree", "tabulate", "zc.lockfile"),  # tabulate: of torch, as it ends
        *("pydantic", "pydantic.json_schema", "pydantic.main", "pydantic.type_adapter"),
        *("fontTools.subset", "matplotlib.backends.backend_agg", "matplotlib.backends.backend_pdf"),
        *("matplotlib.backends.backend_svg", "matplotlib.figure", "matplotlib.style"),
        *("pandas", "pandas.io.formats.style", "PIL.BmpImagePlugin", "PIL.GifImagePlugin", "PIL.Image"),
        *("PIL.JpegImagePlugin", "PIL.PngImagePlugin", "PIL.PpmImagePlugin"),
    ),
    "mirrors": (
        *("filelock", "mlflow.entities", "mlflow.tracking", "mlflow.store.tracking.sqlalchemy_store", "pydantic"),
        *("mlflow.store.artifact.local_artifact_repo", "sqlalchemy.dialects.sqlite"),
    ),
}
PATIENCE = 300  # seconds until a server has imported everything, on a machine that does much else

SHIM = """#!{python} -IS
import marshal, posix, sys
import _signal, _socket

SIGNALS = {signals}

def forked(arguments, name, always=False):
    server = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    try:
        server.connect({folder!r} + "/" + name)
    except OSError:
        return
    files = [int(file) for file in posix.listdir("/proc/self/fd")]
    files = [file for file in files if file != server.fileno() and is_open(file)]
    umask = posix.umask(0)
    posix.umask(umask)
    ignored = [number for number in SIGNALS if _signal.getsignal(number) == _signal.SIG_IGN]
    request = marshal.dumps((arguments, posix.getcwd(), dict(posix.environ), umask, ignored, files, always))
    _signal.pthread_sigmask(_signal.SIG_BLOCK, SIGNALS)
    passed = b"".join(file.to_bytes(4, sys.byteorder) for file in files)
    server.sendmsg([len(request).to_bytes(4, "little"), request], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, passed)])
    child = int.from_bytes(server.recv(4), "little")
    if child:
        for file in files:
            posix.close(file)
        for number in SIGNALS:
            if number not in ignored:
                _signal.signal(number, lambda number, frame: hand_on(child, number))
    _signal.pthread_sigmask(_signal.SIG_UNBLOCK, SIGNALS)
    if not child:
        server.close()
        return
    answer = server.recv(4)
    status = int.from_bytes(answer, "little", signed=True) if answer else 70
    if status < 0:
        if -status in SIGNALS:
            _signal.signal(-status, _signal.SIG_DFL)
        posix.kill(posix.getpid(), -status)
    posix._exit(status)

def is_open(file):
    try:
        return posix.get_inheritable(file)
    except OSError:
        return False

def hand_on(child, number):
    try:
        posix.kill(child, number)
    except OSError:
        pass

program, *arguments = sys.argv
if program.endswith("/dvc"):
    forked(["-m", "dvc", *arguments], "stages")
    posix.execve({executable!r}, [{python_shim!r}, {dvc!r}, *arguments], posix.environ)
if arguments[:1] == ["-m"] and arguments[1:2] == [{mirror!r}]:
    forked(arguments, "mirrors")
elif arguments[:1] == ["-m"] and arguments[1:2] and arguments[1].partition(".")[0] in ("stages", "dvc", "distributed"):
    forked(arguments, "stages")
elif arguments[:1] == ["-c"] and (program.endswith("/forked") or arguments[-1] == "--multiprocessing-fork"):
    forked(arguments, "stages", program.endswith("/forked"))
posix.execve({executable!r}, [{python_shim!r}, *arguments], posix.environ)
"""


# What tests have of it


class Forks:
    """The servers that run, and the programs that ask them."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.programs = folder, folder / "bin"
        self.python = str(self.programs / "python")
        self._leases: dict[str, socket.socket] = {}

    def start(self, name: str, imported: Sequence[str] | None = None) -> None:
        """Make sure that a server runs until this process ends; it is started once for all."""
        self.folder.mkdir(exist_ok=True)
        with FileLock(self.folder / "lock"):
            if not self.programs.exists():
                self._write_programs()
            place = self.folder / name
            if name in self._leases or len(os.fsencode(place)) > 100:  # bytes of a socket's address
                return
            if not place.exists():
                modules = IMPORTED[name] if imported is None else imported
                log = str(self.folder / f"{name}.log")
                server = os.posix_spawn(
                    os.path.realpath(sys.executable),
                    [self.python, str(SERVER), str(self.folder), name, *modules],
                    os.environ,
                    file_actions=[
                        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                        (os.POSIX_SPAWN_OPEN, 1, log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644),
                        (os.POSIX_SPAWN_DUP2, 1, 2),
                    ],
                    setsid=True,
                )
                until = time.monotonic() + PATIENCE
                while not place.exists():
                    assert os.waitpid(server, os.WNOHANG) == (0, 0), Path(log).read_text()
                    assert time.monotonic() < until
                    time.sleep(0.02)
            lease = socket.socket(socket.AF_UNIX)
            lease.connect(str(place))
            lease.sendall((0).to_bytes(4, "little"))
            self._leases[name] = lease

    def close(self) -> None:
        """End what this process holds; the last one ends the servers."""
        for lease in self._leases.values():
            lease.close()

    def _write_programs(self) -> None:
        """A virtual environment that is the running one, but for its programs."""
        made = self.folder / "bin.new"
        made.mkdir()
        prefix = Path(sys.prefix)
        described = prefix / "pyvenv.cfg"
        home = f"home = {Path(sys._base_executable).parent}\ninclude-system-site-packages = true\n"  # type: ignore[attr-defined]
        text = described.read_text() if described.is_file() else home
        (self.folder / "pyvenv.cfg").write_text(text)
        for name in ("lib", "lib64"):
            if (prefix / name).exists() and described.is_file():
                (self.folder / name).symlink_to(prefix / name)
        shim = SHIM.format(
            python=os.path.realpath(sys.executable),
            executable=os.path.realpath(sys.executable),
            folder=str(self.folder),
            python_shim=self.python,
            dvc=str(Path(sys.executable).parent / "dvc"),
            mirror=MIRROR,
            signals=tuple(map(int, SIGNALS)),
        )
        for name in ("python", "forked", "dvc"):
            (made / name).write_text(shim)
            (made / name).chmod(0o755)
        made.rename(self.programs)


_USED: list[Forks] = []  # meanwhile; here, since pytest loads a conftest.py once more than others do


def programs() -> list[str]:
    """The folders of programs that come before the interpreter's own."""
    return [str(found.programs) for found in _USED]


@contextmanager
def forks(tmp_path_factory: pytest.TempPathFactory, *names: str) -> Iterator[Forks | None]:
    """The servers of these names, shared by all workers; None where there are none."""
    with forks_in(base_folder(tmp_path_factory) / "forks", *names) as found:
        yield found


@contextmanager
def forks_in(folder: Path, *names: str) -> Iterator[Forks | None]:
    """The servers of these names, shared by all processes that name the folder; None where there are none."""
    if not SUPPORTED:
        yield None
        return
    found = Forks(folder)
    for name in names:
        found.start(name)
    _USED.append(found)
    try:
        yield found
    finally:
        _USED.remove(found)
        found.close()
