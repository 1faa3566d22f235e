"""What holds for all tests: a process that takes too much memory says where, before the kernel ends another."""

import faulthandler
import os
import threading
import time
from pathlib import Path

import pytest

MOST = 8 << 30  # bytes; the largest of the networks' tests take 3 GiB
STATM = Path("/proc/self/statm")


def pytest_configure(config: pytest.Config) -> None:
    """Watch this process, where the system tells its memory."""
    if STATM.is_file():
        threading.Thread(target=_watch, args=(os.dup(2),), daemon=True, name="memory watch").start()


def _watch(stderr: int) -> None:
    """End the process with every thread's stack once it holds more than MOST; pytest then names the test."""
    while int(STATM.read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE") <= MOST:
        time.sleep(0.5)
    os.write(stderr, f"more than {MOST >> 30} GiB of memory are held\n".encode())
    faulthandler.dump_traceback(stderr)
    os._exit(70)
