"""What malloc is told: memory that was freed stays with the process. Page faults are counted in fresh processes."""

import ctypes
import subprocess
import sys
from pathlib import Path

import pytest

from stages.engine.memory import keep_pages

ROOT = Path(__file__).resolve().parents[3]
BLOCK = 50 << 20  # bytes
ROUNDS = 20
# glibc's malloc and free, as PyTorch calls them; every page is written, as a step does
PROGRAM = f"""
import ctypes, resource, sys
from stages.engine.memory import keep_pages

libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_size_t], [ctypes.c_void_p]
kept = keep_pages() if sys.argv[1] == "keep" else None

def step():
    block = libc.malloc({BLOCK})
    ctypes.memset(block, 1, {BLOCK})
    libc.free(block)

step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range({ROUNDS}):
    step()
print(kept, resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def glibc() -> bool:
    try:
        return hasattr(ctypes.CDLL(None), "gnu_get_libc_version")
    except (OSError, TypeError):
        return False


def counted(how: str) -> tuple[str, int]:
    """What keep_pages answered, and the page faults of all rounds after the first."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, how], cwd=ROOT, capture_output=True, text=True, check=True, env={}
    )
    answer, faults = done.stdout.split()
    return answer, int(faults)


@pytest.mark.skipif(not glibc(), reason="another C library than glibc")
def test_freed_memory_is_kept() -> None:
    """Without it every round takes its pages anew (by the 4 kB, or by 2 MB where the system has huge pages)."""
    _, fresh = counted("leave")
    answer, kept = counted("keep")
    assert answer == "True"
    assert fresh >= ROUNDS * BLOCK // (2 << 20)
    assert kept < fresh / 20


@pytest.mark.skipif(not glibc(), reason="another C library than glibc")
def test_it_may_be_asked_for_again() -> None:
    assert keep_pages()
    assert keep_pages()


@pytest.mark.parametrize("error", [AttributeError, OSError, TypeError])
def test_a_c_library_without_it_is_no_error(monkeypatch: pytest.MonkeyPatch, error: type[Exception]) -> None:
    """macOS and musl have no mallopt, Windows no library of that name."""

    def refuse(name: str | None) -> None:
        raise error

    monkeypatch.setattr(ctypes, "CDLL", refuse)
    assert keep_pages() is False


@pytest.mark.parametrize("refused", [0, 1, 2])
def test_a_setting_that_malloc_refuses_is_told(monkeypatch: pytest.MonkeyPatch, refused: int) -> None:
    class Library:
        asked = 0

        def mallopt(self, option: int, value: int) -> int:
            self.asked += 1
            return int(self.asked != refused + 1)

    monkeypatch.setattr(ctypes, "CDLL", lambda name: Library())
    assert keep_pages() is False
