"""How the tests are divided between the processes of `pytest -n`: no file is divided, nor tests/pipeline.

The tests of tests/pipeline share one project that real DVC makes, which takes minutes; other files share what their
fixtures make.
"""

from pathlib import Path

import pytest

_SHARED = ("pipeline", "browser")


@pytest.hookimpl(tryfirst=True)  # xdist reads the groups in a hook of the same name
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put each test into the group that one process runs."""
    here = Path(__file__).parent
    for item in items:
        path = item.path.relative_to(here)
        group = path.parts[0] if path.parts[0] in _SHARED else path.as_posix()
        item.add_marker(pytest.mark.xdist_group(group))
