"""The state of PyTorch and of malloc that tests must leave as it was."""

import ctypes
import sys
from collections.abc import Iterator

import pytest

from stages.engine.memory import MMAP_MAX, TOP_PAD, TRIM_THRESHOLD
from tests.forks import forks

USUAL = {MMAP_MAX: 65536, TRIM_THRESHOLD: 128 << 10, TOP_PAD: 128 << 10}  # glibc's own values


@pytest.fixture(scope="module")
def _pages() -> Iterator[None]:
    """Undoes what `keep_pages` told malloc: else a worker keeps the most memory that any test before had, in pieces."""
    yield
    libc = ctypes.CDLL(None)
    if hasattr(libc, "malloc_trim"):
        for option, value in USUAL.items():
            libc.mallopt(option, value)
        libc.malloc_trim(0)


@pytest.fixture(scope="session")
def forked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The interpreter for programs that import PyTorch and nothing of the tests: forked where that can be."""
    with forks(tmp_path_factory, "stages") as found:
        yield str(found.programs / "forked") if found else sys.executable


@pytest.fixture(scope="session")
def forked_python(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The interpreter whose `-m dvc` and processes of multiprocessing are forked where that can be."""
    with forks(tmp_path_factory, "stages") as found:
        yield found.python if found else sys.executable


@pytest.fixture
def torch_settings(monkeypatch: pytest.MonkeyPatch, _pages: None) -> Iterator[None]:
    """One thread, on a machine with a GPU no GPU either; all that `set_up` changes in the process is put back."""
    import torch  # here: most tests do without it

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    threads, deterministic = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    fill = torch.utils.deterministic.fill_uninitialized_memory  # type: ignore[attr-defined]
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(deterministic)
    torch.utils.deterministic.fill_uninitialized_memory = fill  # type: ignore[attr-defined]
    torch.set_flush_denormal(False)
