"""What holds for all tests: threads, bytecode, the environment, where files go, the files' order, a limit of memory.

PyTorch gets one thread in each process, since the workers take every core already: at two threads a worker, each waits
for the other at barriers. Where a test asks for two threads, a waiting one sleeps (OMP_WAIT_POLICY): spinning would
take a core from another worker. Bytecode is kept whatever the environment says: tests start the commands some hundred
times.
"""

import faulthandler
import gc
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent
# What takes longest comes first, lest one worker ends with it while the others have nothing left; the first of these
# makes the project that the others of tests/pipeline read.
FIRST = (
    "pipeline/test_launch.py",
    "unit/train/test_resume.py",
    "unit/audit/test_verify_findings.py",
    "unit/engine/test_loop.py",
    "unit/engine/test_networks.py",
    "pipeline/test_pipeline.py",
    "pipeline/test_verify.py",
)
OTHERS = ("GIT_", "MLFLOW_", "DVC_", "PIP_", "PYTHONSAFEPATH", "PYTHONOPTIMIZE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
GIT_SETTINGS = {
    "commit.gpgsign": "false",
    "tag.gpgsign": "false",
    "core.hooksPath": os.devnull,
    "init.templateDir": "",
    "core.autocrlf": "false",
    "core.fsmonitor": "false",
    "status.showUntrackedFiles": "normal",
}
MOST = 8 << 30  # bytes that a process may hold; the largest of the networks' tests take 3 GiB
STATM = Path("/proc/self/statm")
IN_MEMORY = Path("/dev/shm")  # a file system in memory, on Linux
ROOM = (
    8 << 30
)  # bytes that must be free there; twice as much must be available in memory. The tests together take 3 GiB
WORKER = 3 << 30  # bytes of memory that a worker is given

os.environ |= {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}  # before anything imports torch
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False


def pytest_configure(config: pytest.Config) -> None:
    """Watch this process, where the system tells its memory; refuse a name in FIRST that no file has."""
    assert all((ROOT / name).is_file() for name in FIRST)
    own_settings()
    if not any(map(os.environ.get, ("PYTEST_XDIST_WORKER", "TMPDIR", "TEMP", "TMP"))) and _has_room():
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(IN_MEMORY))  # where pytest makes its folder
    gc.disable()  # until all is imported: what an import makes stays
    if STATM.is_file():
        threading.Thread(target=_watch, args=(os.dup(2),), daemon=True, name="memory watch").start()


@pytest.hookimpl(optionalhook=True)  # without xdist there is no such hook
def pytest_xdist_auto_num_workers() -> int | None:
    """One more than the cores, so that none is idle while a test waits for a server or a time limit."""
    from stages.launch.machine import cores, memory_free

    if os.environ.get("PYTEST_XDIST_AUTO_NUM_WORKERS"):
        return None  # xdist reads it
    return max(1, min(cores() + 1, memory_free() // WORKER))


def _has_room() -> bool:
    """Whether pytest's folders fit into memory. Tests copy and remove about 100,000 small files, slowly on a disk.

    Programs must run there, which containers often forbid. What a failed session leaves goes with the next one.
    """
    if sys.platform != "linux":
        return False
    if not (IN_MEMORY.is_mount() and os.access(IN_MEMORY, os.W_OK | os.X_OK)):
        return False
    if os.statvfs(IN_MEMORY).f_flag & os.ST_NOEXEC:
        return False
    from stages.launch.machine import memory_free

    return shutil.disk_usage(IN_MEMORY).free >= ROOM and memory_free() >= 2 * ROOM


def own_settings() -> None:
    """Take the user's settings of other tools, and of signals, out of this process and of what it starts.

    In a hook of git GIT_DIR and GIT_INDEX_FILE name the user's repository: a test that commits would commit there.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as a shell without job control starts background commands
        signal.signal(signal.SIGINT, signal.default_int_handler)
    for name in [name for name in os.environ if name.startswith(OTHERS)]:
        del os.environ[name]
    os.environ["GIT_CONFIG_COUNT"] = str(len(GIT_SETTINGS))  # above what any file of the user says
    for number, (key, value) in enumerate(GIT_SETTINGS.items()):
        os.environ |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}


@pytest.fixture(autouse=True)
def _environment() -> Iterator[None]:
    """Restores the environment: a command run in this process may have changed it, and later processes inherit that."""
    before = dict(os.environ)
    yield
    for name in {name for name, _ in os.environ.items() ^ before.items()} - {"PYTEST_CURRENT_TEST"}:
        if name in before:
            os.environ[name] = before[name]
        else:
            del os.environ[name]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    place = {ROOT / name: number for number, name in enumerate(FIRST)}
    items.sort(key=lambda item: place.get(item.path, len(place)))


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()


def _watch(stderr: int) -> None:
    """End the process with every thread's stack once it holds more than MOST: else the kernel ends one, and no word."""
    while int(STATM.read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE") <= MOST:
        time.sleep(0.5)
    os.write(stderr, f"more than {MOST >> 30} GiB of memory are held\n".encode())
    faulthandler.dump_traceback(stderr)
    os._exit(70)
