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

from stages.config.settings import FAMILIES
from stages.engine.loop import predict
from stages.engine.network import place
from tests.unit.engine.test_loop import OPTIMIZERS, engine, new_model, random_images, random_splits, shrunk

pytestmark = pytest.mark.usefixtures("torch_settings")

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
    command = [sys.executable, "-m", "tests.unit.learn.test_bits"]
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


@pytest.mark.parametrize("family", FAMILIES)
def test_evaluation_repeats_what_the_training_saw(family: str) -> None:
    """A network placed with the written weights gives the logits of the network that was trained, bit for bit."""
    run, images = shrunk(family, precision="auto"), random_images(9, seed=3)
    trainer = engine(run, random_splits()).trainer
    model = new_model(shrunk(family, seed=5))
    model.load_state_dict(trainer.weights())
    networks = (trainer.model, place(model, trainer.numerics))
    found = [predict(network, images, trainer.standardise) for network in networks]
    assert found[0].logits.numpy().tobytes() == found[1].logits.numpy().tobytes()
    assert found[0].loss.item() == found[1].loss.item()


if __name__ == "__main__":
    print(json.dumps({" ".join(map(str, case)): bits(*case) for case in reversed(CASES)}))
