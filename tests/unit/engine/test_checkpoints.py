"""Checkpoints: a training that goes on from one ends with the bits of an unbroken one; a wrong or torn one is refused.

The real command under real kills is in tests/unit/test_resume.py.
"""

import json
import os
import random
import resource
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save, save_file
from torch import Tensor, nn

from stages.config.settings import Run
from stages.core.errors import StageError
from stages.engine.checkpoints import Checkpoint
from stages.engine.images import Standardise
from stages.engine.loop import EpochResult, Trainer, train
from stages.engine.memory import keep_pages
from stages.engine.numerics import Numerics
from stages.engine.splits import Splits
from tests.unit.engine.settings import FAMILIES, OPTIMIZERS
from tests.unit.engine.test_loop import STATISTICS, new_model, random_splits, shrunk

IDENTITY = {
    "settings": {"lr": 0.1, "hidden_layers": [16], "seed": 0},
    "code": {"stages/train.py": "0f", "stages/learn": "1f.dir"},
    "data": {"data/processed/mnist/train": "2f.dir"},
    "software": {"torch": "2.14.1", "mlflow": None},
    "numerics": {"device": "cpu", "threads": 1},
}

MACHINES: list[dict[str, Any]] = [{"processor": "one", "cores": 2}, {"processor": "another", "cores": 8}]


@pytest.fixture(autouse=True)
def _repeatable(torch_settings: None) -> None:
    torch.use_deterministic_algorithms(True)
    keep_pages()


@pytest.fixture
def checkpoint(tmp_path: Path) -> Checkpoint:
    return Checkpoint(tmp_path / "s0", IDENTITY)


def trainer_of(run: Run, model: nn.Module | None = None) -> Trainer:
    """A fresh trainer, as a fresh process makes it, for the run's own network unless one is given."""
    numerics = Numerics(torch.device("cpu"), getattr(torch, run.precision), 1)
    standardise = Standardise.of(STATISTICS, run.cell.input_size, numerics)
    return Trainer(new_model(run) if model is None else model, run, standardise, numerics)


def tiny(optimizer: str = "adam", precision: str = "bfloat16", epochs: int = 3) -> Trainer:
    """A trainer of a network of a few hundred numbers, with all that a state holds."""
    run = shrunk("resnet", epochs=epochs, input_size=8, precision=precision, **OPTIMIZERS[optimizer])
    torch.manual_seed(0)
    layers = [nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Dropout(0.5), nn.Linear(144, 3)]
    return trainer_of(run, nn.Sequential(*layers))


def bits(state: dict[str, Tensor]) -> dict[str, bytes]:
    return {name: value.numpy().tobytes() for name, value in state.items()}


def history(epochs: list[EpochResult]) -> bytes:
    return json.dumps([epoch.metrics for epoch in epochs]).encode()


def trained(
    trainer: Trainer, splits: Splits, checkpoint: Checkpoint | None = None, kept: int = 0, copies: bool = False
) -> list[EpochResult]:
    """Train to the end, from `checkpoint` if there is one. It is written after each of the first `kept` epochs.

    With `copies`, each is also copied to <name>.<epoch>.
    """
    epochs = checkpoint.load(trainer).epochs if checkpoint else []

    def on_epoch(epoch: EpochResult) -> None:
        epochs.append(epoch)
        if checkpoint and len(epochs) <= kept:
            checkpoint.save(trainer, epochs, MACHINES)
            if copies:
                shutil.copy(checkpoint.path, f"{checkpoint.path}.{len(epochs)}")

    assert train(trainer, splits, tuple(epochs), on_epoch, lambda images: None) == "finished"
    assert [epoch.metrics["epoch"] for epoch in epochs] == list(range(1, trainer.run.epochs + 1))
    return epochs


# Going on


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_goes_on_to_the_bits_of_an_unbroken_training(
    family: str, optimizer: str, checkpoint: Checkpoint
) -> None:
    """In either format by turns, so that each family and each optimizer has both."""
    precision = ("float32", "bfloat16")[(FAMILIES.index(family) + list(OPTIMIZERS).index(optimizer)) % 2]
    run, splits = shrunk(family, epochs=2, precision=precision, **OPTIMIZERS[optimizer]), random_splits()
    unbroken, resumed = trainer_of(run), trainer_of(run)
    expected = trained(unbroken, splits, checkpoint, kept=1)
    torch.manual_seed(99)
    epochs = trained(resumed, splits, checkpoint)
    assert epochs[0] == expected[0]
    assert history(epochs) == history(expected)
    assert bits(resumed.state()) == bits(unbroken.state())


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_training_goes_on_after_any_epoch(optimizer: str, precision: str, checkpoint: Checkpoint) -> None:
    """After the last one too, when the process died before it had written the weights; saving changes nothing."""
    splits = random_splits()
    unbroken, saving = tiny(optimizer, precision, 4), tiny(optimizer, precision, 4)
    expected = trained(unbroken, splits)
    assert history(trained(saving, splits, checkpoint, kept=4, copies=True)) == history(expected)
    assert bits(saving.state()) == bits(unbroken.state())
    for number in (1, 2, 3, 4):
        shutil.copy(f"{checkpoint.path}.{number}", checkpoint.path)
        resumed = tiny(optimizer, precision, 4)
        epochs = trained(resumed, splits, checkpoint)
        assert history(epochs) == history(expected)
        assert save(resumed.weights()) == save(unbroken.weights())
        assert bits(resumed.state()) == bits(unbroken.state())


