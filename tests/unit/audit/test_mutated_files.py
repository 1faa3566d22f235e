"""Each reader of a file that others write, on thousands of mutations of a good one: it reads it, or says why not.

The mutations are drawn from a seed, so that a failure repeats. Whatever is none of a reader's own errors, a traceback
of a user, fails the test.
"""

import random
from collections.abc import Callable
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stages.audit.arrays import array
from stages.audit.pipeline import Stages
from stages.audit.results import read_loosely
from stages.core.errors import StageError
from stages.records.dvc_lock import Lock
from stages.records.evaluation import Evaluation
from tests.unit.audit.conftest import Audited

TOKENS = [
    *(b"[" * 70, b"{", b"}", b"]", b'"', b"null", b"-1", b"1e999", b"NaN", b"9" * 30, b"\\ud800", b"\x00", b"\xff\xfe"),
    *(b"&a ", b"*a", b"<<: ", b"- ", b"? ", b": ", b"\n", b"#", b"!!binary ", b"'", b"2026-99-99", b"../../etc/shadow"),
    *(b"${item.x}", b"(", b"-5,", b"10" * 12, b"|O", b"<f4", b"True"),
]


def mutated(content: bytes, draw: random.Random) -> bytes:
    """A few edits: bytes changed, pieces removed, repeated, moved, or replaced by what a parser may stumble over."""
    found = bytearray(content)
    for _ in range(draw.randint(1, 4)):
        start = draw.randrange(len(found) + 1)
        end = min(len(found), start + draw.choice([0, 1, 3, 20, 200]))
        piece = bytes(found[start:end])
        other = draw.randrange(len(found) + 1)
        found[start:end] = draw.choice(
            [draw.choice(TOKENS), b"", piece * 3, bytes(found[other : other + 30]), draw.randbytes(2)]
        )
    return bytes(found)


def _result(path: Path) -> None:
    read_loosely(path, "stage x")
    Evaluation.read(path, "stage x")


def _lock(path: Path) -> None:
    lock = Lock(path)
    for stage in lock.stages:
        with suppress(StageError):
            lock.entry(stage)
    lock.reader("data")


def _array(path: Path) -> None:
    found = array(path)
    assert found.size * found.itemsize <= path.stat().st_size


@pytest.mark.parametrize(
    ("name", "times", "read"),
    [
        ("reports/quick/cells/mnist/resnet18-sgd-s0.json", 120, _result),
        ("dvc.lock", 40, _lock),
        ("logits.npy", 1500, _array),
    ],
)
def test_a_mutated_file_is_read_or_refused(
    name: str, times: int, read: Callable[[Path], Any], audited: Audited
) -> None:
    buffer = BytesIO()
    np.save(buffer, np.ones((3, 10), np.float32))
    content = buffer.getvalue() if name.endswith(".npy") else Path(name).read_bytes()
    if name == "dvc.lock":
        content = b"\n".join(content.split(b"\n")[:150])  # some of its stages: libyaml takes 2 us a byte
    draw, path = random.Random(16), Path("mutated" + Path(name).suffix)  # noqa: S311 - for tests
    for _ in range(times):
        path.write_bytes(mutated(content, draw))
        with suppress(StageError):
            read(path)


def test_a_mutated_pipeline_is_read_or_refused(audited: Audited) -> None:
    """Of dvc.yaml, with every stage of a number and the paths that it names."""
    content, draw = Path("dvc.yaml").read_bytes(), random.Random(16)  # noqa: S311
    key = next(iter(audited.params.cell_keys()))
    for _ in range(100):
        Path("dvc.yaml").write_bytes(mutated(content, draw))
        with suppress(StageError):
            stages = Stages("quick", audited.params)
            assert not stages.is_named("../../etc/shadow/x")
            assert stages.result(key, 0)
            assert stages.train(key, 0).option("out")
            assert stages.tables().outs is not None
