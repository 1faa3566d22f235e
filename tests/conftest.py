"""In which order files are given to the workers."""

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


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    place = {ROOT / name: number for number, name in enumerate(FIRST)}
    items.sort(key=lambda item: place.get(item.path, len(place)))