def test_a_training_broken_after_every_epoch_goes_on_each_time(checkpoint: Checkpoint) -> None:
    splits, unbroken = random_splits(), tiny(epochs=4)
    expected = trained(unbroken, splits)
    for number in range(4):
        trainer = tiny(epochs=4)
        epochs = checkpoint.load(trainer).epochs
        assert len(epochs) == number
        trainer.epoch(splits.train, number + 1, lambda images: None)
        checkpoint.save(trainer, expected[: number + 1], MACHINES)
    last = tiny(epochs=4)
    assert history(trained(last, splits, checkpoint)) == history(expected)
    assert bits(last.state()) == bits(unbroken.state())


def test_a_diverged_training_stays_diverged(checkpoint: Checkpoint) -> None:
    """Its history has a loss that is not finite; going on from there trains no further."""
    trainer, splits = tiny(), random_splits()
    with torch.no_grad():
        trainer.parameters.master.fill_(torch.nan)
    trainer.parameters.refresh()
    epochs: list[EpochResult] = []
    assert train(trainer, splits, [], epochs.append, lambda images: None) == "diverged"
    checkpoint.save(trainer, epochs, MACHINES)
    resumed = tiny()
    loaded = checkpoint.load(resumed).epochs
    assert loaded == epochs
    assert loaded[0].metrics["train_loss"] is None
    assert train(resumed, splits, loaded, epochs.append, lambda images: None) == "diverged"
    assert len(epochs) == 1
    assert bits(resumed.state()) == bits(trainer.state())


def test_the_line_says_where_it_goes_on(checkpoint: Checkpoint, capsys: pytest.CaptureFixture[str]) -> None:
    trained(tiny(), random_splits(), checkpoint, kept=2)
    assert capsys.readouterr().err == ""
    checkpoint.load(tiny())
    assert capsys.readouterr().err == f"going on after epoch 2 of 3, from {checkpoint.path}\n"


def test_a_resumed_training_knows_the_machines_before(checkpoint: Checkpoint) -> None:
    trainer = tiny(epochs=3)
    epochs: list[EpochResult] = []
    train(trainer, random_splits(), [], epochs.append, lambda images: None, machine=1)
    assert [epoch.machine for epoch in epochs] == [1, 1, 1]
    checkpoint.save(trainer, epochs, MACHINES)
    assert checkpoint.load(tiny(epochs=3)) == (epochs, MACHINES)


# Refused


@pytest.fixture
def stored(checkpoint: Checkpoint) -> Checkpoint:
    """A checkpoint after two epochs of a tiny training."""
    trained(tiny(), random_splits(), checkpoint, kept=2)
    return checkpoint


def refused(checkpoint: Checkpoint, capsys: pytest.CaptureFixture[str]) -> str:
    """Why the checkpoint is refused; checks that the file is kept aside and that the run starts over, untouched."""
    capsys.readouterr()
    trainer, content = tiny(), checkpoint.path.read_bytes()
    start = bits(trainer.state())
    assert checkpoint.load(trainer) == ([], [])
    assert not checkpoint.path.exists()
    assert checkpoint.refused.read_bytes() == content
    assert bits(trainer.state()) == start
    said = capsys.readouterr().err.rstrip()
    assert "\n" not in said
    said = said.removeprefix(f"{checkpoint.path} is not used, the run starts over: ")
    return said.removesuffix(f"; it is kept as {checkpoint.refused.name}")


@pytest.mark.parametrize("share", [0.0, 0.0001, 0.001, 0.1, 0.5, 0.9, 0.9999])
def test_a_truncated_checkpoint_is_refused(share: float, stored: Checkpoint, capsys: Any) -> None:
    content = stored.path.read_bytes()
    stored.path.write_bytes(content[: int(len(content) * share)])
    assert refused(stored, capsys).startswith("it is torn (")


