"""The same cell, seed and number of threads give the same bits: twice in a row, and in a fresh process.

Run as a module, this file prints the hashes of all its trainings; the test holds those of two processes together.
"""

import hashlib
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from safetensors.torch import save

from stages.engine.prediction import predict
from tests.unit.engine.settings import FAMILIES, OPTIMIZERS
from tests.unit.engine.test_loop import engine, random_images, random_splits, shrunk

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("torch_settings")]

ROOT = Path(__file__).resolve().parents[3]
CASES = [*product(FAMILIES, OPTIMIZERS, (1,)), ("resnet", "adam", 2)]  # family, optimizer, threads


class Bits(NamedTuple):
    """Hashes of what a training and its evaluation leave."""

    weights: str
    history: str
    predictions: str


def hashed(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def bits(family: str, optimizer: str, threads: int) -> Bits:
    """Train a shrunk cell as `train` does, and predict."""
    run = shrunk(family, precision="auto", **OPTIMIZERS[optimizer])
    trainer, history, _ = engine(run, random_splits(), threads=threads)
    logits = predict(trainer.model, random_images(7, seed=2), trainer.standardise).logits
    told = json.dumps(history).encode()
    return Bits(hashed(save(trainer.weights())), hashed(told), hashed(logits.numpy().tobytes()))


@pytest.fixture(scope="module", autouse=True)
def elsewhere() -> Iterator[Callable[[], dict[str, list[str]]]]:
    """The hashes that a fresh process finds, beside this one, and going through the cases the other way round."""
    command = [sys.executable, "-m", "tests.unit.engine.test_bits"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as process:
        yield cache(lambda: json.loads(process.communicate()[0]))
        process.kill()


@cache
def bits_here(family: str, optimizer: str, threads: int) -> Bits:
    return bits(family, optimizer, threads)


@pytest.mark.parametrize(("family", "optimizer", "threads"), CASES)
def test_bits_repeat_in_a_row(family: str, optimizer: str, threads: int) -> None:
    assert bits(family, optimizer, threads) == bits_here(family, optimizer, threads)


@pytest.mark.parametrize(("family", "optimizer", "threads"), CASES)
def test_bits_repeat_in_a_fresh_process(family: str, optimizer: str, threads: int, elsewhere: Any) -> None:
    assert elsewhere()[f"{family} {optimizer} {threads}"] == list(bits_here(family, optimizer, threads))


if __name__ == "__main__":
    print(json.dumps({" ".join(map(str, case)): bits(*case) for case in reversed(CASES)}))
