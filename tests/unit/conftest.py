"""The state of PyTorch that tests must leave as it was."""

from collections.abc import Iterator

import pytest


@pytest.fixture
def torch_settings(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
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