@pytest.mark.parametrize("content", [b"", b"\0" * 8, b"\0" * 4096, b"{}", b"\xff" * 100])
def test_what_is_no_checkpoint_at_all_is_refused(content: bytes, stored: Checkpoint, capsys: Any) -> None:
    stored.path.write_bytes(content)
    assert refused(stored, capsys).startswith("it is torn (")


def test_a_checkpoint_with_something_behind_it_is_refused(stored: Checkpoint, capsys: Any) -> None:
    with stored.path.open("ab") as file:
        file.write(b"\0")
    assert refused(stored, capsys).startswith("it is torn (")


def test_one_flipped_bit_anywhere_is_refused(stored: Checkpoint, capsys: Any) -> None:
    """In the tensors, in their names and shapes, in the history, the identity or the checksum."""
    content = stored.path.read_bytes()
    header = int.from_bytes(content[:8], "little") + 8
    draw = random.Random(0)  # noqa: S311 - no secret
    parts = [range(header, len(content)), range(8, header), range(8)]
    places = [draw.choice(part) for part in parts for _ in range(60)]
    places += [content.index(word) + 3 for word in (b"epochs", b"identity", b"sha256", b"train_loss", b"parameters")]
    for place in places:
        flipped = bytearray(content)
        flipped[place] ^= 1 << draw.randrange(8)
        stored.path.write_bytes(flipped)
        assert refused(stored, capsys).startswith("it is torn ("), place
    stored.path.write_bytes(content)
    assert len(stored.load(tiny()).epochs) == 2


def test_a_file_of_other_tensors_is_refused(stored: Checkpoint, capsys: Any) -> None:
    """Weights of something else, with no word of where they come from; and a state that has lost a tensor."""
    state = load_file(stored.path)
    save_file(state, stored.path)
    assert refused(stored, capsys).startswith("it is torn (")


def other(name: str) -> dict[str, Any]:
    """The identity with one thing different."""
    changed = json.loads(json.dumps(IDENTITY))
    key = next(iter(changed[name]))
    changed[name][key] = "another"
    return changed


@pytest.mark.parametrize("name", IDENTITY)
def test_a_checkpoint_of_something_else_is_refused_and_it_is_said_of_what(
    name: str, stored: Checkpoint, capsys: Any
) -> None:
    here = Checkpoint(stored.path.with_name("s0"), other(name))
    assert here.path == stored.path
    assert refused(here, capsys) == f"it was written with other {name}"


@pytest.mark.parametrize(
    ("identity", "names"),
    [
        (other("code") | {"settings": {}}, "code, settings"),
        ({key: value for key, value in IDENTITY.items() if key != "data"}, "data"),
        (IDENTITY | {"weather": "rain"}, "weather"),
        ({}, "code, data, numerics, settings, software"),
    ],
)
def test_all_differences_are_named(identity: dict[str, Any], names: str, stored: Checkpoint, capsys: Any) -> None:
    assert refused(Checkpoint(stored.path.with_name("s0"), identity), capsys) == f"it was written with other {names}"


def test_a_run_that_starts_over_ends_with_the_bits_of_an_unbroken_one(stored: Checkpoint, capsys: Any) -> None:
    splits, unbroken = random_splits(), tiny()
    expected = trained(unbroken, splits)
    stored.path.write_bytes(stored.path.read_bytes()[:-1])
    again = tiny()
    assert history(trained(again, splits, stored, kept=3)) == history(expected)
    assert bits(again.state()) == bits(unbroken.state())
    assert len(stored.load(tiny()).epochs) == 3


def test_an_identity_is_compared_as_json_keeps_it(checkpoint: Checkpoint) -> None:
    """A tuple comes back as a list, and is the same."""
    here = Checkpoint(checkpoint.path.with_name("s0"), {"settings": {"sizes": (1, 2), "lr": 1e-3, "log": None}})
    epochs = trained(tiny(), random_splits())
    here.save(tiny(), epochs, MACHINES)
    assert here.load(tiny()) == (epochs, MACHINES)


# What is left behind


def test_no_checkpoint_is_no_news(checkpoint: Checkpoint, capsys: pytest.CaptureFixture[str]) -> None:
    assert checkpoint.load(tiny()) == ([], [])
    assert capsys.readouterr().err == ""


def test_it_lies_beside_the_run_and_goes_when_it_is_removed(stored: Checkpoint, tmp_path: Path) -> None:
    assert [path.name for path in tmp_path.iterdir()] == ["s0.checkpoint"]
    stored.remove()
    stored.remove()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("there", [True, False])
def test_what_a_killed_writer_left_goes_and_nothing_else(there: bool, stored: Checkpoint, tmp_path: Path) -> None:
    """The checkpoint stays if there is one, and so do those of other seeds, that may be being written."""
    if not there:
        stored.remove()
    torn = [tmp_path / f".s0.checkpoint.{name}" for name in ("abc", "x1")]
    others = [tmp_path / name for name in (".s01.checkpoint.abc", ".s1.checkpoint.abc", "s1")]
    for folder in torn + others:
        folder.mkdir()
        (folder / "s0.checkpoint").write_bytes(b"torn")
        (folder / ".tmpAbCdEf").write_bytes(b"safetensors writes here first")
    (tmp_path / ".s0.checkpoint.file").write_bytes(b"torn")
    assert len(stored.load(tiny()).epochs) == (2 if there else 0)
    kept = {path.name for path in others} | ({"s0.checkpoint"} if there else set())
    assert {path.name for path in tmp_path.iterdir()} == kept


def large() -> Trainer:
    """A trainer whose state, of 130 MB, takes a while to write."""
    return trainer_of(shrunk("resnet", epochs=9, **OPTIMIZERS["adam"]))


def sizes(folder: Path) -> list[int]:
    """Of the files in a folder in which others are coming and going, without the checkpoint in place."""
    found = []
    with suppress(FileNotFoundError):  # a folder that goes while it is listed
        for path in folder.rglob("*"):
            if path.is_file() and path != folder / "s0.checkpoint":
                found.append(path.stat().st_size)
    return found


def test_a_writer_killed_at_any_moment_leaves_nothing_that_stays(checkpoint: Checkpoint, tmp_path: Path) -> None:
    """A child that writes one checkpoint after the other is killed, every other time while it fills the file."""
    trainer = large()
    epochs = [EpochResult({"epoch": 1, "train_loss": 1.0}, 1.0, 1.0, 1.0, 1.0, 0, "0" * 64)]
    checkpoint.save(trainer, epochs, MACHINES)
    torn, draw = [], random.Random(0)  # noqa: S311 - no secret
    for attempt in range(6):
        child = os.fork()
        if child == 0:
            try:
                while True:
                    checkpoint.save(trainer, epochs, MACHINES)
            finally:
                os._exit(1)
        while not (any(sizes(tmp_path)) if attempt % 2 else sizes(tmp_path)):
            assert os.waitpid(child, os.WNOHANG) == (0, 0)
        time.sleep(draw.uniform(0, 0.02 if attempt % 2 else 0.3))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        torn += sizes(tmp_path)
        assert len(checkpoint.load(trainer).epochs) == 1
        assert [path.name for path in tmp_path.iterdir()] == ["s0.checkpoint"]
    assert any(torn)


# No room


@contextmanager
def no_room() -> Iterator[None]:
    """Meanwhile no file of this process grows beyond 4 kB: writing fails as on a full disk, with EFBIG.

    A block and not a fixture: pytest's own output, written between a test and its fixtures' end, may be a file too.
    """
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, ignored)


def test_a_full_disk_is_said_and_the_checkpoint_before_stays(stored: Checkpoint, tmp_path: Path) -> None:
    before, files = stored.path.read_bytes(), set(tmp_path.iterdir())
    trainer = tiny()
    epochs = stored.load(trainer).epochs
    with no_room(), pytest.raises(StageError) as raised:
        stored.save(trainer, [*epochs, epochs[-1]], MACHINES)
    found = str(raised.value)
    assert found.startswith(f"{stored.path}: the state after epoch 3 cannot be written (")
    assert "File too large" in found
    assert found.endswith("; the checkpoint after epoch 2 stays. Make room, and start again")
    assert stored.path.read_bytes() == before
    assert set(tmp_path.iterdir()) == files
    assert stored.load(tiny()) == (epochs, MACHINES)


def test_a_full_disk_at_the_first_checkpoint_leaves_none(checkpoint: Checkpoint, tmp_path: Path) -> None:
    found = r"the state after epoch 1 cannot be written .*; there was none before\. Make"
    with no_room(), pytest.raises(StageError, match=found):
        checkpoint.save(tiny(), [EpochResult({"epoch": 1}, 1.0, 1.0, 1.0, 1.0, 0, "0" * 64)], MACHINES)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_refuses_files_is_said(tmp_path: Path) -> None:
    """Another failure to write than a full disk: here a file stands where the folder should be."""
    (tmp_path / "cell").write_bytes(b"")
    epoch = EpochResult({"epoch": 1}, 1.0, 1.0, 1.0, 1.0, 0, "0" * 64)
    with pytest.raises(StageError, match=r"the state after epoch 1 cannot be written .*there was none before"):
        Checkpoint(tmp_path / "cell" / "s0", IDENTITY).save(tiny(), [epoch], MACHINES)
